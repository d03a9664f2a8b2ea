"""An error that nothing else handled is a logged 500 without detail, in whichever layer it happened."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service_kit.http.guarded import KnownTokens, bearer
from tests.service_kit.http.responses import assert_problem, logged
from tests.support.guarded_api import create_app
from tests.support.serving import serving

from service_kit.auth.access import Access
from service_kit.http.middleware import guard, json_bodies, paths, request_log


@pytest.mark.parametrize("path", ["/demo/bug", "/demo/database-bug"])
def test_a_bug_is_a_logged_500_without_detail(demo: httpx.Client, demo_log: Path, path: str) -> None:
    response = demo.get(path)

    problem = assert_problem(response, 500)
    assert "detail" not in problem
    line = logged(demo_log, response.headers["x-request-id"], "http.request.failed")
    assert "Traceback" in line["exception"]
    assert logged(demo_log, response.headers["x-request-id"])["status"] == 500


def test_a_stream_that_breaks_is_not_taken_for_a_whole_one(demo: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        demo.get("/demo/broken-stream")


def fail(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("module", "function"),
    [(guard, "address_of"), (guard, "_authenticate"), (paths, "_what_is_wrong"), (json_bodies, "_parse")],
)
def test_a_middleware_that_fails_is_a_problem_with_the_requests_id(
    monkeypatch: pytest.MonkeyPatch, module: Any, function: str
) -> None:
    with serving(create_app(Access(KnownTokens()))) as api:
        monkeypatch.setattr(module, function, fail)
        response = api.post("/demo/policies", headers=bearer("approver"), json={})

    assert "detail" not in assert_problem(response, 500)


def test_even_the_request_log_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(create_app(Access())) as api:
        monkeypatch.setattr(request_log, "_request_id", fail)
        response = api.get("/demo/things")

    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert response.json() == {"type": "about:blank", "title": "Internal Server Error", "status": 500, "errors": []}
