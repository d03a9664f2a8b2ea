"""What every route needs: this process's parts, one transaction a request, versions and repeatable answers.

A route that uses the database is a plain function, and does all of it in one thread: it opens its transaction, works,
ends it, and writes its answer. Changing threads in between would cost more than most of the work.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
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
from service_kit.auth import Reason, caller_of, requires
from service_kit.database import Database
from service_kit.identity import Role
from service_kit.openapi import header, with_headers
from service_kit.sqs import Sqs
from service_kit.verdict import Verdict

PLACES = 14
SQLITE_PLACES = 8
"""Threads for routes, and so requests that use the database at a time: its connections less two, for keys and for
health. Others wait without a thread. SQLite makes nobody wait for a network, and more threads only stand in each
other's way."""


class Places:
    """How many routes may be at work at a time, and how many of these may be at what can take long.

    Reads always find a place, whoever holds the database's lock and however large the portfolios that are previewed.
    """

    def __init__(self, database: Database) -> None:
        self.count = SQLITE_PLACES if database.dialect == "sqlite" else PLACES
        self.writing = asyncio.Semaphore(self.count // 2)
        self.previewing = asyncio.Semaphore(self.count // 4)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application opened at its start."""

    settings: Settings
    database: Database
    shelf: PolicyShelf
    sqs: Sqs
    places: Places


def parts(request: Request) -> Parts:
    """The parts of this process."""
    found: Parts = request.app.state.parts
    return found


@dataclass(frozen=True, slots=True)
class Desk:
    """What one request works with: the database, the policies, and the audit of who asks."""

    database: Database
    shelf: PolicyShelf
    audit: Audit
    verdict: Verdict

    def reading(self) -> AbstractContextManager[Connection]:
        """One snapshot of the database. Leave it before you answer."""
        return self.database.read()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction. Leave it before you answer: a 201 must not name a row that is not there.

        Raises TooLateError, and changes nothing, when the client has been told that this failed.
        """
        self.verdict.check()
        with self.database.write() as connection:
            self.verdict.check()
            yield connection
            self.verdict.take_effect()


async def _desk(request: Request, reason: Reason = None) -> Desk:
    here = parts(request)
    audit = Audit(audit_records, caller_of(request, reason), utc_now())
    return Desk(here.database, here.shelf, audit, request.scope["verdict"])


async def _turn_to_write(request: Request) -> AsyncIterator[None]:
    async with parts(request).places.writing:
        yield


async def _turn_to_preview(request: Request) -> AsyncIterator[None]:
    async with parts(request).places.previewing:
        yield


AtDesk = Annotated[Desk, Depends(_desk)]
VIEWER = [requires(Role.VIEWER)]
PREVIEWER = [*VIEWER, Depends(_turn_to_preview, scope="function")]
WRITER = [requires(Role.OPERATOR), Depends(_turn_to_write, scope="function")]
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


def answer_once(desk: Desk, kind: str, key: str | None, body: bytes, act: Callable[[Connection], Acted]) -> Response:
    """Answer a POST in one transaction, or repeat the answer that the same caller's Idempotency-Key already got."""
    audit = desk.audit
    with desk.writing() as connection:

        def acted() -> Answer:
            status, shown, headers = act(connection)
            return Answer(status, shown.model_dump_json().encode(), headers)

        answer = idempotency.once(connection, f"POST {kind} {audit.caller.actor}", key, body, audit.at, acted)
    if answer.repeated:
        audit.read("answer.repeated", f"{kind}:{answer.headers['Location'].rsplit('/', 1)[1]}")
    headers = answer.headers | ({"Idempotency-Replayed": "true"} if answer.repeated else {})
    return Response(answer.body, answer.status, headers, media_type="application/json")
