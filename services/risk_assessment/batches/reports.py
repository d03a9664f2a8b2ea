"""Checks reports on batches against what was sent: a report is believed only when it fits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from recovery_core.messages.batch import batch_id_of
from recovery_core.messages.results import BatchResult, Outcome, decode_results
from recovery_core.messages.wire import UnreadableMessage
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.tables import run_batches
from risk_assessment.runs.tables import runs
from service_kit.message_keys import MessageKeys
from service_kit.sqs.messages import Received

Rebuild = Callable[[Connection, Sequence[BatchKey]], Mapping[BatchKey, str]]
"""Returns the digests of the messages of batches, by building them once more."""


class Refusal(StrEnum):
    """Why a report is not believed."""

    UNREADABLE = "unreadable"
    UNAUTHENTIC = "unauthentic"
    UNKNOWN_RUN = "unknown_run"
    UNKNOWN_BATCH = "unknown_batch"
    BATCH_ID = "batch_id"
    DIGEST = "digest"
    COUNTS = "counts"


class Refused(NamedTuple):
    """A report that is not believed, or a whole message of which no report is."""

    message_id: str
    refusal: Refusal
    detail: str
    result: BatchResult | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Reports that fit what was sent, each with the number of its run, and those that do not."""

    believed: list[tuple[int, BatchResult]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def check(
    connection: Connection, messages: Sequence[Received], keys: MessageKeys, rebuild: Rebuild, now: datetime
) -> Checked:
    """Check messages by their MACs, and their reports against the batches that these are about."""
    checked = Checked()
    results = [(message.message_id, result) for message in messages for result in _results(message, keys, now, checked)]
    numbers = _run_numbers(connection, {result.run_id for _, result in results})
    sent = _Sent(connection, numbers, [result for _, result in results], rebuild)
    undigested = keys.accepts_unsigned(now)
    for message_id, result in results:
        refusal = _refusal(result, numbers.get(result.run_id), sent, undigested)
        if refusal is None:
            checked.believed.append((numbers[result.run_id], result))
        else:
            checked.refused.append(Refused(message_id, refusal, "", result))
    return checked


def _results(message: Received, keys: MessageKeys, now: datetime, checked: Checked) -> list[BatchResult]:
    if unauthentic := keys.refusal(message.body, message.attributes, now):
        checked.refused.append(Refused(message.message_id, Refusal.UNAUTHENTIC, unauthentic))
        return []
    try:
        return decode_results(message.body)
    except UnreadableMessage as error:
        checked.refused.append(Refused(message.message_id, Refusal.UNREADABLE, error.reason))
        return []


class _Sent:
    """The batches that reports are about, as they were sent."""

    def __init__(
        self, connection: Connection, numbers: Mapping[str, int], results: Sequence[BatchResult], rebuild: Rebuild
    ) -> None:
        self._connection, self._rebuild = connection, rebuild
        self._rebuilt: dict[BatchKey, str] = {}  # one message may report a batch a thousand times
        wanted: dict[int, set[int]] = {}
        for result in results:
            if result.run_id in numbers:
                wanted.setdefault(numbers[result.run_id], set()).add(result.sequence)
        self._rows = {
            (row.run_number, row.sequence): row
            for number, sequences in wanted.items()
            for row in connection.execute(
                select(run_batches).where(run_batches.c.run_number == number, run_batches.c.sequence.in_(sequences))
            )
        }

    def batch(self, number: int, sequence: int) -> Row[Any] | None:
        """Return the row of a batch."""
        return self._rows.get((number, sequence))

    def digest(self, batch: Row[Any]) -> str:
        """Return the digest of a batch's message; the send may not be marked yet, or be one of version 1.0."""
        if batch.digest:
            return str(batch.digest)
        key = BatchKey(batch.run_number, batch.sequence, batch.lane)
        if key not in self._rebuilt:
            self._rebuilt |= self._rebuild(self._connection, [key])
        return self._rebuilt[key]


def _refusal(result: BatchResult, number: int | None, sent: _Sent, undigested: bool) -> Refusal | None:
    """Return why a report does not fit. `undigested` lets those of version 1.0 do without a digest."""
    if number is None:
        return Refusal.UNKNOWN_RUN
    batch = sent.batch(number, result.sequence)
    if batch is None:
        return Refusal.UNKNOWN_BATCH
    if result.batch_id != batch_id_of(result.run_id, result.sequence):
        return Refusal.BATCH_ID
    if result.succeeded + result.failed + result.skipped != (batch.debtors if result.outcome == Outcome.DONE else 0):
        return Refusal.COUNTS
    if result.digest is None:
        return None if undigested and batch.sends else Refusal.DIGEST
    return None if result.digest == sent.digest(batch) else Refusal.DIGEST


def _run_numbers(connection: Connection, run_ids: set[str]) -> dict[str, int]:
    rows = connection.execute(select(runs.c.id, runs.c.number).where(runs.c.id.in_(run_ids)))
    return dict(rows.all())
