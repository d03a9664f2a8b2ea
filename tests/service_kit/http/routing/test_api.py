"""The table finds the route that FastAPI's router would, and leaves to it what is no JSON route."""

from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import Mount
from starlette.convertors import StringConvertor, register_url_convertor
from tests.service_kit.http.responses import assert_problem

from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.routing.api import Api, RouteTable
from service_kit.http.routing.routes import JsonRoute


class Shelf(StringConvertor):
    regex = r"(?!best$)[^/]+"


register_url_convertor("test_shelf", Shelf())


def route(name: str, *methods: str) -> JsonRoute:
    def endpoint() -> str:
        return name

    return JsonRoute("/any", endpoint, methods=list(methods) or ["GET"])


@pytest.fixture
def table() -> RouteTable:
    table = RouteTable()
    for path, methods in (
        ("/books", ("GET",)),
        ("/books", ("POST",)),
        ("/books/best", ("GET",)),
        ("/books/{book:test_shelf}", ("GET", "DELETE")),
        ("/books/{book:test_shelf}/pages/{number:int}", ("GET",)),
        ("/books/{book}/cover", ("GET",)),
        ("/files/{name:path}", ("GET",)),
    ):
        table.add(path, route(f"{methods[0]} {path}", *methods))
    return table


@pytest.mark.parametrize(
    ("method", "path", "found", "parameters"),
    [
        ("GET", "/books", "GET /books", {}),
        ("POST", "/books", "POST /books", {}),
        ("GET", "/books/best", "GET /books/best", {}),
        ("GET", "/books/best%", "GET /books/{book:test_shelf}", {"book": "best%"}),
        ("DELETE", "/books/7", "GET /books/{book:test_shelf}", {"book": "7"}),
        (
            "GET",
            "/books/7/pages/12",
            "GET /books/{book:test_shelf}/pages/{number:int}",
            {"book": "7", "number": 12},
        ),
        ("GET", "/books/best/cover", "GET /books/{book}/cover", {"book": "best"}),
        ("GET", "/files/a/b", "GET /files/{name:path}", {"name": "a/b"}),
    ],
)
def test_a_path_leads_to_its_route(
    table: RouteTable, method: str, path: str, found: str, parameters: dict[str, Any]
) -> None:
    chosen = table.find(method, path)

    assert chosen is not None
    assert (chosen[0].endpoint(), chosen[1]) == (found, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/books"),
        ("DELETE", "/books/best"),
        ("GET", "/book"),
        ("GET", "/books/"),
        ("GET", "/books/7/8"),
        ("GET", "/books/7/pages/last"),
        ("GET", "/books\n"),
        ("GET", ""),
    ],
)
def test_what_has_no_route_is_left_to_the_router(table: RouteTable, method: str, path: str) -> None:
    assert table.find(method, path) is None


def test_an_empty_table_finds_nothing() -> None:
    assert RouteTable().find("GET", "/") is None


def served(app: Api) -> httpx.AsyncClient:
    problems.install(app, {})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://books")


@pytest.mark.anyio
async def test_the_router_answers_for_paths_methods_and_routes_that_the_table_has_not() -> None:
    app = base_app("Books", "1", "/books")
    router = APIRouter(route_class=JsonRoute)
    router.get("/{book}")(lambda book: book)
    app.include_router(router, prefix="/books")
    client = served(app)

    assert (await client.get("/books/7")).json() == "7"
    assert (await client.get("/books")).json()["root"] == "/books"
    assert_problem(await client.get("/nothing"), 404)
    response = await client.put("/books/7", json={})
    assert_problem(response, 405)
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.anyio
async def test_a_path_behind_a_mount_is_the_router_s() -> None:
    app = base_app("Books", "1", "/books")

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["root_path"].encode()})

    app.router.routes.append(Mount("/old", mounted))

    assert (await served(app).get("/old/7")).text == "/old"


@pytest.mark.anyio
async def test_an_error_of_an_error_s_handler_is_a_500() -> None:
    app = base_app("Books", "1", "/books")
    router = APIRouter(route_class=JsonRoute)

    @router.get("/x")
    async def fail() -> None:
        raise LookupError

    async def handle(_request: Any, _error: Exception) -> Any:
        raise ZeroDivisionError

    app.include_router(router)
    app.add_exception_handler(LookupError, handle)

    assert_problem(await served(app).get("/x"), 500)
