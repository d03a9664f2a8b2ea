"""The guard over real sockets: who gets in, what strangers are told, and what a web page may not do."""

import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.guarded_api import create_app
from tests.support.serving import serving

from service_kit.auth.access import Access
from service_kit.auth.identity import BadCredentialsError, Identity, Role, UncheckableError
from service_kit.auth.rate_limit import RateLimit

ROUTES = {
    ("GET", "/demo/things"): Role.VIEWER,
    ("PUT", "/demo/things"): Role.OPERATOR,
    ("POST", "/demo/policies"): Role.APPROVER,
    ("DELETE", "/demo/keys"): Role.ADMIN,
}
PAGE = {"Origin": "https://evil.example"}


class Doorkeeper:
    """Knows a token for each role, and some that make trouble."""

    async def identify(self, token: str) -> Identity:
        if token == "away":
            raise UncheckableError("the doorkeeper is away")
        if token == "bug":
            raise KeyError("secret value")
        if token == "nobody":
            return Identity("test:nobody", None)
        if token not in list(Role):
            raise BadCredentialsError("never seen")
        return Identity(f"test:{token}", Role(token))


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    with serving(create_app(Access(Doorkeeper(), cors_origins=("https://console.example",)))) as client:
        yield client


@pytest.fixture(scope="module")
def open_api() -> Iterator[httpx.Client]:
    with serving(create_app(Access(cors_origins=("https://console.example",)))) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    return problem


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("method", "path"), list(ROUTES))
def test_a_role_opens_its_routes_and_those_of_the_roles_before_it(
    api: httpx.Client, role: Role, method: str, path: str
) -> None:
    if (method, path) == ("PUT", "/demo/things"):
        return  # writes; see test_audit
    answer = api.request(method, path, headers=bearer(role))
    order = list(Role)

    if order.index(role) >= order.index(ROUTES[method, path]):
        assert answer.status_code == 200
    else:
        assert_problem(answer, 403)


def test_who_is_known_and_has_no_role_may_do_nothing(api: httpx.Client) -> None:
    problem = assert_problem(api.get("/demo/things", headers=bearer("nobody")), 403)

    assert problem["detail"] == "this needs the role viewer; you have none"


def test_a_wrong_role_is_told_which_one_is_needed(api: httpx.Client) -> None:
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
def test_without_credentials_the_answer_is_401_and_says_how(api: httpx.Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode()}

    answer = api.get("/demo/things", headers=headers)  # type: ignore[arg-type]

    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_two_credentials_are_none(api: httpx.Client) -> None:
    answer = api.get("/demo/things", headers=[("Authorization", "Bearer viewer"), ("Authorization", "Bearer admin")])

    assert_problem(answer, 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_written_as_one_likes(api: httpx.Client, scheme: str) -> None:
    assert api.get("/demo/things", headers={"Authorization": f"{scheme} viewer"}).status_code == 200


def test_bad_credentials_are_told_as_such_without_a_reason(api: httpx.Client) -> None:
    answer = api.get("/demo/things", headers=bearer("forged"))

    assert "never seen" not in json.dumps(assert_problem(answer, 401))
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_credentials_that_cannot_be_checked_are_a_503(api: httpx.Client) -> None:
    answer = api.get("/demo/things", headers=bearer("away"))

    assert assert_problem(answer, 503)["detail"] == "the doorkeeper is away"
    assert int(answer.headers["retry-after"]) > 0


def test_a_bug_in_the_check_lets_nobody_in_and_tells_nothing(api: httpx.Client) -> None:
    assert "secret" not in json.dumps(assert_problem(api.get("/demo/things", headers=bearer("bug")), 500))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("GET", "/demo/forgotten"), ("PATCH", "/demo/things")],
)
def test_strangers_learn_nothing_about_what_exists(api: httpx.Client, method: str, path: str) -> None:
    assert_problem(api.request(method, path), 401)


def test_strangers_bodies_are_not_even_read(api: httpx.Client) -> None:
    answer = api.post("/demo/policies", content=b"{", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 401)


@pytest.mark.parametrize("path", ["/", "/demo", "/docs", "/openapi.json", "/metrics", "/healthz", "/healthz/"])
def test_health_figures_and_documents_are_open(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 200
    assert api.get(path, headers=bearer("forged")).status_code == 200


def test_an_app_without_a_guard_lets_nobody_through_a_role(caplog: pytest.LogCaptureFixture) -> None:
    with serving(create_app(None)) as unguarded:
        assert_problem(unguarded.get("/demo/things"), 500)


def test_who_called_stands_in_the_log_of_requests(api: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        said = api.get("/demo/things", headers=bearer("viewer") | {"X-Request-Id": "r-1"}).json()

    assert said["actor"] == "test:viewer"
    assert said["request_id"] == "r-1"


def test_the_description_says_which_role_each_operation_needs(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()

    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for (method, path), role in ROUTES.items():
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == [{"bearer": [role.value]}]
        assert {"401", "403"} <= set(operation["responses"])
        assert set(operation["responses"]["401"]["content"]) == {"application/problem+json"}
    assert "security" not in document["paths"]["/demo/forgotten"]["get"]


def test_where_nobody_is_asked_the_description_asks_for_nothing(open_api: httpx.Client) -> None:
    document = open_api.get("/openapi.json").text

    assert '"security"' not in document
    assert "securitySchemes" not in document


def test_documents_can_be_kept_back() -> None:
    with serving(create_app(Access(), docs=False)) as closed:
        assert [closed.get(path).status_code for path in ("/docs", "/openapi.json")] == [404, 404]
        assert set(closed.get("/").json()) == {"title", "version", "root"}


class TestWithoutAuthentication:
    @pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route != ("PUT", "/demo/things")])
    def test_whoever_is_on_this_machine_may_do_everything(self, open_api: httpx.Client, method: str, path: str) -> None:
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
    def test_a_name_that_anybody_can_point_here_is_not_answered(self, open_api: httpx.Client, host: str) -> None:
        assert_problem(open_api.get("/demo/things", headers={"Host": host}), 421)

    def test_of_two_names_neither_is_believed(self, open_api: httpx.Client) -> None:
        request = b"GET /demo/things HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        with socket.create_connection((open_api.base_url.host, open_api.base_url.port), timeout=10) as connection:
            connection.sendall(request)
            assert connection.recv(100).startswith(b"HTTP/1.1 421 ")

    @pytest.mark.parametrize("host", ["localhost:99", "127.0.0.1", "[::1]:80", "build-7", "x.localhost", "10.0.0.7"])
    def test_names_of_this_machine_are_answered(self, open_api: httpx.Client, host: str) -> None:
        assert open_api.get("/demo/things", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1"])
    def test_another_sites_page_may_change_nothing(self, open_api: httpx.Client, origin: str) -> None:
        assert_problem(open_api.post("/demo/policies", headers={"Origin": origin}), 403)

    def test_our_own_pages_and_named_ones_may(self, open_api: httpx.Client) -> None:
        ours = f"http://{open_api.base_url.host}:{open_api.base_url.port}"
        for origin in (ours, "https://console.example"):
            assert open_api.post("/demo/policies", headers={"Origin": origin}).status_code == 200

    def test_with_credentials_a_page_needs_them_so_its_name_does_not_matter(self, api: httpx.Client) -> None:
        assert api.post("/demo/policies", headers=bearer("admin") | PAGE).status_code == 200
        assert api.get("/demo/things", headers=bearer("viewer") | {"Host": "api.example"}).status_code == 200


class TestOrigins:
    def ask(self, api: httpx.Client, origin: str) -> httpx.Response:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-reason",
        }
        return api.options("/demo/policies", headers=headers)

    def test_no_page_may_read_answers_by_default(self) -> None:
        with serving(create_app(Access(Doorkeeper()))) as closed:
            answer = closed.get("/demo/things", headers=bearer("viewer") | {"Origin": "https://console.example"})
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert_problem(self.ask(closed, "https://console.example"), 401)

    def test_a_named_origin_may_ask_first_without_credentials(self, api: httpx.Client) -> None:
        answer = self.ask(api, "https://console.example")

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://console.example"
        assert "access-control-allow-credentials" not in answer.headers

    @pytest.mark.parametrize("token", ["viewer", "forged"])
    def test_a_named_origin_may_read_answers_refusals_too(self, api: httpx.Client, token: str) -> None:
        answer = api.get("/demo/things", headers=bearer(token) | {"Origin": "https://console.example"})

        assert answer.headers["access-control-allow-origin"] == "https://console.example"
        assert "X-Request-Id" in answer.headers["access-control-expose-headers"]

    @pytest.mark.parametrize("origin", ["https://evil.example", "https://console.example.evil.example", "null"])
    def test_other_origins_may_not(self, api: httpx.Client, origin: str) -> None:
        assert "access-control-allow-origin" not in self.ask(api, origin).headers
        answer = api.get("/demo/things", headers=bearer("viewer") | {"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers


class TestHeaders:
    def test_answers_may_not_be_shown_as_pages(self, api: httpx.Client) -> None:
        answer = api.get("/demo/things", headers=bearer("viewer"))

        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"

    def test_the_documents_page_may_run_its_own_script_and_no_other(self, api: httpx.Client) -> None:
        policy = api.get("/docs").headers["content-security-policy"]

        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "'sha256-" in scripts
        assert "unsafe" not in scripts
        assert "frame-ancestors 'none'" in policy

    def test_browsers_are_told_to_insist_on_tls_only_where_it_is_spoken(self, api: httpx.Client) -> None:
        # The server takes the word of a proxy on this machine, as it would of those in FORWARDED_ALLOW_IPS.
        over_tls = api.get("/healthz", headers={"X-Forwarded-Proto": "https"})

        assert over_tls.headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in api.get("/healthz").headers


class TestRate:
    def test_too_many_requests_are_told_when_to_come_again(self) -> None:
        with serving(create_app(Access(Doorkeeper(), RateLimit(3)))) as api:
            answers = [api.get("/demo/things", headers=bearer("viewer")) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            assert_problem(answers[3], 429)
            assert 1 <= int(answers[3].headers["retry-after"]) <= 20
            assert api.get("/demo/things", headers=bearer("admin")).status_code == 200
            assert api.get("/healthz").status_code == 200

    def test_guessing_is_counted_by_address(self) -> None:
        with serving(create_app(Access(Doorkeeper(), RateLimit(3)))) as api:
            guesses = [api.get("/demo/things", headers=bearer(f"guess-{n}")).status_code for n in range(5)]
            assert guesses == [401, 401, 401, 429, 429]
            assert api.get("/demo/things", headers=bearer("viewer")).status_code == 200

    def test_without_authentication_addresses_are_counted(self) -> None:
        with serving(create_app(Access(limit=RateLimit(2)))) as api:
            assert [api.get("/demo/things").status_code for _ in range(3)] == [200, 200, 429]
