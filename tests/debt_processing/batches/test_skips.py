"""Skips in the inbox, on each kind of database: each debtor of a run has one decision, one skip or one error."""

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs
from tests.debt_processing.batches.test_service import everything, record, rows
from tests.debt_processing.builders import LATER, NOW, a_batch, a_debtor, debtors
from tests.debt_processing.stops.feed import a_hold, a_stop

from debt_processing.batches import repairs
from debt_processing.batches.service import BatchContradicts, Recorded
from debt_processing.tables import batches, decisions, errors, skips
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.holds import mask_of
from recovery_core.messages.batch import resolve_policy
from recovery_core.messages.stops import DebtorStop
from service_kit.database.engine import Database


def paid(*debtor_ids: int) -> list[DebtorStop]:
    return [a_stop(debtor_id, 7, payment_status="PAID") for debtor_id in debtor_ids]


def decided(*args: Any, stops: list[DebtorStop], seen: int = 9, **changes: Any) -> DecidedBatch:
    batch = a_batch(*args, **changes)
    return decide(batch, resolve_policy(batch.header), {stop.debtor_id: stop for stop in stops}, NOW, seen)


def outcomes(database: Database) -> dict[str, list[int]]:
    """The debtors with each kind of outcome."""
    found = {"decided": decisions, "skipped": skips, "failed": errors}
    return {name: sorted(row[3] for row in rows(database, table)) for name, table in found.items()}


def test_a_batch_is_recorded_with_its_skips_and_with_what_was_known(any_database: Database) -> None:
    blocked = a_stop(3, 8, holds=(a_hold(NOW, blocked=mask_of(["AGENT_CALL"])),))
    entries = [*debtors(3), a_debtor(4) | {"contract_type": "?"}]
    batch = decided("run-1", 3, entries=entries, stops=[*paid(2), blocked])

    recorded = record(any_database, batch)

    assert recorded == Recorded(2, 1, LATER, repeated=False, digest=batch.digest, skipped=1)
    with any_database.read() as connection:
        [stored] = connection.execute(select(batches))
        [skip] = connection.execute(select(skips))
        masks = connection.execute(select(decisions.c.blocked).order_by(decisions.c.position)).scalars().all()
    assert (stored.debtors, stored.succeeded, stored.failed, stored.skipped) == (4, 2, 1, 1)
    assert (stored.skip_reasons, stored.stops_seen) == ('{"PAID":1}', 9)
    assert tuple(skip)[1:] == (3, *batch.skips[0], LATER)
    assert masks == [None, mask_of(["AGENT_CALL"])]


def test_a_batch_without_a_decision_is_done_all_the_same(any_database: Database) -> None:
    batch = decided(entries=debtors(3), stops=paid(1, 2, 3))

    assert record(any_database, batch).skipped == 3
    assert record(any_database, batch) == Recorded(0, 0, LATER, repeated=True, digest=batch.digest, skipped=3)
    assert outcomes(any_database) == {"decided": [], "skipped": [1, 2, 3], "failed": []}


def test_a_repeat_that_would_end_otherwise_now_changes_nothing(any_database: Database) -> None:
    first = decided(entries=debtors(3), stops=paid(2))
    record(any_database, first)
    before = [*everything(any_database), rows(any_database, skips)]

    for stops in ([], paid(1), paid(1, 2, 3), paid(2)):
        with capture_logs() as logs:
            again = record(any_database, decided(entries=debtors(3), stops=stops, seen=20))
        assert again == Recorded(2, 0, LATER, repeated=True, digest=first.digest, skipped=1)
        assert logs == []

    assert [*everything(any_database), rows(any_database, skips)] == before


def test_what_the_version_before_recorded_is_a_repeat(any_database: Database) -> None:
    batch = decided(entries=debtors(3), stops=[])
    record(any_database, batch)
    with any_database.write() as connection:
        connection.execute(update(batches).values(skipped=None, skip_reasons=None, stops_seen=None))

    again = record(any_database, decided(entries=debtors(3), stops=paid(2)))

    assert again == Recorded(3, 0, LATER, repeated=True, digest=batch.digest)


@pytest.mark.parametrize("order", list(permutations(["decision", "skip", "error"], 2)))
def test_a_debtor_has_one_outcome_in_a_run_whichever_comes_first(
    any_database: Database, order: tuple[str, str]
) -> None:
    def ending_as(outcome: str, sequence: int) -> DecidedBatch:
        wrong = {"monthly_income": "-1"} if outcome == "error" else {}
        entries = [a_debtor(1) | wrong, a_debtor(100 + sequence)]
        return decided("run-1", sequence, entries=entries, stops=paid(1) if outcome == "skip" else [])

    record(any_database, ending_as(order[0], 1))
    second = record(any_database, ending_as(order[1], 2))

    assert (second.succeeded, second.skipped, second.failed) == (1, 0, 0)
    names = {"decision": "decided", "skip": "skipped", "error": "failed"}
    assert [name for name, ids in outcomes(any_database).items() if 1 in ids] == [names[order[0]]]
    with pytest.raises(BatchContradicts, match="settled 1 of its debtors"):
        record(any_database, ending_as(order[1], 2))


def test_a_debtor_that_another_batch_skipped_is_not_skipped_again(any_database: Database) -> None:
    record(any_database, decided("run-1", 1, entries=debtors(2), stops=paid(1, 2)))

    second = record(any_database, decided("run-1", 2, entries=debtors(3, first=2), stops=paid(2, 3)))

    assert (second.succeeded, second.skipped) == (1, 1)
    assert outcomes(any_database) == {"decided": [4], "skipped": [1, 2, 3], "failed": []}
    [_, stored] = rows(any_database, batches)
    assert stored[14:16] == (1, '{"PAID":1}')


def test_the_same_debtor_is_skipped_in_one_run_and_decided_in_another(any_database: Database) -> None:
    record(any_database, decided("run-1", 1, entries=debtors(1), stops=paid(1)))
    record(any_database, decided("run-2", 1, entries=debtors(1), stops=[]))

    assert outcomes(any_database) == {"decided": [1], "skipped": [1], "failed": []}


def test_a_repair_takes_away_skips_that_wrong_messages_brought(any_database: Database) -> None:
    forged = decided("run-1", 9, entries=[a_debtor(1), a_debtor(2), a_debtor(9)], stops=paid(1, 9))
    record(any_database, forged)
    right = decided("run-1", 1, entries=debtors(3), stops=paid(3))
    assert record(any_database, right).succeeded == 0

    again = any_database.transact(lambda connection: repairs.replace(connection, right, NOW, LATER))

    assert again == Recorded(2, 0, LATER, repeated=False, digest=right.digest, skipped=1)
    assert outcomes(any_database) == {"decided": [1, 2], "skipped": [3], "failed": []}
