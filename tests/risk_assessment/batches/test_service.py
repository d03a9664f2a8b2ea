"""A batch that went out is marked; a mark that comes late or twice does no harm."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from tests.risk_assessment.batches.outbox import a_cut_run, outstanding, send
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.planned import digests_of, keys_of, run_row

from risk_assessment.batches.queries import BatchKey
from risk_assessment.tables import run_batches
from service_kit.database.engine import Database


def set_state(database: Database, key: BatchKey, state: str) -> None:
    with database.write() as connection:
        connection.execute(
            update(run_batches)
            .where(run_batches.c.run_number == key.run_number, run_batches.c.sequence == key.sequence)
            .values(state=state)
        )


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


def test_each_batch_is_marked_with_the_digest_of_its_own_message(filled: Database) -> None:
    keys = [*keys_of(filled, a_cut_run(filled))[:3], *keys_of(filled, a_cut_run(filled))[1:4]]
    digests = digests_of(filled, keys)

    send(filled, keys)

    with filled.read() as connection:
        rows = connection.execute(select(run_batches)).all()
    marked = {BatchKey(row.run_number, row.sequence, row.lane): row.digest for row in rows if row.digest}
    assert marked == digests
    assert len(set(marked.values())) == len(keys)


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
