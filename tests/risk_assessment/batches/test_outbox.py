"""The outbox says which batches go next, and is told what was sent; nothing it is told late or twice does harm."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update
from tests.risk_assessment.builders import NOON, a_registry, generate_debtors
from tests.risk_assessment.planned import a_planned_run, batches_of, bodies_of, keys_of, run_row

from risk_assessment.batches import queries as batches
from risk_assessment.batches.queries import MAX_SENDS, BatchKey
from risk_assessment.batches.shipments import build_shipment
from risk_assessment.runs import queries as runs
from risk_assessment.runs import results
from risk_assessment.runs.service import cancel
from risk_assessment.runs.tables import RunState
from risk_assessment.tables import run_batches
from service_kit.database.engine import Database

RESEND_AFTER = 60.0


def a_cut_run(database: Database) -> str:
    """A run with several batches in each lane."""
    return a_planned_run(database, batch_size=3, threshold="1500000.00")


@pytest.fixture
def filled(database: Database) -> Database:
    generate_debtors(database, 40)
    return database


def next_batches(database: Database, room: int, leave_out: Iterable[BatchKey] = ()) -> list[BatchKey]:
    with database.read() as connection:
        publishing = runs.numbers_in(connection, (RunState.PUBLISHING,))
        return batches.next_batches(connection, publishing, room, frozenset(leave_out))


def send(database: Database, keys: list[BatchKey], seconds: float = 0) -> list[str]:
    """Note these batches as sent; the ids of the runs that are published by it."""
    return database.transact(lambda c: results.mark_sent(c, keys, NOON + timedelta(seconds=seconds)))


def due_again(database: Database, seconds: float) -> list[BatchKey]:
    with database.read() as connection:
        return batches.due_again(connection, NOON + timedelta(seconds=seconds), RESEND_AFTER)


def outstanding(database: Database) -> int:
    with database.read() as connection:
        return batches.outstanding(connection)


def set_state(database: Database, key: BatchKey, state: str) -> None:
    with database.write() as connection:
        connection.execute(
            update(run_batches)
            .where(run_batches.c.run_number == key.run_number, run_batches.c.sequence == key.sequence)
            .values(state=state)
        )


def test_batches_go_in_the_order_of_their_run(filled: Database) -> None:
    run_id = a_cut_run(filled)
    keys = keys_of(filled, run_id)
    assert {key.lane for key in keys} == {"high", "standard"}

    assert next_batches(filled, 1_000) == keys
    assert next_batches(filled, 4) == keys[:4]
    assert next_batches(filled, 4, keys[:2]) == keys[2:6]
    assert next_batches(filled, 0) == next_batches(filled, -5) == []


def test_every_high_batch_goes_before_any_standard_one_and_older_runs_first(filled: Database) -> None:
    first, second = keys_of(filled, a_cut_run(filled)), keys_of(filled, a_cut_run(filled))

    going = next_batches(filled, 1_000)

    lanes = [[key for key in keys if key.lane == lane] for lane in ("high", "standard") for keys in (first, second)]
    assert going == [key for keys in lanes for key in keys]
    assert all(lanes)


def test_what_was_sent_does_not_go_next(filled: Database) -> None:
    keys = keys_of(filled, a_cut_run(filled))

    send(filled, keys[:5])

    assert next_batches(filled, 1_000) == keys[5:]
    assert outstanding(filled) == 5


def test_a_run_is_published_with_its_last_batch(filled: Database) -> None:
    run_id = a_cut_run(filled)
    keys = keys_of(filled, run_id)

    assert send(filled, keys[1:]) == []
    assert run_row(filled, run_id).state == "publishing"
    assert send(filled, keys[:1], seconds=5) == [run_id]

    run = run_row(filled, run_id)
    assert (run.state, run.published_at) == ("published", NOON + timedelta(seconds=5))
    assert send(filled, keys, seconds=6) == []
    assert run_row(filled, run_id).published_at == NOON + timedelta(seconds=5)


def test_marking_a_batch_again_counts_the_sends(filled: Database) -> None:
    [key] = keys_of(filled, a_cut_run(filled), 1)

    send(filled, [key])
    send(filled, [key], seconds=70)

    with filled.read() as connection:
        row = connection.execute(run_batches.select().where(run_batches.c.sequence == 1)).one()
    assert (row.state, row.sends, row.sent_at) == ("sent", 2, NOON + timedelta(seconds=70))
    assert outstanding(filled) == 1


@pytest.mark.parametrize("state", ["done", "dead", "cancelled"])
def test_a_late_mark_never_undoes_an_end(filled: Database, state: str) -> None:
    run_id = a_cut_run(filled)
    key = keys_of(filled, run_id)[0]
    set_state(filled, key, state)

    send(filled, [key])

    with filled.read() as connection:
        row = connection.execute(run_batches.select().where(run_batches.c.sequence == key.sequence)).one()
    assert (row.state, row.sends) == (state, 1)
    assert outstanding(filled) == 0


def test_a_batch_nobody_reports_is_due_again_later_each_time(filled: Database) -> None:
    [key] = keys_of(filled, a_cut_run(filled), 1)
    sent_at = [0.0]
    for _ in range(MAX_SENDS - 1):
        send(filled, [key], sent_at[-1])
        seconds = sent_at[-1]
        while not due_again(filled, seconds):
            seconds += 20
        assert due_again(filled, seconds) == [key]
        sent_at.append(seconds)
    send(filled, [key], sent_at[-1])

    waits = [later - earlier for earlier, later in pairwise(sent_at)]
    assert waits == [60, 120, 240, 240, 240, 240, 240]
    assert due_again(filled, sent_at[-1] + 100_000) == []


def test_only_batches_of_runs_under_way_are_due_again(filled: Database) -> None:
    run_ids = [a_cut_run(filled) for _ in range(2)]
    keys = [keys_of(filled, run_id, 1)[0] for run_id in run_ids]
    send(filled, keys)
    filled.transact(lambda c: cancel(c, run_ids[0], NOON))

    assert due_again(filled, 59.9) == []
    assert due_again(filled, 60) == keys[1:]
    assert outstanding(filled) == 1


def test_a_cancelled_run_sends_nothing_more(filled: Database) -> None:
    run_id = a_cut_run(filled)
    keys = keys_of(filled, run_id)
    send(filled, keys[:2])

    filled.transact(lambda c: cancel(c, run_id, NOON))

    assert next_batches(filled, 1_000) == []
    assert [batch.state for batch in batches_of(filled, run_id)] == ["sent"] * 2 + ["cancelled"] * (len(keys) - 2)
    filled.transact(lambda c: cancel(c, run_id, NOON + timedelta(seconds=9)))
    assert run_row(filled, run_id).completed_at == NOON


def test_a_message_is_the_same_bytes_however_it_is_asked_for(filled: Database) -> None:
    run_id = a_cut_run(filled)
    other = a_cut_run(filled)
    keys = keys_of(filled, run_id) + keys_of(filled, other)

    with filled.read() as connection:
        together = build_shipment(connection, keys[::-1], a_registry()).bodies
        alone = {key: build_shipment(connection, [key], a_registry()).bodies[key] for key in keys}

    assert together == alone
    assert {key.sequence: alone[key] for key in keys_of(filled, run_id)} == bodies_of(filled, run_id)
