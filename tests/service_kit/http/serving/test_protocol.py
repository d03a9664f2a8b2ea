"""What nothing has authenticated yet is bounded: heads, the time for them, trailers, bodies, and connections."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from tests.support.processes import eventually
from tests.support.serving import serving

from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.serving.protocol import MAX_HEAD_BYTES, BoundedProtocol
from service_kit.observability import metrics

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Quick(BoundedProtocol):
    """The same bounds, sooner reached."""

    head_seconds = 0.4
    message_seconds = 0.8


class SlowBody(BoundedProtocol):
    """Heads have to come soon; a body has all the time of a test."""

    head_seconds = 1.5
    message_seconds = 100


class Patient(BoundedProtocol):
    """No time limit within a test, and room for few."""

    head_seconds = probe_head_seconds = message_seconds = 100
    max_connections = 5
    max_probe_connections = 2


def create_app() -> FastAPI:
    app = base_app("Echo", "1", "/echo")
    problems.install(app, {})
    metrics.metrics_route(app)

    @app.get("/healthz")
    async def alive() -> str:
        return "alive"

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, Any]:
        body = await request.body()
        return {"size": len(body), "admin": "x-admin" in request.headers}

    return app


@pytest.fixture(scope="module")
def patient() -> Iterator[httpx.Client]:
    with serving(create_app(), Patient) as client:
        yield client


@pytest.fixture
def slow_body() -> Iterator[httpx.Client]:
    with serving(create_app(), SlowBody) as client:
        yield client


@pytest.fixture
def few() -> Iterator[httpx.Client]:
    with serving(create_app(), Patient) as client:
        yield client


@pytest.fixture
def quick() -> Iterator[httpx.Client]:
    with serving(create_app(), Quick) as client:
        yield client


def connect(api: httpx.Client) -> socket.socket:
    return socket.create_connection((api.base_url.host, api.base_url.port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    """Read until the server has sent all."""
    chunks = []
    while chunk := connection.recv(65_536):
        chunks.append(chunk)
    return b"".join(chunks)


def exchange(api: httpx.Client, *pieces: bytes) -> bytes:
    with connect(api) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return rest(connection)


def assert_problem(response: bytes, status: int) -> None:
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), response
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head.lower()
    assert json.loads(body)["status"] == status


def headers(size: int) -> bytes:
    """Return headers of at least that size in all, none of them large."""
    line = b"X-Filler: " + b"x" * 88 + b"\r\n"
    return line * (1 + size // len(line))


@pytest.mark.parametrize(
    "pieces",
    [
        (b"GET / HTTP/1.1\r\n", headers(MAX_HEAD_BYTES), b"\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"x" * MAX_HEAD_BYTES),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"x" * MAX_HEAD_BYTES),
        (b"GET /", b"x" * MAX_HEAD_BYTES),
        (HEAD, headers(4 * MAX_HEAD_BYTES)),
        (REQUEST, *[b"GET / HTTP/1.1\r\n", *[headers(MAX_HEAD_BYTES)] * 6]),
    ],
    ids=["many headers", "one header", "a name", "a path", "before a body", "second request"],
)
def test_a_head_over_the_bound_is_a_431(patient: httpx.Client, pieces: tuple[bytes, ...]) -> None:
    response = exchange(patient, *pieces)

    assert_problem(response[response.rindex(b"HTTP/1.1 ") :], 431)


def test_a_head_within_the_bound_is_served_in_one_piece_or_many(patient: httpx.Client) -> None:
    filler = headers(MAX_HEAD_BYTES - 1_000)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + filler + b"\r\n"
    pieces = [request[start : start + 9_999] for start in range(0, len(request), 9_999)]

    assert exchange(patient, request).startswith(b"HTTP/1.1 200 ")
    assert exchange(patient, *pieces).startswith(b"HTTP/1.1 200 ")


def test_a_large_body_behind_a_small_head_is_no_large_head(patient: httpx.Client) -> None:
    body = json.dumps("x" * 3 * MAX_HEAD_BYTES).encode()
    head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    assert b'{"size":%d,' % len(body) in exchange(patient, head + body)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


def test_trailers_over_the_bound_close_the_connection(patient: httpx.Client) -> None:
    with connect(patient) as connection:
        connection.sendall(CHUNKED)
        for _ in range(12):
            connection.sendall(headers(MAX_HEAD_BYTES // 2))
        assert_problem(rest(connection), 431)


def test_trailers_are_not_taken_for_headers(patient: httpx.Client) -> None:
    request = CHUNKED.replace(b"Host", b"Connection: close\r\nHost") + b"X-Admin: yes\r\n\r\n"

    assert b'{"size":2,"admin":false}' in exchange(patient, request)


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\n\r\n"]
)
def test_what_is_not_http_is_a_problem_too(patient: httpx.Client, request_: bytes) -> None:
    assert_problem(exchange(patient, request_), 400)


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost", b"\r\n\r\n", REQUEST + b"GET"])
def test_a_head_that_does_not_arrive_in_time_is_a_408(quick: httpx.Client, begun: bytes) -> None:
    response = exchange(quick, begun)

    assert_problem(response[response.rindex(b"HTTP/1.1 ") :], 408)


def test_line_breaks_do_not_keep_an_idle_connection(quick: httpx.Client) -> None:
    with connect(quick) as connection:
        connection.sendall(REQUEST)
        assert read_response(connection) == b"200"
        connection.sendall(b"\r\n")

        assert_problem(rest(connection), 408)


def test_dripping_does_not_prolong_the_time_for_a_head(quick: httpx.Client) -> None:
    with connect(quick) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        connection.settimeout(0.05)

        def dripped() -> bytes:
            try:
                connection.sendall(b"x")
                return connection.recv(65_536)
            except TimeoutError:
                return b""

        assert_problem(eventually(dripped, 20, "the end of the connection"), 408)


def test_a_connection_that_asks_nothing_is_closed_without_a_response(quick: httpx.Client) -> None:
    assert exchange(quick) == b""


@pytest.mark.parametrize("pieces", [[REQUEST], [HEAD + b"Content-Length: 2\r\n\r\n", b"{", b"}"]], ids=["GET", "POST"])
def test_a_connection_that_has_asked_may_rest(slow_body: httpx.Client, pieces: list[bytes]) -> None:
    with connect(slow_body) as connection, connect(slow_body) as other:
        for _ in range(2):
            for piece in pieces:
                connection.sendall(piece)
                assert status_of(other, b"/healthz") == b"200"  # by now the piece has arrived, by itself
            assert read_response(connection) == b"200"
            # A head that never ends shows when the time for heads is over.
            assert_problem(exchange(slow_body, b"GET"), 408)


def test_a_body_that_no_route_reads_ends_in_time(quick: httpx.Client) -> None:
    response = exchange(quick, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"x")

    assert response.startswith(b"HTTP/1.1 200 ")
    assert_problem(response[response.rindex(b"HTTP/1.1 ") :], 408)


def status_of(connection: socket.socket, path: bytes) -> bytes:
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    return read_response(connection)


def read_response(connection: socket.socket) -> bytes:
    """Read one whole response; return its status."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return b"%d" % response.status


def test_of_too_many_connections_the_last_ones_are_refused_and_health_still_responds(few: httpx.Client) -> None:
    with ExitStack() as open_connections:
        taken = [open_connections.enter_context(connect(few)) for _ in range(Patient.max_connections)]
        assert {status_of(one, b"/") for one in taken} == {b"200"}

        refused = exchange(few, REQUEST)
        assert_problem(refused, 503)
        assert b"retry-after: 5" in refused.lower()
        with connect(few) as probe:
            assert status_of(probe, b"/healthz") == b"200"
        assert {status_of(one, b"/") for one in taken} == {b"200"}
        kept: list[socket.socket] = []

        def is_refused() -> bool:
            """Open one connection more; the refused one hears so without having asked."""
            one = open_connections.enter_context(connect(few))
            one.settimeout(0.2)
            with suppress(TimeoutError):
                return one.recv(65_536).startswith(b"HTTP/1.1 503 ")
            kept.append(one)
            return False

        eventually(is_refused, 20, "a connection too many refused")
        assert len(kept) <= Patient.max_probe_connections

    def has_room() -> bool:
        with suppress(ConnectionResetError):  # refused before it was asked
            return exchange(few, REQUEST[:-2] + b"Connection: close\r\n\r\n")[9:12] == b"200"
        return False

    eventually(has_room, 20, "room")


def test_refusals_are_counted(patient: httpx.Client) -> None:
    def counted() -> float:
        return metrics.REGISTRY.get_sample_value("http_connections_refused_total", {"status": "400"}) or 0.0

    before = counted()
    exchange(patient, b"nonsense\r\n\r\n")

    assert counted() == before + 1
