"""An error that nothing else handled is a logged 500 without detail."""

from pathlib import Path

import httpx
import pytest
from tests.service_kit.http.responses import assert_problem, logged


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
