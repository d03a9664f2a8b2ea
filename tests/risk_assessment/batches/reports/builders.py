"""Reports as the debt service makes them, checked against what was sent and recorded as the dispatcher does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tests.risk_assessment.builders import NOON, a_registry
from tests.risk_assessment.planned import batches_of, digests_of, keys_of

from recovery_core.messages.batch import batch_id_of
from recovery_core.messages.results import BatchResult, encode_results
from risk_assessment.batches import reports
from risk_assessment.batches.reports import Checked
from risk_assessment.batches.shipments import rebuilt_digests
from risk_assessment.runs import results
from risk_assessment.runs.results import Completion
from service_kit.database.engine import Database
from service_kit.message_keys import MessageKeys
from service_kit.sqs.messages import Received

LATER = NOON + timedelta(seconds=30)
NO_KEYS = MessageKeys({})


def a_report(database: Database, run_id: str, sequence: int, outcome: str = "done", /, **changes: Any) -> BatchResult:
    """The report on a batch that was processed as it was sent; with a run or sequence of its own, it has their id."""
    [key] = keys_of(database, run_id, sequence)
    [batch] = [batch for batch in batches_of(database, run_id) if batch.sequence == sequence]
    values: dict[str, Any] = {
        "run_id": run_id,
        "sequence": sequence,
        "outcome": outcome,
        "succeeded": batch.debtors if outcome == "done" else 0,
        "failed": 0,
        "reason": "ValueError: broken" if outcome == "dead" else None,
        "finished_at": NOON,
        "digest": digests_of(database, [key])[key],
    } | changes
    return BatchResult(**({"batch_id": batch_id_of(values["run_id"], values["sequence"])} | values))


def reports_of(database: Database, run_id: str, *sequences: int) -> list[BatchResult]:
    """Reports that batches are done; without sequences, that all of the run are."""
    wanted = [key.sequence for key in keys_of(database, run_id, *sequences)]
    return [a_report(database, run_id, sequence) for sequence in wanted]


def a_message(*results: BatchResult, number: int = 1, attributes: dict[str, str] | None = None) -> Received:
    return received(encode_results(results).decode(), number, attributes)


def received(body: str, number: int = 1, attributes: dict[str, str] | None = None) -> Received:
    return Received(f"message-{number}", f"handle-{number}", body, attributes or {}, 1, NOON)


def checked(database: Database, *messages: Received, keys: MessageKeys = NO_KEYS, at: datetime = LATER) -> Checked:
    rebuild = partial(rebuilt_digests, registry=a_registry())
    with database.read() as connection:
        return reports.check(connection, messages, keys, rebuild, at)


def recorded(database: Database, *results_: BatchResult, at: datetime = LATER) -> list[Completion]:
    """Record the reports that are believed."""
    believed = checked(database, a_message(*results_), at=at).believed
    return database.transact(lambda c: results.apply(c, believed, at))


def send_all(database: Database, run_id: str, *sequences: int, times: int = 1) -> None:
    """Mark batches of a run as sent; without sequences, all of them."""
    sent = digests_of(database, keys_of(database, run_id, *sequences))
    for _ in range(times):
        database.transact(lambda c: results.mark_sent(c, sent, NOON))


def states(database: Database, run_id: str) -> Sequence[str]:
    return [batch.state for batch in batches_of(database, run_id)]
