"""The bare address shows where things are, and web pages of the configured origins may call the API."""

import httpx
import pytest
from tests.service_kit.http.guarded import KnownTokens, bearer
from tests.service_kit.http.responses import assert_problem
from tests.support.guarded_api import create_app
from tests.support.serving import serving

from service_kit.auth.access import Access


@pytest.mark.parametrize("path", ["/", "/demo", "/demo/"])
def test_the_bare_address_shows_where_things_are(demo: httpx.Client, path: str) -> None:
    assert demo.get(path).json()["docs"] == "/docs"


class TestOrigins:
    def preflight(self, api: httpx.Client, origin: str) -> httpx.Response:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-reason",
        }
        return api.options("/demo/policies", headers=headers)

    def test_no_page_may_read_responses_by_default(self) -> None:
        with serving(create_app(Access(KnownTokens()))) as closed:
            response = closed.get("/demo/things", headers=bearer("viewer") | {"Origin": "https://console.example"})
            assert not [name for name in response.headers if name.startswith("access-control")]
            assert_problem(self.preflight(closed, "https://console.example"), 401)

    def test_a_named_origin_may_send_a_preflight_without_credentials(self, api: httpx.Client) -> None:
        response = self.preflight(api, "https://console.example")

        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://console.example"
        assert "access-control-allow-credentials" not in response.headers

    @pytest.mark.parametrize("token", ["viewer", "forged"])
    def test_a_named_origin_may_read_responses_rejections_too(self, api: httpx.Client, token: str) -> None:
        response = api.get("/demo/things", headers=bearer(token) | {"Origin": "https://console.example"})

        assert response.headers["access-control-allow-origin"] == "https://console.example"
        assert "X-Request-Id" in response.headers["access-control-expose-headers"]

    @pytest.mark.parametrize("origin", ["https://evil.example", "https://console.example.evil.example", "null"])
    def test_other_origins_may_not(self, api: httpx.Client, origin: str) -> None:
        assert "access-control-allow-origin" not in self.preflight(api, origin).headers
        response = api.get("/demo/things", headers=bearer("viewer") | {"Origin": origin})
        assert "access-control-allow-origin" not in response.headers
