"""Bounds on what a JSON body holds: no NUL however deep, no object with too many names, no long parse in the loop."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from tests.service_kit.http.responses import JSON, assert_problem, fields

from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.middleware import json_bodies
from service_kit.http.middleware.json_bodies import LARGE_BYTES, MAX_DEPTH, MAX_NAMES, parsed_body
from service_kit.http.problems import MAX_TEXT_CHARS
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(route_class=JsonRoute)


@router.post("/anything")
async def anything(request: Request) -> Any:
    return parsed_body(request)


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = base_app("Anything", "1", "/anything")
    problems.install(app, {})
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://anything", headers=JSON)


NUL = b'"a\\u0000b"'


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (NUL, "body"),
        (b'{"title": ' + NUL + b"}", "title"),
        (b'{"more": [1, {"title": ' + NUL + b"}]}", "more.1.title"),
        (b'{"more": [{' + NUL + b": 1}]}", "more.0"),
        (b"{" + NUL + b": 1}", "body"),
    ],
)
async def test_a_nul_is_rejected_by_the_name_of_its_field(client: httpx.AsyncClient, body: bytes, field: str) -> None:
    assert fields(assert_problem(await client.post("/anything", content=body), 422)) == [field]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"title": 1, "title": 2}', "title"),
        (b'{"title": 1, "title": 1}', "title"),
        (b'{"title": "10:30", "count": 1, "title": 2}', "title"),
        (b'{"title": 1, "t\\u0069tle": 2}', "title"),
        (b'{"title": "\\u003a", "count": ":", "count": 1}', "count"),
        (b'{"title": {"at": ":"}, "title": 2}', "title"),
        (b'{"more": [1, {"title": {"count": 1, "count": [2]}}]}', "more.1.title.count"),
        (b'{"": 1, "": 2}', "(no field)"),
        (b'[{"title": 1}, {"title": 1, "title": 2}]', "1.title"),
        (b'{"more": {"count": 1, "count": 2}, "title": ":", "more": {}}', "more"),
        (b'{"more": ' * 250 + b'{"count": 1, "count": 2}' + b"}" * 250, "more." * 250 + "count"),
    ],
)
async def test_a_name_that_is_given_twice_is_rejected_by_name(
    client: httpx.AsyncClient, body: bytes, field: str
) -> None:
    problem = assert_problem(await client.post("/anything", content=body), 422)

    assert fields(problem) == [field[:MAX_TEXT_CHARS]]
    assert problem["detail"] == "the name is given more than once"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        {"title": "10:30", "count": 1},
        {"title": ":", ":": {"::": [":", {"title": ":", "more": {"title": ":"}}]}},
        [{"title": 1}, {"title": 1}],
        '{"title": {"count": 1}}',
        {"title": "\\u003a", "count": "\\"},
        {},
    ],
)
@pytest.mark.parametrize("escape", [False, True])
async def test_colons_and_equal_names_of_different_objects_are_no_repetition(
    client: httpx.AsyncClient, body: Any, escape: bool
) -> None:
    content = json.dumps(body)
    content = content.replace('":"', '"\\u003a"') if escape else content

    response = await client.post("/anything", content=content)

    assert (response.status_code, response.json()) == (200, body)


@pytest.mark.anyio
async def test_a_flood_of_one_name_is_rejected_by_name(client: httpx.AsyncClient) -> None:
    body = b"{" + b'"title": 1,' * 150_000 + b'"title": 1}'

    assert fields(assert_problem(await client.post("/anything", content=body), 422)) == ["title"]


@pytest.mark.anyio
@pytest.mark.parametrize("depth", [100, 250, 260, 400, 1_000, 100_000])
async def test_a_nul_at_any_depth_is_a_problem(client: httpx.AsyncClient, depth: int) -> None:
    for start, end in ((b"[", b"]"), (b'{"a":', b"}")):
        response = await client.post("/anything", content=start * depth + NUL + end * depth)

        assert fields(assert_problem(response, 422 if depth < MAX_DEPTH else 400))


def names(count: int) -> dict[str, int]:
    return {f"n{number}": number for number in range(count)}


@pytest.mark.anyio
@pytest.mark.parametrize("count", [MAX_NAMES + 1, 100_000])
@pytest.mark.parametrize(("path", "nest"), [("body", lambda o: o), ("more.2", lambda o: {"more": [1, names(9), o]})])
async def test_an_object_with_too_many_names_is_rejected(
    client: httpx.AsyncClient, count: int, path: str, nest: Callable[[object], object]
) -> None:
    response = await client.post("/anything", content=json.dumps(nest(names(count)), separators=(",", ":")))

    assert fields(assert_problem(response, 422)) == [path]
    assert len(response.content) < 1_000


@pytest.mark.anyio
async def test_many_objects_with_few_names_are_accepted(client: httpx.AsyncClient) -> None:
    body = [names(MAX_NAMES)] * 100

    assert (await client.post("/anything", content=json.dumps(body))).json() == body


@pytest.mark.anyio
@pytest.mark.parametrize("size", [10, LARGE_BYTES + 1])
async def test_a_large_body_is_parsed_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    threads: list[int] = []
    parse = json_bodies._parse

    def watched(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return parse(*given)

    monkeypatch.setattr(json_bodies, "_parse", watched)
    response = await client.post("/anything", content=json.dumps("x" * size))

    assert response.json() == "x" * size
    assert (threads == [threading.get_ident()]) is (size < LARGE_BYTES)
