"""A message that an operator vouches for replaces what contradicts it, and nothing else, on each kind of database."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.debt_processing.batches.test_service import decided, record, rows
from tests.debt_processing.builders import LATER, NOW, a_debtor, debtors

from debt_processing.batches import repairs
from debt_processing.batches.service import BatchContradicts, Recorded
from debt_processing.tables import batches, decisions, errors, runs, vouched_messages
from recovery_core.decisions.decide import DecidedBatch
from service_kit.database.engine import Database


def replace(database: Database, batch: DecidedBatch) -> Recorded:
    return database.transact(lambda connection: repairs.replace(connection, batch, NOW, LATER))


def places(database: Database) -> list[tuple[int, int]]:
    with database.read() as connection:
        statement = select(batches.c.sequence, batches.c.debtors).order_by(batches.c.sequence)
        return [tuple(row) for row in connection.execute(statement)]


def test_a_forged_batch_in_its_place_goes_with_all_its_debtors(any_database: Database) -> None:
    forged = decided("run-1", 1, entries=[a_debtor(77), a_debtor(78) | {"contract_type": "?"}])
    record(any_database, forged)
    record(any_database, decided("run-1", 2))
    right = decided("run-1", 1)

    assert replace(any_database, right) == Recorded(3, 0, LATER, repeated=False, digest=right.digest)

    assert places(any_database) == [(1, 3), (2, 3)]
    assert sorted(row[3] for row in rows(any_database, decisions)) == [1000, 1001, 1002, 2000, 2001, 2002]
    assert rows(any_database, errors) == []
    assert record(any_database, right).repeated


def test_a_run_that_was_described_wrongly_is_described_again_and_starts_over(any_database: Database) -> None:
    record(any_database, decided("run-1", 1, threshold=1))
    record(any_database, decided("run-2", 1))
    right = decided("run-1", 2)
    with pytest.raises(BatchContradicts, match="threshold"):
        record(any_database, right)

    replace(any_database, right)

    with any_database.read() as connection:
        run = connection.execute(select(runs).where(runs.c.run_id == "run-1")).one()
        ours = connection.execute(select(batches.c.sequence).where(batches.c.run_number == run.number)).scalars().all()
    assert (run.threshold, run.as_of, run.policy_hash) == (50_000_000, right.header.as_of, right.policy.hash)
    assert ours == [2]
    assert len(rows(any_database, batches)) == 2
    assert not record(any_database, decided("run-1", 1)).repeated


def test_batches_that_settled_its_debtors_go(any_database: Database) -> None:
    forged = decided("run-1", 9, entries=[a_debtor(1001), a_debtor(5), a_debtor(1002) | {"contract_type": "?"}])
    record(any_database, forged)
    record(any_database, decided("run-1", 2))
    right = decided("run-1", 1)
    assert record(any_database, right).succeeded == 1

    replace(any_database, right)

    assert places(any_database) == [(1, 3), (2, 3)]
    assert {row[3] for row in rows(any_database, decisions)} == {1000, 1001, 1002, 2000, 2001, 2002}
    assert rows(any_database, errors) == []


def test_a_batch_of_another_run_that_has_its_id_goes(any_database: Database) -> None:
    record(any_database, decided("run-9", 4, batch_id="run-1-0000001"))

    replace(any_database, decided("run-1", 1))

    with any_database.read() as connection:
        assert connection.execute(select(batches.c.batch_id, batches.c.sequence)).all() == [("run-1-0000001", 1)]
    assert {row[3] for row in rows(any_database, decisions)} == {1000, 1001, 1002}


def test_a_new_message_is_recorded_as_usual(any_database: Database) -> None:
    batch = decided("run-1", 1, entries=debtors(2))

    assert replace(any_database, batch) == Recorded(2, 0, LATER, repeated=False, digest=batch.digest)


def test_vouching_lasts_until_it_is_used_or_no_queue_has_the_message_any_longer(any_database: Database) -> None:
    batch = decided("run-1", 1)
    long_ago = NOW - timedelta(days=repairs.KEPT_DAYS, seconds=1)
    any_database.transact(lambda c: repairs.vouch(c, ["0" * 64], long_ago))
    for _ in range(2):
        any_database.transact(lambda c: repairs.vouch(c, [batch.digest], NOW))
    assert [row[0] for row in rows(any_database, vouched_messages)] == [batch.digest]

    with any_database.read() as connection:
        assert repairs.is_vouched(connection, batch.digest)
        assert not repairs.is_vouched(connection, "0" * 64)
    replace(any_database, batch)

    assert rows(any_database, vouched_messages) == []
