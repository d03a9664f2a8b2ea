"""Lists in the format that the client asks for: JSON pages, or everything as CSV or NDJSON, streamed.

An export reads in chunks, each with a snapshot of its own: rows are only ever added, so none appears twice, and a slow
reader keeps neither a connection nor an old snapshot open.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Annotated, Any, Generic, Literal, TypeVar

import orjson
from fastapi import Depends, Header, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send

from service_kit.auth.portfolios import Portfolios
from service_kit.http.context import RequestContext
from service_kit.http.problems import problem_responses
from service_kit.http.routing.threads import RouteThreads

Format = Literal["json", "csv", "ndjson"]
Row = dict[str, Any]
Write = Callable[[Iterable[Row]], bytes]
Place = TypeVar("Place")

MEDIA_TYPES: dict[str, Format] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
}
EXPORT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {name: {"schema": {"type": "string"}} for name in ("text/csv", "application/x-ndjson")}},
    **problem_responses(406),
}
_FORMULA = re.compile(r"^[=+\-@\t\r]")


class NotAcceptable(Exception):  # noqa: N818 - named by its consequence
    """The client accepts none of the formats that exist."""

    def __init__(self) -> None:
        super().__init__(f"this list is available as {', '.join(MEDIA_TYPES)}")


async def chosen_format(
    # OpenAPI describes formats by the responses' media types and ignores a parameter of this name.
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Format:
    """Return the format that the client prefers, JSON by default. Raises NotAcceptable."""
    qualities = {name: _quality(media_type, accept or "*/*") for media_type, name in MEDIA_TYPES.items()}
    best = max(qualities, key=lambda name: qualities[name])
    if qualities[best] <= 0:
        raise NotAcceptable
    return best


ChosenFormat = Annotated[Format, Depends(chosen_format)]


@dataclass(frozen=True, slots=True)
class ExportableList(Generic[Place]):
    """A list that belongs to something with an id: its columns, one page of it, and the rows after a place."""

    name: str
    columns: Sequence[str]
    page: Callable[[Connection, str, Portfolios, int, str | None], BaseModel]
    chunk: Callable[[Connection, str, Portfolios, Place], list[Row]]
    start: Place
    place_of: Callable[[Row], Place]
    cell: Callable[[Any], Any] = lambda value: value
    """Turns a value that is no scalar into one cell of a CSV."""

    async def respond(
        self, context: RequestContext, wanted: Format, key: str, limit: int, cursor: str | None
    ) -> BaseModel | Response:
        """Return one page as JSON, or all rows as a file."""
        if wanted == "json":
            return await asyncio.to_thread(self._page, context, key, limit, cursor)
        return await self._export(context, wanted, key)

    def _page(self, context: RequestContext, key: str, limit: int, cursor: str | None) -> BaseModel:
        with context.reading() as connection:
            return self.page(connection, key, context.portfolios, limit, cursor)

    def _chunk(self, context: RequestContext, key: str, place: Place) -> list[Row]:
        with context.reading() as connection:
            return self.chunk(connection, key, context.portfolios, place)

    async def _export(self, context: RequestContext, wanted: Format, key: str) -> Response:
        write = _writer(wanted, self.columns, self.cell)

        async def fetch(place: Place) -> list[Row]:
            return await asyncio.to_thread(self._chunk, context, key, place)

        first = await fetch(self.start)  # before the response begins, so that an unknown id still gets its 404
        return _file(wanted, f"{self.name}-{key}", self._stream(fetch, write, first))

    async def _stream(
        self, fetch: Callable[[Place], Awaitable[list[Row]]], write: Write, rows: list[Row]
    ) -> AsyncIterator[bytes]:
        yield await asyncio.to_thread(write, rows)
        while rows:
            rows = await fetch(self.place_of(rows[-1]))
            yield await asyncio.to_thread(write, rows)


def export(wanted: Format, name: str, columns: Sequence[str], chunks: Iterator[list[Row]]) -> Response:
    """Return all rows as a file. Each chunk is read in a thread; the first one before the response begins."""
    write = _writer(wanted, columns, lambda value: value)
    first = next(chunks, [])
    return _file(wanted, name, (write(rows) for rows in chain([first], chunks)))


class _File(StreamingResponse):
    """Pieces of a file, each read in one of the threads of the API's routes, so that exports count among these."""

    def __init__(self, pieces: Iterator[bytes], headers: dict[str, str], media_type: str) -> None:
        super().__init__((), headers=headers, media_type=media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the file."""
        self.body_iterator = self._read(scope["app"].state.threads)
        await super().__call__(scope, receive, send)

    async def _read(self, threads: RouteThreads) -> AsyncIterator[bytes]:
        while (piece := await threads.run(partial(next, self._pieces, None))) is not None:
            yield piece


def _writer(wanted: Format, columns: Sequence[str], cell: Callable[[Any], Any]) -> Write:
    return _ndjson if wanted == "ndjson" else _Csv(columns, cell)


def _file(wanted: Format, name: str, content: AsyncIterator[bytes] | Iterator[bytes]) -> Response:
    media_type = next(media_type for media_type, known in MEDIA_TYPES.items() if known == wanted)
    file_name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{name}.{wanted}")
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    if isinstance(content, Iterator):
        return _File(content, headers, media_type)
    return StreamingResponse(content, headers=headers, media_type=media_type)


def _quality(media_type: str, accept: str) -> float:
    """Return how much a client prefers a media type, by the most specific range that covers it (RFC 9110, 12.5.1)."""
    kind = media_type.partition("/")[0]
    ranges = dict(map(_parse_range, accept.split(",")))
    return next((ranges[name] for name in (media_type, f"{kind}/*", "*/*") if name in ranges), 0.0)


def _parse_range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [value.removeprefix("q=").strip() for value in parameters if value.startswith("q=")]
    try:
        return media_range, float(weights[0]) if weights else 1.0
    except ValueError:
        return media_range, 0.0


def _ndjson(rows: Iterable[Row]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z) for row in rows)


class _Csv:
    """Writes rows as CSV, with the names of the columns first."""

    def __init__(self, columns: Sequence[str], cell: Callable[[Any], Any]) -> None:
        self._columns, self._convert = columns, cell
        self._started = False

    def __call__(self, rows: Iterable[Row]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        if not self._started:
            writer.writerow(self._columns)
            self._started = True
        writer.writerows([self._cell(row[name]) for name in self._columns] for row in rows)
        return text.getvalue().encode()

    def _cell(self, value: Any) -> Any:
        if isinstance(value, str):
            # A spreadsheet would run what looks like a formula (https://owasp.org/www-community/attacks/CSV_Injection).
            return f"'{value}" if _FORMULA.match(value) else value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        return self._convert(value)
