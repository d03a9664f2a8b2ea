"""Import a CSV file of holds: each row becomes a `POST /holds`, and what becomes no hold is listed with the reason.

The columns are those of `risk-assessment import-holds`. What a row says is judged by the API.
"""

import asyncio
import csv
import hashlib
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from recovery_client.errors import ClientError, RejectedError
from recovery_client.shapes import Hold

REQUIRED = ("kind", "from", "reason")
TARGETS = ("debtor_id", "external_ref", "person_ref")
COLUMNS = ("debtor_id", "portfolio", "external_ref", "person_ref", "kind", "from", "until", "reason", "source")
MAX_ROWS = 2_000
AT_ONCE = 8
_OF_THE_ROW = (400, 404, 409, 422)
_IDENTITY = ("debtor_id", "portfolio", "external_ref", "person_ref", "kind", "from", "until", "source")


class UnreadableFileError(ValueError):
    """The file cannot be imported at all; the text says why."""


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A row as a body for the API. `key` is the same for the same hold, so that a second import changes nothing."""

    number: int
    body: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that became no hold, with its number (the header is row 1) and the reason."""

    number: int
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What became of the rows. `stopped` says why the import ended before the last row; those after it are not sent."""

    rows: int = 0
    created: int = 0
    unchanged: int = 0
    rejects: list[Reject] = field(default_factory=list)
    stopped: str | None = None


async def place_all(
    rows: Iterable[HoldRow | Reject], place: Callable[[HoldRow], Awaitable[Hold]], began_at: datetime
) -> ImportReport:
    """Place the hold of every row, a few at a time. A refused row is a reject; a service that fails ends the import.

    A hold that was recorded before `began_at` was there already, and counts as unchanged.
    """
    report = ImportReport()
    for some in _some(rows, AT_ONCE):
        answers = await asyncio.gather(*(_outcome(row, place) for row in some))
        for row, answer in zip(some, answers, strict=True):
            report.rows += 1
            if isinstance(answer, Reject):
                report.rejects.append(answer)
            elif isinstance(answer, ClientError):
                report.stopped = report.stopped or f"Stopped at row {row.number}: {answer}."
            elif datetime.fromisoformat(answer["recorded_at"]) < began_at:
                report.unchanged += 1
            else:
                report.created += 1
        if report.stopped:
            break
    return report


def _some(rows: Iterable[HoldRow | Reject], size: int) -> Iterator[list[HoldRow | Reject]]:
    waiting = iter(rows)
    while some := list(islice(waiting, size)):
        yield some


async def _outcome(row: HoldRow | Reject, place: Callable[[HoldRow], Awaitable[Hold]]) -> Hold | Reject | ClientError:
    if isinstance(row, Reject):
        return row
    try:
        return await place(row)
    except RejectedError as error:
        return Reject(row.number, error.detail) if error.status in _OF_THE_ROW else error
    except ClientError as error:
        return error


def read_rows(content: bytes) -> Iterator[HoldRow | Reject]:
    """Yield every row that is not blank. Raises UnreadableFileError for a file that has not the columns."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError("The file is not UTF-8 text.") from None
    if "\0" in text:
        raise UnreadableFileError("The file is not a text file.")
    delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        _check_header(header)
        reader.fieldnames = header
        rows = [(number, row) for number, row in enumerate(reader, 2) if any(_values(row))]
    except csv.Error as error:
        raise UnreadableFileError(f"The file is no CSV: {error}.") from None
    if len(rows) > MAX_ROWS:
        raise UnreadableFileError(
            f"The file has {len(rows)} rows; up to {MAX_ROWS} go here. `risk-assessment import-holds` takes any number."
        )
    yield from (_row(number, row) for number, row in rows)


def _check_header(header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing or not any(name in header for name in TARGETS):
        lacking = ", ".join(missing) or f"one of {', '.join(TARGETS)}"
        raise UnreadableFileError(f"The file lacks a column: {lacking}. It may have {', '.join(COLUMNS)}.")
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise UnreadableFileError(f"The file has an unknown column: {unknown[0]!r}. It may have {', '.join(COLUMNS)}.")


def _row(number: int, row: Mapping[str | None, Any]) -> HoldRow | Reject:
    if None in row or any(value is None for value in row.values()):
        return Reject(number, "the row has another number of cells than the header")
    given = {str(name): value.strip() for name, value in row.items() if value.strip()}
    missing = [name for name in REQUIRED if name not in given]
    targets = [name for name in TARGETS if name in given]
    if missing:
        return Reject(number, f"{', '.join(missing)}: missing")
    if len(targets) != 1:
        return Reject(number, f"give one of {', '.join(TARGETS)}")
    body: dict[str, Any] = dict(given)
    if "debtor_id" in body:
        if not (body["debtor_id"].isascii() and body["debtor_id"].isdecimal()):
            return Reject(number, "debtor_id: must be a whole number")
        body["debtor_id"] = int(body["debtor_id"])
    body["kind"] = given["kind"].upper()
    identity = "\n".join(f"{name}={body.get(name, '')}" for name in _IDENTITY)
    return HoldRow(number, body, f"hold-{hashlib.sha256(identity.encode()).hexdigest()[:40]}")


def _values(row: Mapping[str | None, Any]) -> Iterator[str]:
    for value in row.values():
        yield from (part for part in (value if isinstance(value, list) else [value]) if part and part.strip())
