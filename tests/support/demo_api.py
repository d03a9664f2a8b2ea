"""A tiny API on the kit's middleware, for tests to run as a process: `demo_api.py PORT SQLITE_URL`."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from service_kit.database.engine import Database
from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.routing.routes import JsonRoute
from service_kit.http.serving.server import serve
from service_kit.observability import logs, metrics
from service_kit.sqs.outages import QueueMissing

MAX_BODY_BYTES = 10_000
BODY_SECONDS = 1.0
REQUEST_SECONDS = 1.5


class ShelfGone(Exception):  # noqa: N818
    """The shelf is no longer there."""


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    count: Annotated[int, Field(ge=0, le=10)] = 0
    weight: float = 0.0

    @field_validator("title")
    @classmethod
    def not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        return value


router = APIRouter(prefix="/demo", route_class=JsonRoute)


@router.get("/items/{item_id}")
def get_item(
    item_id: Annotated[int, Path(ge=1)],
    limit: Annotated[int, Query(le=500)] = 50,
    search: str = "",
    if_match: Annotated[int | None, Header()] = None,
) -> dict[str, Any]:
    return {"id": item_id, "limit": limit, "search": search, "if_match": if_match}


@router.delete("/items/{item_id}", status_code=204)
def delete_item(item_id: int) -> None:
    return


@router.post("/items", status_code=201)
def create_item(item: Item) -> Item:
    return item


@router.post("/lists", status_code=201)
def create_list(items: list[Item]) -> int:
    return len(items)


@router.get("/gone")
def gone() -> None:
    raise ShelfGone("the shelf is gone")


@router.get("/bug")
def bug() -> None:
    raise KeyError("secret value")


@router.get("/database-away")
def database_away() -> None:
    Database("mysql+pymysql://root@127.0.0.1:1/x").ping()


@router.get("/database-bug")
def database_bug(request: Request) -> None:
    with Database(request.app.state.sqlite_url).write() as connection:
        connection.exec_driver_sql("SELECT * FROM missing")


@router.get("/queue-away")
def queue_away() -> None:
    raise QueueMissing("work")


@router.get("/slow")
def slow(request: Request, seconds: float) -> str:
    request.app.state.slow += 1
    time.sleep(seconds)
    return "done"


@router.get("/slow-so-far")
def slow_so_far(request: Request) -> int:
    """Count the slow requests that have begun, so that a test knows when its own has."""
    return int(request.app.state.slow)


@router.get("/held")
def held(request: Request) -> str:
    """Respond only after a test has released it."""
    request.app.state.released.wait(60)
    return "done"


@router.get("/release")
def release(request: Request) -> None:
    request.app.state.released.set()


@router.get("/stream")
def stream(request: Request) -> StreamingResponse:
    async def ticks() -> AsyncIterator[str]:
        while not await request.app.state.stop.wait(0.05):
            yield "tick\n"
        yield "bye\n"

    return StreamingResponse(ticks(), media_type="text/plain")


@router.get("/broken-stream")
def broken_stream() -> StreamingResponse:
    async def ticks() -> AsyncIterator[str]:
        yield "tick\n"
        await asyncio.sleep(0)
        raise ValueError("in the middle")

    return StreamingResponse(ticks(), media_type="text/plain")


def create_app(sqlite_url: str = "") -> FastAPI:
    app = base_app(
        "Demo",
        "1.2.3",
        "/demo",
        max_body_bytes=MAX_BODY_BYTES,
        body_seconds=BODY_SECONDS,
        request_seconds=REQUEST_SECONDS,
    )
    app.state.sqlite_url = sqlite_url
    app.state.slow = 0
    app.state.released = threading.Event()
    problems.install(app, {ShelfGone: problems.ProblemSpec(410, "Shelf gone", field="shelf")})
    metrics.metrics_route(app)
    app.include_router(router)
    return app


if __name__ == "__main__":
    logs.configure("demo")
    sys.exit(serve(create_app(sys.argv[2]), (sys.argv[3:] or ["127.0.0.1"])[0], int(sys.argv[1]), grace=5))
