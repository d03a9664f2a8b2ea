"""Query parameters are refused by name when a route does not know them, or takes one only once."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, Query
from tests.service_kit.http.responses import assert_problem, fields

from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.problems import MAX_ERRORS
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(route_class=JsonRoute)


def wanted_format(as_file: Annotated[bool, Query(alias="as-file")] = False) -> bool:
    return as_file


@router.get("/list")
async def show(
    as_file: Annotated[bool, Depends(wanted_format)],
    payment_status: str | None = None,
    level: Annotated[list[str] | None, Query()] = None,
    limit: int = 3,
) -> list[Any]:
    return [as_file, payment_status, level, limit]


@router.get("/plain")
async def plain() -> str:
    return "plain"


@router.post("/plain")
async def post() -> str:
    return "posted"


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = base_app("Strict", "1", "/strict")
    problems.install(app, {})
    app.include_router(router, prefix="/strict")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://strict/strict")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("payment_staus=PAID", "payment_staus", "unknown parameter; did you mean payment_status?"),
        ("Limit=4", "Limit", "unknown parameter; did you mean limit?"),
        ("level[]=a", "query", "unknown parameter; did you mean level?"),
        ("as_file=true", "as_file", "unknown parameter; did you mean as-file?"),
        ("colour", "colour", "unknown parameter; known here: payment_status, level, limit, as-file"),
        ("colour=1&limit=5", "colour", "unknown parameter; known here: payment_status, level, limit, as-file"),
        ("limit=1&limit=2", "limit", "is given more than once"),
        ("limit=1&limit=1", "limit", "is given more than once"),
        ("as-file=1&as-file=0", "as-file", "is given more than once"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_name(
    client: httpx.AsyncClient, query: str, field: str, message: str
) -> None:
    problem = assert_problem(await client.get(f"/list?{query}"), 422)

    assert problem["errors"] == [{"field": field, "message": message}]
    assert problem["detail"] == f"{field}: {message}"


@pytest.mark.anyio
async def test_known_parameters_pass_also_those_of_dependencies_and_repeated_lists(client: httpx.AsyncClient) -> None:
    response = await client.get("/list?level=a&level=b&as-file=true&limit=5&payment_status=")

    assert response.json() == [True, "", ["a", "b"], 5]


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_route_without_parameters_refuses_any(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/plain?dry_run=true")

    assert response.status_code == 422
    if method != "HEAD":
        assert problems_of(response) == {"dry_run": "unknown parameter; known here: none"}


@pytest.mark.anyio
async def test_thousands_of_unknown_parameters_are_counted_and_the_first_are_named(client: httpx.AsyncClient) -> None:
    query = "&".join(f"limit{number}=1" for number in range(4_000))

    problem = assert_problem(await client.get(f"/list?{query}"), 422)

    assert fields(problem) == [f"limit{number}" for number in range(MAX_ERRORS)]
    assert problem["errors_total"] == 4_000


def problems_of(response: httpx.Response) -> dict[str, str]:
    return {error["field"]: error["message"] for error in response.json()["errors"]}
