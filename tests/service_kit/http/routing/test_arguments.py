"""The arguments of a route are what FastAPI would give it, and what routes have no use for is refused at the start."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, Header, Path, Query, Response
from pydantic import BaseModel
from tests.service_kit.http.responses import assert_problem

from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.routing.routes import JsonRoute

pytestmark = pytest.mark.anyio


class Book(BaseModel):
    title: str
    pages: int = 1


async def page_of(
    limit: Annotated[int, Query(ge=1)] = 10, x_order: Annotated[str | None, Header(pattern="^[a-z]+$")] = None
) -> tuple[int, str | None]:
    return limit, x_order


async def needing(_page: Annotated[Any, Depends(page_of)]) -> None:
    raise AssertionError("a dependency is not called without what it needs")


def build(router: APIRouter) -> httpx.AsyncClient:
    app = base_app("Books", "1", "/books")
    problems.install(app, {})
    app.include_router(router, prefix="/books")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://books/books")


@pytest.fixture
def client() -> httpx.AsyncClient:
    router = APIRouter(route_class=JsonRoute)

    @router.get("/{number}")
    def read(
        number: Annotated[int, Path(ge=1)],
        page: Annotated[tuple[int, str | None], Depends(page_of)],
        tags: Annotated[list[str] | None, Query()] = None,
        x_lists: Annotated[list[str], Header()] = ["none"],  # noqa: B006 - what is under test
    ) -> list[Any]:
        shown = [number, *page, tags, list(x_lists)]
        x_lists.append("changed")
        return shown

    @router.post("", status_code=201)
    async def write(book: Book) -> Book:
        return book

    @router.post("/maybe")
    async def maybe(book: Annotated[Book | None, Body()] = None) -> str:
        return "none" if book is None else book.title

    @router.put("/{number}")
    async def both(number: int, book: Book, shelf: Annotated[int, Body()]) -> list[Any]:
        return [number, book.title, shelf]

    @router.delete("/{number}", status_code=204)
    def delete(number: int) -> None:
        assert number

    return build(router)


async def test_what_was_not_sent_has_its_default_and_no_request_sees_what_another_changed(
    client: httpx.AsyncClient,
) -> None:
    for _ in range(2):
        assert (await client.get("/7")).json() == [7, 10, None, None, ["none"]]


async def test_what_was_sent_is_read(client: httpx.AsyncClient) -> None:
    headers = [("X-Order", "down"), ("x-lists", "a"), ("x-lists", "b")]

    response = await client.get("/7?limit=3&tags=a&tags=b", headers=headers)

    assert response.json() == [7, 3, "down", ["a", "b"], ["a", "b"]]


async def test_every_fault_of_a_request_is_named_those_of_dependencies_first(client: httpx.AsyncClient) -> None:
    problem = assert_problem(await client.get("/0?limit=0", headers={"X-Order": "7"}), 422)

    assert [error["field"] for error in problem["errors"]] == ["limit", "x-order", "number"]


async def test_a_body_is_validated_whole_or_by_its_parts(client: httpx.AsyncClient) -> None:
    assert (await client.post("", json={"title": "a"})).json() == {"title": "a", "pages": 1}
    assert (await client.put("/7", json={"book": {"title": "a"}, "shelf": 3})).json() == [7, "a", 3]
    for body in ({"title": 7}, [], None):
        assert_problem(await client.post("", json=body), 422)


async def test_no_body_is_missing_unless_the_route_has_a_default(client: httpx.AsyncClient) -> None:
    assert assert_problem(await client.post(""), 422)["errors"] == [{"field": "body", "message": "must be given"}]
    assert (await client.post("/maybe")).json() == "none"
    assert (await client.post("/maybe", content=b"null", headers={"Content-Type": "application/json"})).json() == "none"


async def test_a_status_without_a_body_has_none(client: httpx.AsyncClient) -> None:
    response = await client.delete("/7")

    assert (response.status_code, response.content) == (204, b"")


async def test_a_dependency_is_not_called_without_what_it_needs() -> None:
    router = APIRouter(route_class=JsonRoute)

    @router.get("/{number}")
    def read(number: int, needed: Annotated[None, Depends(needing)]) -> int:
        return number

    problem = assert_problem(await build(router).get("/seven?limit=0"), 422)

    assert [error["field"] for error in problem["errors"]] == ["limit", "number"]


def with_response(response: Response) -> None: ...


def with_background(tasks: BackgroundTasks) -> None: ...


def with_cookie(session: Annotated[str, Cookie()]) -> None: ...


def with_cleanup(opened: Annotated[None, Depends(lambda: (yield))]) -> None: ...


@pytest.mark.parametrize("route", [with_response, with_background, with_cookie, with_cleanup])
def test_what_no_route_of_ours_has_is_refused_at_the_start(route: Any) -> None:
    with pytest.raises(TypeError, match="asks for something that no route of these APIs has"):
        APIRouter(route_class=JsonRoute).get("/x")(route)
