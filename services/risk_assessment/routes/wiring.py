"""What every route needs: this process's parts, one transaction a request, versions and repeatable answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import orjson
from fastapi import Depends, Header, Path, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from risk_assessment import idempotency
from risk_assessment.clock import utc_now
from risk_assessment.idempotency import Answer
from risk_assessment.policies import PolicyShelf
from risk_assessment.settings import Settings
from risk_assessment.tables import audit_records
from service_kit.audit import Audit
from service_kit.auth import CalledBy
from service_kit.database import Database
from service_kit.openapi import header, with_headers
from service_kit.sqs import Sqs

PLACES = 14
"""Requests that use the database at a time: its connections less two, for keys and for health, and well below a
server's 40 threads."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application opened at its start."""

    settings: Settings
    database: Database
    shelf: PolicyShelf
    sqs: Sqs
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PLACES))


def parts(request: Request) -> Parts:
    """The parts of this process."""
    found: Parts = request.app.state.parts
    return found


async def _turn(request: Request) -> AsyncIterator[None]:
    """Wait without a thread: were all of them waiting for a connection, none could finish with one."""
    async with parts(request).places:
        yield


Turn = Annotated[None, Depends(_turn, scope="function")]


def _reading(request: Request, turn: Turn) -> Iterator[Connection]:
    with parts(request).database.read() as connection:
        yield connection


def _writing(request: Request, turn: Turn) -> Iterator[Connection]:
    with parts(request).database.write() as connection:
        yield connection


# These compute nothing: as coroutines they spare each request a change of threads.
async def _audit(caller: CalledBy) -> Audit:
    return Audit(audit_records, caller, utc_now())


async def _shelf(request: Request) -> PolicyShelf:
    return parts(request).shelf


# scope="function": the transaction ends before the answer leaves, or a 201 might name a row that is not there.
Reading = Annotated[Connection, Depends(_reading, scope="function")]
Writing = Annotated[Connection, Depends(_writing, scope="function")]
Shelf = Annotated[PolicyShelf, Depends(_shelf)]
Audited = Annotated[Audit, Depends(_audit)]
# Whatever is printable may be asked for, and is then not found.
RunId = Annotated[str, Path(pattern=r"^[^\x00-\x1f\x7f]+$")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Makes a repeat of this request harmless: it gets the first one's answer. Kept for a day.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^((W/)?"[0-9]{1,18}"|\*)$',
        description="The ETag you read; 412 if it has changed since",
    ),
]

ETAG = header("The version, to be sent as If-Match", '"3"')
LOCATION = header("Where the new thing can be read", "/risk-service/debtors/7")
WITH_ETAG = with_headers(ETag=ETAG)
WITH_LOCATION = with_headers(Location=LOCATION)


def expected_version(if_match: str | None) -> int | None:
    """The version an If-Match header names, None when any will do."""
    if if_match is None or if_match == "*":
        return None
    return int(if_match.removeprefix("W/").strip('"'))


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


async def raw_body(request: Request) -> bytes:
    """The request as it counts for idempotency: the same JSON however it is spaced or ordered."""
    body = await request.body()
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return body  # empty or nested too deeply: the validation refuses it


RawBody = Annotated[bytes, Depends(raw_body)]


class Acted(NamedTuple):
    """What a POST did: the answer's status, what it shows, and its headers."""

    status: int
    shown: BaseModel
    headers: dict[str, str]


def answer_once(
    connection: Connection, audit: Audit, scope: str, key: str | None, body: bytes, act: Callable[[], Acted]
) -> Response:
    """Answer a POST, or repeat the answer that the same caller's Idempotency-Key already got."""

    def acted() -> Answer:
        status, shown, headers = act()
        return Answer(status, shown.model_dump_json().encode(), headers)

    answer = idempotency.once(connection, f"{scope} {audit.caller.actor}", key, body, audit.at, acted)
    headers = answer.headers | ({"Idempotency-Replayed": "true"} if answer.repeated else {})
    return Response(answer.body, answer.status, headers, media_type="application/json")
