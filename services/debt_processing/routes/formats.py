"""Lists in the form that the client asks for: JSON pages, or everything as CSV or NDJSON, streamed.

An export reads the run in chunks, each with a snapshot of its own: rows are only ever added, so nothing is seen twice,
and a slow reader keeps neither a connection nor an old snapshot open.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Header, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Connection

from debt_processing.decisions import reason_codes
from debt_processing.work_order import START, Place
from service_kit.database import Database
from service_kit.problems import problem_responses

Format = Literal["json", "csv", "ndjson"]
Row = dict[str, Any]
Fetch = Callable[[Place], Awaitable[list[Row]]]
Write = Callable[[Iterable[Row]], bytes]

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
    """The client takes none of the forms that there are."""

    def __init__(self) -> None:
        super().__init__(f"this list can be had as {', '.join(MEDIA_TYPES)}")


def chosen_format(
    # OpenAPI describes forms by the answers' media types and ignores a parameter of this name.
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Format:
    """The form that the client likes best; JSON when it does not mind. Raises NotAcceptable."""
    likes = {form: _quality(media_type, accept or "*/*") for media_type, form in MEDIA_TYPES.items()}
    best = max(likes, key=lambda form: likes[form])
    if likes[best] <= 0:
        raise NotAcceptable
    return best


ChosenFormat = Annotated[Format, Depends(chosen_format)]


@dataclass(frozen=True, slots=True)
class RunList:
    """A list that belongs to a run: what its rows are, one page of it, and the next rows after a place."""

    name: str
    row: type[BaseModel]
    page: Callable[[Connection, str, int, str | None], BaseModel]
    chunk: Callable[[Connection, str, Place], list[Row]]

    async def answer(
        self, database: Database, form: Format, run_id: str, limit: int, cursor: str | None
    ) -> BaseModel | Response:
        """One page as JSON, or all rows as a file."""
        if form == "json":
            return await asyncio.to_thread(self._page, database, run_id, limit, cursor)
        return await self._export(database, form, run_id)

    def _page(self, database: Database, run_id: str, limit: int, cursor: str | None) -> BaseModel:
        with database.read() as connection:
            return self.page(connection, run_id, limit, cursor)

    def _chunk(self, database: Database, run_id: str, place: Place) -> list[Row]:
        with database.read() as connection:
            return self.chunk(connection, run_id, place)

    async def _export(self, database: Database, form: Format, run_id: str) -> Response:
        write: Write = _ndjson if form == "ndjson" else _Csv(tuple(self.row.model_fields))

        async def fetch(place: Place) -> list[Row]:
            return await asyncio.to_thread(self._chunk, database, run_id, place)

        first = await fetch(START)  # before the answer begins, so that an unknown run can still be told
        media_type = next(media_type for media_type, known in MEDIA_TYPES.items() if known == form)
        file_name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{self.name}-{run_id}.{form}")
        headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        return StreamingResponse(_stream(fetch, write, first), headers=headers, media_type=media_type)


async def _stream(fetch: Fetch, write: Write, rows: list[Row]) -> AsyncIterator[bytes]:
    yield await asyncio.to_thread(write, rows)
    while rows:
        place = rows[-1]["batch_sequence"], rows[-1]["position"]
        rows = await fetch(place)
        yield await asyncio.to_thread(write, rows)


def _quality(media_type: str, accept: str) -> float:
    """How much a client likes a media type, by the most specific range that covers it (RFC 9110, 12.5.1)."""
    kind = media_type.partition("/")[0]
    found = dict(map(_range, accept.split(",")))
    return next((found[name] for name in (media_type, f"{kind}/*", "*/*") if name in found), 0.0)


def _range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [value.removeprefix("q=").strip() for value in parameters if value.startswith("q=")]
    try:
        return media_range, float(weights[0]) if weights else 1.0
    except ValueError:
        return media_range, 0.0


def _ndjson(rows: Iterable[Row]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z) for row in rows)


class _Csv:
    """Writes rows as CSV, the names of the columns first."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._started = False

    def __call__(self, rows: Iterable[Row]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        if not self._started:
            writer.writerow(self._columns)
            self._started = True
        writer.writerows([_cell(row[name]) for name in self._columns] for row in rows)
        return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A spreadsheet would run what looks like a formula (https://owasp.org/www-community/attacks/CSV_Injection).
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return reason_codes(value) if isinstance(value, list) else value
