"""The outbox says which batches go next, which again, and how many are outstanding."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

from tests.risk_assessment.batches.outbox import a_cut_run, outstanding, send
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.planned import batches_of, keys_of, run_row

from risk_assessment.batches import queries as batches
from risk_assessment.batches.queries import MAX_SENDS, BatchKey
from risk_assessment.runs import queries as runs
from risk_assessment.runs.service import cancel
from risk_assessment.runs.tables import RunState
from service_kit.database.engine import Database

RESEND_AFTER = 60.0


def next_batches(database: Database, room: int, leave_out: Iterable[BatchKey] = ()) -> list[BatchKey]:
    with database.read() as connection:
        publishing = runs.numbers_in(connection, (RunState.PUBLISHING,))
        return batches.next_batches(connection, publishing, room, frozenset(leave_out))


def due_again(database: Database, seconds: float) -> list[BatchKey]:
    with database.read() as connection:
        return batches.due_again(connection, NOON + timedelta(seconds=seconds), RESEND_AFTER)


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


def test_a_batch_that_is_not_reported_is_due_again_later_each_time(filled: Database) -> None:
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
