"""The inbox on each kind of database: however often and in whatever order a batch comes, it is recorded once."""

import itertools
import threading
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs
from tests.debt_processing.builders import LATER, NOW, a_batch, a_debtor, debtors

from debt_processing.batches import service as inbox
from debt_processing.batches.service import BatchContradicts, Recorded
from debt_processing.tables import batches, decisions, errors, runs
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.messages.batch import resolve_policy
from recovery_core.policies.builtin import built_in_policy
from service_kit.database.engine import Database


def decided(*args: Any, **changes: Any) -> DecidedBatch:
    batch = a_batch(*args, **changes)
    return decide(batch, resolve_policy(batch.header))


def record(database: Database, batch: DecidedBatch) -> Recorded:
    return database.transact(lambda connection: inbox.record(connection, batch, NOW, LATER))


def rows(database: Database, table: Any) -> list[Any]:
    with database.read() as connection:
        return sorted(map(tuple, connection.execute(select(table))), key=repr)


def everything(database: Database) -> list[list[Any]]:
    return [rows(database, table) for table in (runs, batches, decisions, errors)]


def test_a_batch_is_recorded_with_all_its_debtors(any_database: Database) -> None:
    batch = decided("run-1", 3, entries=[a_debtor(1), a_debtor(2) | {"contract_type": "?"}], lane="standard")

    recorded = record(any_database, batch)

    assert recorded == Recorded(1, 1, LATER, repeated=False, digest=batch.digest)
    with any_database.read() as connection:
        run = connection.execute(select(runs)).one()
        [stored] = connection.execute(select(batches))
        [error] = connection.execute(select(errors))
        [decision] = connection.execute(select(decisions))
    assert (run.run_id, run.policy_hash, run.as_of) == ("run-1", batch.policy.hash, batch.header.as_of)
    assert (stored.sequence, stored.lane, stored.debtors, stored.succeeded, stored.failed) == (3, "standard", 2, 1, 1)
    assert (stored.started_at, stored.finished_at, stored.digest) == (NOW, LATER, batch.digest)
    assert (error.debtor_id, error.position, error.stage, error.error, error.recorded_at) == (
        2, 1, "read", "contract_type", LATER
    )  # fmt: skip
    assert tuple(decision)[1:] == (3, *batch.decisions[0])


def test_a_debtor_given_more_than_once_has_one_outcome_and_spoils_nothing(any_database: Database) -> None:
    good, bad = a_debtor(1), a_debtor(2) | {"contract_type": "?"}

    recorded = record(any_database, decided(entries=[good, bad, good, bad, good, a_debtor(3)]))

    assert (recorded.succeeded, recorded.failed) == (2, 4)
    with any_database.read() as connection:
        with_decision = list(connection.execute(select(decisions.c.debtor_id)).scalars())
        failed = list(connection.execute(select(errors.c.debtor_id)).scalars())
    assert sorted(with_decision) == [1, 3]
    assert [debtor_id for debtor_id in failed if debtor_id is not None] == [2]
    assert failed.count(None) == 3


def test_repeats_in_any_order_change_nothing(any_database: Database) -> None:
    sequences = (1, 2, 3)
    for sequence in sequences:
        record(any_database, decided("run-1", sequence))
    before = everything(any_database)

    for order in itertools.permutations(sequences):
        for sequence in order:
            again = decided("run-1", sequence)
            assert record(any_database, again) == Recorded(3, 0, LATER, repeated=True, digest=again.digest)

    assert everything(any_database) == before


def test_a_repeat_of_a_batch_with_errors_leaves_no_debtor_out(database: Database) -> None:
    batch = decided("run-1", 1, entries=[a_debtor(1), a_debtor(2) | {"contract_type": "?"}])
    record(database, batch)

    with capture_logs() as logs:
        again = record(database, batch)

    assert again == Recorded(1, 1, LATER, repeated=True, digest=batch.digest)
    assert logs == []


@pytest.mark.parametrize("changes", [{"batch_id": "another"}, {"entries": [a_debtor(1)]}, {"lane": "standard"}])
def test_the_same_place_in_a_run_takes_no_other_message(any_database: Database, changes: dict[str, Any]) -> None:
    record(any_database, decided("run-1", 1))
    before = everything(any_database)

    with pytest.raises(BatchContradicts, match="recorded from another message"):
        record(any_database, decided("run-1", 1, **changes))

    assert everything(any_database) == before


def test_what_version_1_0_recorded_without_a_digest_is_a_repeat(any_database: Database) -> None:
    batch = decided("run-1", 1)
    record(any_database, batch)
    with any_database.write() as connection:
        connection.execute(update(batches).values(digest=None))

    assert record(any_database, batch) == Recorded(3, 0, LATER, repeated=True, digest=batch.digest)


def test_an_id_that_stands_for_another_batch_is_rejected(any_database: Database) -> None:
    record(any_database, decided("run-1", 1))

    with pytest.raises(BatchContradicts, match="batch_id"):
        record(any_database, decided("run-1", 2, batch_id="run-1-0000001"))

    assert len(rows(any_database, batches)) == 1


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("threshold", {"threshold": 1}),
        ("portfolio", {"portfolio": "other"}),
        ("policy", {"policy": built_in_policy("classic")}),
        ("as_of", {"as_of": LATER}),
        ("batches_total", {"batches_total": 99}),
        ("debtors_total", {"debtors_total": 99}),
    ],
)
def test_a_batch_that_contradicts_its_run_is_rejected(database: Database, field: str, changes: dict[str, Any]) -> None:
    record(database, decided("run-1", 1))

    with pytest.raises(BatchContradicts, match=field):
        record(database, decided("run-1", 2, **changes))

    assert len(rows(database, batches)) == 1


def test_a_debtor_is_decided_once_in_a_run(any_database: Database) -> None:
    record(any_database, decided("run-1", 1, entries=debtors(3)))

    second = record(any_database, decided("run-1", 2, entries=debtors(3, first=3)))

    assert (second.succeeded, second.repeated) == (2, False)
    assert sorted(row[3] for row in rows(any_database, decisions)) == [1, 2, 3, 4, 5]
    [_, stored] = rows(any_database, batches)
    assert stored[5:7] == (3, 2)  # three debtors in the message, two decided


def test_a_batch_whose_debtors_others_settled_is_not_repeated_but_contradicts(any_database: Database) -> None:
    record(any_database, decided("run-1", 1, entries=debtors(3)))
    record(any_database, decided("run-1", 2, entries=debtors(3, first=3)))

    with pytest.raises(BatchContradicts, match="settled 1 of its debtors"):
        record(any_database, decided("run-1", 2, entries=debtors(3, first=3)))


def test_the_same_debtors_are_decided_again_in_another_run(any_database: Database) -> None:
    record(any_database, decided("run-1", 1, entries=debtors(3)))
    record(any_database, decided("run-2", 1, entries=debtors(3)))

    assert len(rows(any_database, decisions)) == 6


def test_a_debtor_has_a_decision_or_an_error_and_never_both(any_database: Database) -> None:
    bad = {"monthly_income": "-1"}
    record(any_database, decided("run-1", 1, entries=[a_debtor(1), a_debtor(2) | bad]))

    record(any_database, decided("run-1", 2, entries=[a_debtor(1) | bad, a_debtor(2), a_debtor(3)]))
    record(any_database, decided("run-1", 3, entries=[a_debtor(2) | bad, a_debtor(3) | bad, a_debtor(4)]))

    assert sorted(row[3] for row in rows(any_database, decisions)) == [1, 3, 4]
    assert [row[3] for row in rows(any_database, errors)] == [2]


def test_errors_without_a_debtor_do_not_collide(any_database: Database) -> None:
    recorded = record(any_database, decided("run-1", 1, entries=[{"a": 1}, {"b": 2}, a_debtor(1)]))

    assert (recorded.succeeded, recorded.failed) == (1, 2)


def test_consumers_at_the_same_time_record_a_batch_once(any_database: Database) -> None:
    decided_batches = [decided("run-1", sequence, entries=debtors(50, first=sequence * 100)) for sequence in (1, 2, 3)]
    results: list[Recorded] = []
    start = threading.Barrier(4)

    def consume() -> None:
        start.wait()
        results.extend(record(any_database, batch) for batch in decided_batches)

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(not result.repeated for result in results) == 3
    assert len(results) == 12
    assert len(rows(any_database, decisions)) == 150


def test_find_knows_only_what_was_recorded(any_database: Database) -> None:
    batch = decided("run-1", 1)
    with any_database.read() as connection:
        assert inbox.find(connection, batch.header, batch.digest) is None
    record(any_database, batch)
    with any_database.read() as connection:
        found = inbox.find(connection, batch.header, batch.digest)
        assert found == Recorded(3, 0, LATER, repeated=True, digest=batch.digest)
        assert inbox.find(connection, decided("run-1", 2).header, batch.digest) is None
