"""The guard over real sockets: who may call, what unknown callers see, and what a web page may not do."""

import json
import socket

import httpx
import pytest
import structlog
from tests.service_kit.http.guarded import ROUTES, CountingTokens, KnownTokens, bearer
from tests.service_kit.http.responses import assert_problem
from tests.support.guarded_api import create_app
from tests.support.processes import eventually
from tests.support.serving import serving

from service_kit.auth.access import Access
from service_kit.auth.identity import Role
from service_kit.auth.rate_limit import RateLimit


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("method", "path"), list(ROUTES))
def test_a_role_opens_its_routes_and_those_of_the_roles_before_it(
    api: httpx.Client, role: Role, method: str, path: str
) -> None:
    if (method, path) == ("PUT", "/demo/things"):
        return  # it writes: see test_audit
    response = api.request(method, path, headers=bearer(role))
    order = list(Role)

    if order.index(role) >= order.index(ROUTES[method, path]):
        assert response.status_code == 200
    else:
        assert_problem(response, 403)


def test_a_known_caller_without_a_role_may_do_nothing(api: httpx.Client) -> None:
    problem = assert_problem(api.get("/demo/things", headers=bearer("without-role")), 403)

    assert problem["detail"] == "this needs the role viewer; you have none"


def test_a_wrong_role_gets_a_403_that_names_the_right_one(api: httpx.Client) -> None:
    problem = assert_problem(api.delete("/demo/keys", headers=bearer("operator")), 403)

    assert problem["detail"] == "this needs the role admin; you are operator"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "viewer",
        "Bearerviewer",
        "Bearer " + "x" * 9_000,
        "Bearer grün",
    ],
)
def test_without_credentials_the_response_is_401_and_says_how(api: httpx.Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode()}

    response = api.get("/demo/things", headers=headers)  # type: ignore[arg-type]

    assert_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_two_credentials_are_none(api: httpx.Client) -> None:
    response = api.get("/demo/things", headers=[("Authorization", "Bearer viewer"), ("Authorization", "Bearer admin")])

    assert_problem(response, 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_written_as_one_likes(api: httpx.Client, scheme: str) -> None:
    assert api.get("/demo/things", headers={"Authorization": f"{scheme} viewer"}).status_code == 200


def test_bad_credentials_are_a_401_without_a_reason(api: httpx.Client) -> None:
    response = api.get("/demo/things", headers=bearer("forged"))

    assert "never seen" not in json.dumps(assert_problem(response, 401))
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_credentials_that_cannot_be_checked_are_a_503(api: httpx.Client) -> None:
    response = api.get("/demo/things", headers=bearer("away"))

    assert assert_problem(response, 503)["detail"] == "the authenticator is away"
    assert int(response.headers["retry-after"]) > 0


def test_a_bug_in_the_check_is_a_500_without_detail(api: httpx.Client) -> None:
    assert "secret" not in json.dumps(assert_problem(api.get("/demo/things", headers=bearer("bug")), 500))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("GET", "/demo/forgotten"), ("PATCH", "/demo/things")],
)
def test_unknown_callers_learn_nothing_about_what_exists(api: httpx.Client, method: str, path: str) -> None:
    assert_problem(api.request(method, path), 401)


def test_bodies_of_unknown_callers_are_not_read(api: httpx.Client) -> None:
    response = api.post("/demo/policies", content=b"{", headers={"Content-Type": "text/plain"})

    assert_problem(response, 401)


@pytest.mark.parametrize("path", ["/", "/demo", "/docs", "/openapi.json", "/metrics", "/healthz", "/healthz/"])
def test_health_metrics_and_documents_are_open(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 200
    assert api.get(path, headers=bearer("forged")).status_code == 200


def test_an_app_without_a_guard_rejects_every_request_to_a_role() -> None:
    with serving(create_app(None)) as unguarded:
        assert_problem(unguarded.get("/demo/things"), 500)


def test_the_route_and_the_log_know_the_caller(api: httpx.Client) -> None:
    with structlog.testing.capture_logs() as lines:
        caller = api.get("/demo/things", headers=bearer("viewer") | {"X-Request-Id": "r-1"}).json()
        [line] = eventually(lambda: [line for line in lines if line["event"] == "http.request"], what="the log line")

    assert (caller["actor"], caller["request_id"]) == ("test:viewer", "r-1")
    assert line["actor"] == "test:viewer"


class TestWithoutAuthentication:
    @pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route != ("PUT", "/demo/things")])
    def test_every_caller_on_this_machine_may_do_everything(
        self, open_api: httpx.Client, method: str, path: str
    ) -> None:
        assert open_api.request(method, path).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "127.0.0.1:80.evil.example",
            "evil%2eexample",
            "127.0.0.1/x.evil.example",
            "127.0.0.1?x.evil",
            "[::1",
            "localhost.",
        ],
    )
    def test_a_name_that_an_attacker_can_point_here_is_rejected(self, open_api: httpx.Client, host: str) -> None:
        assert_problem(open_api.get("/demo/things", headers={"Host": host}), 421)

    def test_of_two_host_headers_neither_is_accepted(self, open_api: httpx.Client) -> None:
        request = b"GET /demo/things HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        with socket.create_connection((open_api.base_url.host, open_api.base_url.port), timeout=10) as connection:
            connection.sendall(request)
            assert connection.recv(100).startswith(b"HTTP/1.1 421 ")

    @pytest.mark.parametrize("host", ["localhost:99", "127.0.0.1", "[::1]:80", "build-7", "x.localhost", "10.0.0.7"])
    def test_names_of_this_machine_are_accepted(self, open_api: httpx.Client, host: str) -> None:
        assert open_api.get("/demo/things", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1"])
    def test_another_sites_page_may_change_nothing(self, open_api: httpx.Client, origin: str) -> None:
        assert_problem(open_api.post("/demo/policies", headers={"Origin": origin}), 403)

    def test_our_own_pages_and_named_ones_may(self, open_api: httpx.Client) -> None:
        ours = f"http://{open_api.base_url.host}:{open_api.base_url.port}"
        for origin in (ours, "https://console.example"):
            assert open_api.post("/demo/policies", headers={"Origin": origin}).status_code == 200

    def test_with_authentication_the_origin_of_a_page_does_not_matter(self, api: httpx.Client) -> None:
        assert (
            api.post("/demo/policies", headers=bearer("admin") | {"Origin": "https://evil.example"}).status_code == 200
        )
        assert api.get("/demo/things", headers=bearer("viewer") | {"Host": "api.example"}).status_code == 200


class TestRate:
    def test_too_many_requests_are_a_429_that_says_when_to_retry(self) -> None:
        with serving(create_app(Access(KnownTokens(), RateLimit(3)))) as api:
            responses = [api.get("/demo/things", headers=bearer("viewer")) for _ in range(4)]
            assert [response.status_code for response in responses] == [200, 200, 200, 429]
            assert_problem(responses[3], 429)
            assert 1 <= int(responses[3].headers["retry-after"]) <= 20
            assert api.get("/demo/things", headers=bearer("admin")).status_code == 200
            assert api.get("/healthz").status_code == 200

    def test_wrong_credentials_are_counted_by_address_before_they_are_looked_up(self) -> None:
        authenticator = CountingTokens()
        with serving(create_app(Access(authenticator, RateLimit(3)))) as api:
            guesses = [api.get("/demo/things", headers=bearer(f"guess-{n}")).status_code for n in range(5)]
            assert guesses == [401, 401, 401, 429, 429]
            assert authenticator.asked == 3

    def test_known_callers_of_one_address_have_separate_budgets(self) -> None:
        with serving(create_app(Access(KnownTokens(), RateLimit(3)))) as api:
            for token in ("viewer", "operator", "admin"):
                asked = [api.get("/demo/things", headers=bearer(token)).status_code for _ in range(3)]
                assert asked == [200, 200, 200]
            assert api.get("/demo/things", headers=bearer("viewer")).status_code == 429
            assert api.get("/demo/things", headers=bearer("forged")).status_code == 401

    def test_without_authentication_addresses_are_counted(self) -> None:
        with serving(create_app(Access(limit=RateLimit(2)))) as api:
            assert [api.get("/demo/things").status_code for _ in range(3)] == [200, 200, 429]
