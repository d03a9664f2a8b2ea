"""A body reaches the route parsed, or the client gets a problem that says why not."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import pytest
import starlette.requests
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from tests.service_kit.http.responses import JSON, assert_problem, fields, logged, raw
from tests.support.demo_api import BODY_SECONDS, MAX_BODY_BYTES

from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.middleware import json_bodies
from service_kit.http.middleware.json_bodies import MAX_DEPTH, parsed_body
from service_kit.http.routing.routes import JsonRoute


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
        (b'{"title": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", 400),
    ],
)
@pytest.mark.parametrize("path", ["/demo/items", "/demo/lists"])
def test_an_invalid_body_is_rejected(demo: httpx.Client, path: str, body: bytes, status: int) -> None:
    problem = assert_problem(demo.post(path, content=body, headers=JSON), status)

    assert fields(problem)


def test_an_escaped_backslash_before_u0000_is_not_a_nul(demo: httpx.Client) -> None:
    response = demo.post("/demo/items", content=rb'{"title": "\\u0000"}', headers=JSON)

    assert response.json()["title"] == r"\u0000"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_that_is_not_called_json_is_rejected(demo: httpx.Client, media_type: str) -> None:
    response = demo.post("/demo/items", content=b'{"title": "x"}', headers={"Content-Type": media_type})

    assert assert_problem(response, 415)["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
def test_every_kind_of_json_is_accepted(demo: httpx.Client, media_type: str) -> None:
    response = demo.post("/demo/items/", content=b'{"title": "x"}', headers={"Content-Type": media_type})

    assert response.status_code == 201


def test_a_compressed_body_is_rejected(demo: httpx.Client) -> None:
    assert_problem(demo.post("/demo/items", content=b"x", headers={**JSON, "Content-Encoding": "gzip"}), 415)


@pytest.mark.parametrize("times", [1.1, 7, 30])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_over_the_limit_is_rejected(demo: httpx.Client, times: float, streamed: bool) -> None:
    body = b'{"title": "' + b"x" * int(times * MAX_BODY_BYTES) + b'"}'
    chunks = (body[start : start + 4_096] for start in range(0, len(body), 4_096))

    response = demo.post("/demo/items", content=chunks if streamed else body, headers=JSON)

    assert f"over {MAX_BODY_BYTES} bytes" in assert_problem(response, 413)["detail"]


def test_a_body_at_the_limit_is_accepted(demo: httpx.Client) -> None:
    body = b'{"title": "' + b"x" * (MAX_BODY_BYTES - 13) + b'"}'

    assert len(body) == MAX_BODY_BYTES
    assert demo.post("/demo/items", content=body, headers=JSON).status_code == 201


def test_a_body_that_never_ends_times_out(demo: httpx.Client) -> None:
    began = time.monotonic()
    head = b"POST /demo/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"

    response = raw(demo, head + b'{"title"')

    assert response.startswith(b"HTTP/1.1 408 ")
    assert BODY_SECONDS <= time.monotonic() - began < BODY_SECONDS + 3


def test_a_client_that_disconnects_within_its_body_is_no_error_of_ours(demo: httpx.Client, demo_log: Path) -> None:
    with socket.create_connection((demo.base_url.host, demo.base_url.port), timeout=10) as connection:
        connection.sendall(b"POST /demo/items HTTP/1.1\r\nHost: x\r\nX-Request-Id: left\r\nContent-Length: 9\r\n\r\n{")

    assert logged(demo_log, "left")["status"] == 400


class Book(BaseModel):
    title: str


class Echo(BaseModel):
    """What a route got of its request."""

    model: str | None
    parsed: Any
    raw: str


router = APIRouter(route_class=JsonRoute)


@router.post("/books")
async def create(book: Book, request: Request, parsed: Annotated[Any, Depends(parsed_body)]) -> Echo:
    return Echo(model=book.title, parsed=parsed, raw=(await request.body()).decode())


@router.post("/anything")
async def anything(request: Request) -> Echo:
    return Echo(model=None, parsed=parsed_body(request), raw=(await request.body()).decode())


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = base_app("Books", "1", "/books")
    problems.install(app, {})
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://books", headers=JSON)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The texts that were parsed as JSON, by the middleware or by the framework."""
    texts: list[bytes] = []

    class Counting:
        JSONDecodeError = orjson.JSONDecodeError

        @staticmethod
        def loads(text: bytes) -> Any:
            texts.append(text)
            return orjson.loads(text)

    monkeypatch.setattr(json_bodies, "orjson", Counting)
    monkeypatch.setattr(starlette.requests, "json", Counting)
    return texts


@pytest.mark.anyio
async def test_a_body_is_parsed_once_for_its_model_and_for_the_route(
    client: httpx.AsyncClient, parsed: list[bytes]
) -> None:
    body = '{"title": "Emma", "more": [1, 2.5, null]}'

    response = await client.post("/books", content=body)

    assert parsed == [body.encode()]
    assert response.json() == {"model": "Emma", "parsed": {"title": "Emma", "more": [1, 2.5, None]}, "raw": body}


@pytest.mark.anyio
async def test_a_route_of_another_class_gets_the_same_body(parsed: list[bytes]) -> None:
    app = base_app("Books", "1", "/books")
    app.post("/books")(create)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://books", headers=JSON) as client:
        response = await client.post("/books", content='{"title": "Emma"}')

    assert response.json()["parsed"] == {"title": "Emma"}
    assert len(parsed) == 2, "FastAPI parses it again"


@pytest.mark.anyio
async def test_a_request_without_a_body_has_nothing_parsed(client: httpx.AsyncClient, parsed: list[bytes]) -> None:
    response = await client.post("/anything", content=b"", headers={"Content-Type": "text/plain"})

    assert response.json() == {"model": None, "parsed": None, "raw": ""}
    assert parsed == []


@pytest.mark.anyio
async def test_wrong_fields_of_a_parsed_body_are_named(client: httpx.AsyncClient, parsed: list[bytes]) -> None:
    response = await client.post("/books", content='{"title": 7}')

    assert fields(assert_problem(response, 422)) == ["title"]
    assert len(parsed) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("body", ["7", "[]", "null", "{", ""])
async def test_a_body_that_is_no_model_is_a_problem_of_the_body(client: httpx.AsyncClient, body: str) -> None:
    response = await client.post("/books", content=body)

    assert fields(assert_problem(response, 400 if body == "{" else 422)) == ["body"]


@pytest.mark.anyio
@pytest.mark.parametrize("nest", [lambda inner: [inner], lambda inner: {"more": [1, inner]}], ids=["lists", "objects"])
async def test_whatever_reaches_a_route_can_be_written_as_json_again(
    client: httpx.AsyncClient, nest: Callable[[object], object]
) -> None:
    bodies = [b"[]"]
    while len(bodies) < 2 * MAX_DEPTH and len(bodies[-1]) < MAX_BODY_BYTES:
        bodies.append(json.dumps(nest("inner")).encode().replace(b'"inner"', bodies[-1]))

    statuses = [(await client.post("/anything", content=body)).status_code for body in bodies[:: MAX_DEPTH // 10]]

    assert statuses == sorted(statuses)
    assert set(statuses) == {200, 400}


@pytest.mark.anyio
async def test_a_long_list_is_not_a_deep_one(client: httpx.AsyncClient) -> None:
    body = json.dumps([{"values": [number]} for number in range(MAX_DEPTH)])

    assert len((await client.post("/anything", content=body)).json()["parsed"]) == MAX_DEPTH
