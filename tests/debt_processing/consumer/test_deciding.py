"""Batches are decided by what is known when they are begun, and say how much that was."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.debt_processing.builders import a_debtor, a_message, debtors
from tests.debt_processing.consuming import count, process_all, results
from tests.debt_processing.stops.feed import a_hold, a_stop, a_stretch
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth

from debt_processing.settings import Settings
from debt_processing.stops import service
from debt_processing.tables import batches, debtor_stops, decisions, errors, skips
from recovery_core.holds import mask_of
from recovery_core.messages.stops import DebtorStop
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.sqs.messages import Outgoing

pytestmark = pytest.mark.anyio

SEQUENCE = 20


def versioned(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"version": 1} | entry for entry in entries]


def second(sequence: int = 1, *, entries: Sequence[dict[str, Any]], **changes: Any) -> Outgoing:
    """A message of version 2 whose run knew the stops up to 5."""
    return a_message(sequence=sequence, entries=versioned(entries), **{"stops_before": 5} | changes)


def learn(database: Database, *stops: DebtorStop, after: int = 0, through: int = SEQUENCE) -> None:
    """Let these stops be known, fresh enough for as long as a test takes."""
    stretch = a_stretch(after, through, *stops, as_of=utc_now() + timedelta(minutes=10))
    database.transact(lambda connection: service.take_in(connection, [stretch]))


def skipped(database: Database) -> dict[int, str]:
    with database.read() as connection:
        return {row.debtor_id: row.reason for row in connection.execute(select(skips))}


async def test_stops_that_came_after_the_run_skip_their_debtors_and_are_reported(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    now = utc_now()
    learn(
        database,
        a_stop(1, 6, payment_status="PAID"),
        a_stop(2, 7, deleted=True),
        a_stop(3, 8, holds=(a_hold(now, kind="VULNERABLE"),)),
        a_stop(4, 9, total_debt_amount=5_000),
        a_stop(5, 10, holds=(a_hold(now, blocked=mask_of(["AGENT_CALL"])),)),
    )
    await fake_sqs.send(settings.recovery_queue_high, [second(entries=debtors(6))])

    await process_all(settings, database, fake_sqs)

    assert skipped(database) == {1: "PAID", 2: "DELETED", 3: "HOLD_VULNERABLE", 4: "CHANGED"}
    [report] = results(fake_sqs, settings)
    assert (report.outcome, report.succeeded, report.failed, report.skipped) == ("done", 2, 0, 4)
    with database.read() as connection:
        found = connection.execute(select(decisions).order_by(decisions.c.position)).all()
        assert connection.execute(select(batches.c.stops_seen)).scalar() == SEQUENCE
    assert [(row.debtor_id, row.action, row.blocked) for row in found] == [
        (5, "PAYMENT_PLAN_OFFER", mask_of(["AGENT_CALL"])),
        (6, "AGENT_CALL", None),
    ]
    for reason in ("PAID", "DELETED", "HOLD_VULNERABLE", "CHANGED"):
        assert growth.of("debt_skips_total", reason=reason) == 1


async def test_what_the_run_knew_already_is_left_to_its_message(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    held = a_hold(utc_now() - timedelta(days=9000), blocked=mask_of(["AGENT_CALL"]))
    learn(database, a_stop(1, 5, payment_status="PAID"), a_stop(2, 4, holds=(held,)))
    entries = [a_debtor(1), a_debtor(2, blocked=["AGENT_CALL"], blocked_by="DISPUTE")]
    await fake_sqs.send(settings.recovery_queue_high, [second(entries=entries)])

    await process_all(settings, database, fake_sqs)

    assert (skipped(database), count(database, decisions)) == ({}, 2)


async def test_a_message_of_version_1_is_decided_by_all_that_is_known(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    learn(database, a_stop(1, 2, payment_status="PAID"), a_stop(12, 19, deleted=True))
    first = a_message(sequence=1, entries=debtors(3))
    await fake_sqs.send(settings.recovery_queue_high, [first, a_message(sequence=2, entries=debtors(3, first=11))])

    await process_all(settings, database, fake_sqs)

    assert skipped(database) == {1: "PAID", 12: "DELETED"}
    assert sorted((one.succeeded, one.skipped) for one in results(fake_sqs, settings)) == [(2, 1), (2, 1)]


async def test_a_message_of_version_1_is_decided_where_nothing_is_known(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=debtors(3))])

    await process_all(settings, database, fake_sqs)

    with database.read() as connection:
        assert connection.execute(select(batches.c.skipped, batches.c.stops_seen)).one() == (0, 0)


async def test_runs_that_share_a_transaction_are_each_decided_by_their_own_snapshot(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    learn(database, a_stop(1, 6, payment_status="PAID"), a_stop(2, 9, payment_status="PAID"))
    messages = [
        a_message("run-1", entries=versioned(debtors(2)), stops_before=5),
        a_message("run-2", entries=versioned(debtors(2)), stops_before=7),
        a_message("run-3", entries=debtors(2)),
    ]
    await fake_sqs.send(settings.recovery_queue_high, messages)

    await process_all(settings, database, fake_sqs)

    assert {one.run_id: one.skipped for one in results(fake_sqs, settings)} == {"run-1": 2, "run-2": 1, "run-3": 2}


async def test_a_batch_delivered_again_keeps_its_skips_though_more_is_known_by_then(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    learn(database, a_stop(1, 6, payment_status="PAID"))
    await fake_sqs.send(settings.recovery_queue_high, [second(entries=debtors(3))])
    await process_all(settings, database, fake_sqs)

    learn(database, a_stop(1, 21), a_stop(2, 21, deleted=True), after=SEQUENCE, through=21)
    fake_sqs.redeliver(settings.recovery_queue_high)
    await process_all(settings, database, fake_sqs)

    assert skipped(database) == {1: "PAID"}
    assert [(one.succeeded, one.skipped) for one in results(fake_sqs, settings)] == [(2, 1), (2, 1)]


async def test_a_stop_that_cannot_be_read_keeps_only_its_batch_from_being_processed(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    learn(database, a_stop(1, 6), a_stop(11, 6))
    with database.write() as connection:
        connection.execute(debtor_stops.update().where(debtor_stops.c.debtor_id == 1).values(holds="{"))
    messages = [second(n, entries=debtors(3, first=10 * n - 9)) for n in (1, 2)]
    await fake_sqs.send(settings.recovery_queue_high, messages)

    await process_all(settings, database, fake_sqs)

    assert {one.sequence: one.outcome for one in results(fake_sqs, settings)} == {1: "dead", 2: "done"}
    assert (count(database, decisions), count(database, errors)) == (3, 0)
