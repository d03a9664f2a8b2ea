"""A real API over real sockets: whatever a client sends, it gets an answer that it can read."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.demo_api import BODY_SECONDS, MAX_BODY_BYTES, REQUEST_SECONDS
from tests.support.processes import environment, eventually, free_port, python, repository, running

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "log"


@pytest.fixture(scope="module")
def api(log: Path) -> Iterator[httpx.Client]:
    port = free_port()
    program = repository() / "tests" / "support" / "demo_api.py"
    command = python(program, str(port), f"sqlite:///{log.parent / 'x.db'}")
    with (
        running(command, port, log, env=environment()),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        yield client


def logged(log: Path, request_id: str, event: str = "http.request") -> dict[str, Any]:
    """Return the one line of this event and request, once it has been written."""

    def find() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event and line.get("request_id") == request_id]

    [line] = eventually(find, what=f"{event} of {request_id}")
    return line


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    return problem


def fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


def raw(api: httpx.Client, request: bytes) -> bytes:
    """Send bytes that no client library would, and return the answer until the server hangs up."""
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=10) as connection:
        connection.sendall(request)
        chunks = []
        while chunk := connection.recv(65_536):
            chunks.append(chunk)
    return b"".join(chunks)


@pytest.mark.parametrize("path", ["/demo/items/5", "/demo/items/5/", "/demo/items/5//"])
def test_a_path_answers_with_and_without_a_trailing_slash(api: httpx.Client, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code == 200
    assert answer.json()["id"] == 5


@pytest.mark.parametrize("path", ["/", "/demo", "/demo/"])
def test_the_bare_address_tells_where_things_are(api: httpx.Client, path: str) -> None:
    assert api.get(path).json()["docs"] == "/docs"


def test_answers_carry_safe_headers(api: httpx.Client) -> None:
    headers = api.get("/demo/items/5").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_a_request_keeps_the_id_that_its_client_gave(api: httpx.Client, log: Path) -> None:
    answer = api.get("/demo/items/5/?search=Jane", headers={"X-Request-Id": "trace-1"})

    assert answer.headers["x-request-id"] == "trace-1"
    line = logged(log, "trace-1")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/demo/items/{item_id}", 200)
    assert line["ms"] >= 0
    assert line["service"] == "demo"
    assert "Jane" not in json.dumps(line)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "größe".encode()])
def test_an_id_that_could_upset_a_log_is_replaced(api: httpx.Client, given: str | bytes) -> None:
    answer = api.get("/demo/items/5", headers={"X-Request-Id": given})

    assert len(answer.headers["x-request-id"]) == 32


def test_an_unknown_path_is_a_problem(api: httpx.Client) -> None:
    assert assert_problem(api.get("/nowhere"), 404)["title"] == "Not Found"


def test_a_wrong_method_is_a_problem_that_names_every_right_one(api: httpx.Client) -> None:
    answer = api.put("/demo/items/5/")

    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, DELETE, HEAD, OPTIONS"


def test_options_tell_the_methods(api: httpx.Client) -> None:
    answer = api.options("/demo/items")

    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "POST, OPTIONS", b"")


def test_head_is_get_without_a_body(api: httpx.Client) -> None:
    head, get = api.head("/demo/items/5/"), api.get("/demo/items/5")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_wrong_parameters_are_named_plainly(api: httpx.Client) -> None:
    problem = assert_problem(api.get("/demo/items/x?limit=501", headers={"If-Match": "abc"}), 422)

    assert fields(problem) == ["item_id", "limit", "if-match"]


def test_wrong_fields_are_named_by_their_place_in_the_body(api: httpx.Client) -> None:
    body = [{"title": "fine"}, {"title": " "}, {"count": 11, "colour": "red"}]
    problem = assert_problem(api.post("/demo/lists", json=body), 422)

    assert fields(problem) == ["1.title", "2.title", "2.count", "2.colour"]
    assert problem["errors"][0]["message"] == "must not be blank"


def test_a_problem_never_repeats_what_was_sent(api: httpx.Client) -> None:
    answer = api.post("/demo/items", json={"title": 5, "count": "Jane Doe", "weight": "4111-1111"})

    assert_problem(answer, 422)
    assert "Jane" not in answer.text
    assert "4111" not in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b'{"title": "x", "weight": NaN}', 400),
        (b'{"title": "x", "weight": -Infinity}', 400),
        (b'{"title": "x", "weight": 1e999}', 400),
        (b'{"title": "\\ud800"}', 400),
        (b'{"\\ud800": 1}', 400),
        (b'{"title": "\xff"}', 400),
        ('{"title": "x"}'.encode("utf-16"), 400),
        (b'{"title": "a\\u0000b"}', 422),
        (b'{"a\\u0000b": 1}', 422),
        (b'{"title": "x", "count": ' + b"9" * 40 + b"}", 422),
        (b'{"title": "x", "count": ' + b"9" * 5_000 + b"}", 400),
        (b'{"title": ' + b"[" * 4_000 + b"]" * 4_000 + b"}", 400),
    ],
)
@pytest.mark.parametrize("path", ["/demo/items", "/demo/lists"])
def test_a_body_that_cannot_be_taken_is_refused(api: httpx.Client, path: str, body: bytes, status: int) -> None:
    problem = assert_problem(api.post(path, content=body, headers=JSON), status)

    assert fields(problem)


def test_an_escaped_backslash_before_u0000_is_not_a_nul(api: httpx.Client) -> None:
    answer = api.post("/demo/items", content=rb'{"title": "\\u0000"}', headers=JSON)

    assert answer.json()["title"] == r"\u0000"


@pytest.mark.parametrize(
    "target", ["/demo/items/5?search=%ff", "/demo/items/%ff", "/demo/items/5?search=%00", "/%ED%A0%80"]
)
def test_a_path_or_query_that_is_no_text_is_refused(api: httpx.Client, target: str) -> None:
    assert_problem(api.get(target), 400)


def test_raw_bytes_in_a_path_are_refused(api: httpx.Client) -> None:
    answer = raw(api, b"GET /demo/items/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_that_is_not_called_json_is_refused(api: httpx.Client, media_type: str) -> None:
    answer = api.post("/demo/items", content=b'{"title": "x"}', headers={"Content-Type": media_type})

    assert assert_problem(answer, 415)["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
def test_every_kind_of_json_is_taken(api: httpx.Client, media_type: str) -> None:
    answer = api.post("/demo/items/", content=b'{"title": "x"}', headers={"Content-Type": media_type})

    assert answer.status_code == 201


def test_a_compressed_body_is_refused(api: httpx.Client) -> None:
    assert_problem(api.post("/demo/items", content=b"x", headers={**JSON, "Content-Encoding": "gzip"}), 415)


@pytest.mark.parametrize("times", [1.1, 7, 30])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_over_the_limit_is_refused(api: httpx.Client, times: float, streamed: bool) -> None:
    body = b'{"title": "' + b"x" * int(times * MAX_BODY_BYTES) + b'"}'
    chunks = (body[start : start + 4_096] for start in range(0, len(body), 4_096))

    answer = api.post("/demo/items", content=chunks if streamed else body, headers=JSON)

    assert f"over {MAX_BODY_BYTES} bytes" in assert_problem(answer, 413)["detail"]


def test_a_body_at_the_limit_is_taken(api: httpx.Client) -> None:
    body = b'{"title": "' + b"x" * (MAX_BODY_BYTES - 13) + b'"}'

    assert len(body) == MAX_BODY_BYTES
    assert api.post("/demo/items", content=body, headers=JSON).status_code == 201


def test_a_body_that_never_ends_is_given_up(api: httpx.Client) -> None:
    began = time.monotonic()
    head = b"POST /demo/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"

    answer = raw(api, head + b'{"title"')

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert BODY_SECONDS <= time.monotonic() - began < BODY_SECONDS + 3


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_ours(api: httpx.Client, log: Path) -> None:
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=10) as connection:
        connection.sendall(b"POST /demo/items HTTP/1.1\r\nHost: x\r\nX-Request-Id: left\r\nContent-Length: 9\r\n\r\n{")

    assert logged(log, "left")["status"] == 400


def test_a_request_that_takes_too_long_is_answered_all_the_same(api: httpx.Client) -> None:
    began = time.monotonic()

    answer = api.get("/demo/slow?seconds=4")

    assert_problem(answer, 503)
    assert answer.headers["retry-after"]
    assert REQUEST_SECONDS <= time.monotonic() - began < 3.5


def test_a_stream_may_take_longer_than_a_request(api: httpx.Client) -> None:
    began = time.monotonic()
    with api.stream("GET", "/demo/stream") as answer:
        for line in answer.iter_lines():
            assert line == "tick"
            if time.monotonic() - began > REQUEST_SECONDS + 0.5:
                break


def test_a_stream_that_breaks_is_not_taken_for_a_whole_one(api: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/demo/broken-stream")


def test_an_error_of_the_service_is_answered_as_its_table_says(api: httpx.Client) -> None:
    problem = assert_problem(api.get("/demo/gone"), 410)

    assert (problem["title"], problem["detail"]) == ("Shelf gone", "the registry is gone")
    assert problem["errors"] == [{"field": "registry", "message": "the registry is gone"}]


@pytest.mark.parametrize("path", ["/demo/bug", "/demo/database-bug"])
def test_a_bug_is_a_logged_500_without_detail(api: httpx.Client, log: Path, path: str) -> None:
    answer = api.get(path)

    problem = assert_problem(answer, 500)
    assert "detail" not in problem
    line = logged(log, answer.headers["x-request-id"], "http.request.failed")
    assert "Traceback" in line["exception"]
    assert logged(log, answer.headers["x-request-id"])["status"] == 500


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/demo/database-away", "the database cannot be reached"), ("/demo/queue-away", "queue work does not exist")],
)
def test_an_outage_is_a_503_that_says_why(api: httpx.Client, path: str, reason: str) -> None:
    answer = api.get(path)

    assert assert_problem(answer, 503)["detail"] == reason
    assert int(answer.headers["retry-after"]) > 0


def test_the_description_shows_problems_as_we_answer_them(api: httpx.Client) -> None:
    schema = api.get("/openapi.json").json()

    responses = schema["paths"]["/demo/items"]["post"]["responses"]
    assert set(responses["422"]["content"]) == {"application/problem+json"}
    assert {"Problem", "FieldProblem"} <= set(schema["components"]["schemas"])
    assert "HTTPValidationError" not in json.dumps(schema)


def test_requests_are_measured_by_route(api: httpx.Client) -> None:
    api.get("/demo/items/77")

    metrics = api.get("/metrics").text

    assert 'http_request_seconds_count{method="GET",route="/demo/items/{item_id}",status="200"}' in metrics
    assert "/77" not in metrics
