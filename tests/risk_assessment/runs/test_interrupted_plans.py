"""A plan counts as a whole or not at all, whatever stops it or writes meanwhile."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, accept_run, add_debtor, change_debtor, generate_debtors
from tests.risk_assessment.planned import a_planned_run, batches_of, left_out, order_of, plan, run_row, run_view

from risk_assessment.debtors import service as debtors
from risk_assessment.runs import queries as runs
from risk_assessment.runs import service
from risk_assessment.runs.planning import PlanInterruptedError, RunWithdrawnError
from risk_assessment.runs.tables import RunState
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaseLostError


class After:
    """Acts when a plan has checked for an interruption so often: each check follows one chunk read or one commit."""

    def __init__(self, looks: int, then: Callable[[], object]) -> None:
        self._looks, self._then = looks, then

    def __call__(self) -> bool:
        self._looks -= 1
        return bool(self._then()) if self._looks == 0 else False


def test_a_plan_that_was_cut_off_is_made_again(database: Database) -> None:
    rows = generate_debtors(database, 250)
    run_id, other = accept_run(database, batch_size=1), a_planned_run(database, batch_size=1)

    with pytest.raises(PlanInterruptedError):
        plan(database, run_id, interrupted=After(3, lambda: True))

    cut_off = run_row(database, run_id)
    assert (cut_off.state, cut_off.batches_total, cut_off.manifest_hash) == ("planning", None, None)
    assert 0 < len(batches_of(database, run_id)) < len(rows)
    with database.read() as connection:
        publishing = run_row(database, other).number
        assert runs.numbers_in(connection, (RunState.PUBLISHING,)) == [publishing]
        found = runs.next_to_plan(connection)
        assert found is not None
        assert found.id == run_id
    plan(database, run_id)

    assert batches_of(database, run_id) == batches_of(database, other)
    assert run_row(database, run_id).manifest_hash == run_row(database, other).manifest_hash


def test_exclusions_of_a_plan_that_was_cut_off_are_recorded_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_core.ranking.exclusions.PART_SIZE", 3)
    monkeypatch.setattr("risk_assessment.runs.planning.PARTS_A_COMMIT", 1)
    rows = generate_debtors(database, 250)
    paid = sorted(row["id"] for row in rows if row["payment_status"] == "PAID")
    run_id = accept_run(database, batch_size=1)

    with pytest.raises(PlanInterruptedError):
        plan(database, run_id, interrupted=After(2, lambda: True))

    recorded = sorted(one for one, *_ in left_out(database, run_id))
    assert 0 < len(recorded) < len(paid)
    with database.read() as connection:
        assert runs.exclusion_page(connection, run_id, None, None, None, 500).items == []
    plan(database, run_id)
    assert sorted(one for one, *_ in left_out(database, run_id)) == paid


def test_a_run_cancelled_while_it_is_planned_leaves_no_batch_to_send(database: Database) -> None:
    generate_debtors(database, 250)
    run_id = accept_run(database, batch_size=1)

    def cancel() -> bool:
        database.transact(lambda c: service.cancel(c, run_id, NOON))
        return False

    with pytest.raises(RunWithdrawnError):
        plan(database, run_id, interrupted=After(2, cancel))

    assert run_row(database, run_id).state == "cancelled"
    assert {batch.state for batch in batches_of(database, run_id)} == {"cancelled"}


def test_a_run_cancelled_before_it_is_planned_is_left_alone(database: Database) -> None:
    generate_debtors(database, 5)
    run_id = accept_run(database)
    with database.read() as connection:
        stale = runs.next_to_plan(connection)
    database.transact(lambda c: service.cancel(c, run_id, NOON))

    with pytest.raises(RunWithdrawnError):
        plan(database, run_id)

    assert stale is not None
    assert batches_of(database, run_id) == []
    with database.read() as connection:
        assert runs.next_to_plan(connection) is None


def test_a_dispatcher_that_lost_its_lease_cannot_plan(database: Database) -> None:
    generate_debtors(database, 250)
    run_id = accept_run(database, batch_size=1)
    writes = []

    def write(work: Callable[[Connection], None]) -> None:
        writes.append(1)
        if len(writes) > 2:
            raise LeaseLostError
        database.transact(work)

    with pytest.raises(LeaseLostError):
        plan(database, run_id, write=write)

    assert run_row(database, run_id).state == "planning"
    assert len(batches_of(database, run_id)) == 100


def test_debtors_that_come_and_go_while_a_run_is_planned_do_not_matter(database: Database) -> None:
    rows = generate_debtors(database, 120)
    run_id = accept_run(database, batch_size=1)

    def write() -> bool:
        add_debtor(database, total_debt_amount="9999999999.00")
        change_debtor(database, rows[0]["id"], payment_status="PAID")
        database.transact(lambda c: debtors.remove(c, rows[1]["id"], NOON))
        return False

    plan(database, run_id, interrupted=After(1, write))

    assert order_of(database, run_id) == independent.ranking(rows)
    assert sum(run_view(database, run_id)["excluded"].values()) + len(order_of(database, run_id)) == len(rows)
