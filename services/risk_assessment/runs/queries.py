"""Runs read: one, a page of them, those to plan or complete, and how clients see them."""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Connection, Row, case, func, select

from recovery_core.money import format_money
from recovery_core.policies.parts import Lane
from recovery_core.ranking.exclusions import Exclusion
from recovery_core.ranking.worklist import Cut
from risk_assessment.batches.stretches import count_high, stretches
from risk_assessment.batches.tables import BatchState, run_batches
from risk_assessment.exclusions import queries as exclusions
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import UNPLANNED, RunState, Unit, runs, unit_of
from risk_assessment.snapshots.manifests import filters_view
from service_kit.auth.portfolios import Portfolios, admits
from service_kit.http import newest
from service_kit.http.newest import Wanted
from service_kit.http.pages import Page


class RunNotFoundError(LookupError):
    """There is no such run."""

    def __init__(self, run_id: str) -> None:
        super().__init__("there is no such run")
        self.run_id = run_id


def read(connection: Connection, run_id: str, within: Portfolios = None, *, lock: bool = False) -> Row[Any]:
    """Return the row of a run of these portfolios, locked against other writers if asked. Raises RunNotFoundError."""
    statement = select(runs).where(runs.c.id == run_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None or not admits(within, row.portfolio):
        raise RunNotFoundError(run_id)
    return row


def of_number(connection: Connection, number: int) -> Row[Any]:
    """Return the row of a run that is known to exist."""
    return connection.execute(select(runs).where(runs.c.number == number)).one()


def locked(connection: Connection, numbers: Iterable[int]) -> list[Row[Any]]:
    """Return the runs' rows, locked in one order, and always before any of their batches: so there is no deadlock."""
    these = select(runs).where(runs.c.number.in_(sorted(set(numbers)))).order_by(runs.c.number)
    return list(connection.execute(these.with_for_update()))


def page(connection: Connection, wanted: Wanted, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page of runs, newest first. Raises BadCursor."""
    return newest.page(connection, runs, wanted, cursor, limit)


def exclusion_page(
    connection: Connection,
    run_id: str,
    within: Portfolios,
    reason: Exclusion | None,
    cursor: str | None,
    limit: int,
) -> Page[dict[str, Any]]:
    """Return a page of the debtors that a run of these portfolios left out; none before it is planned as a whole.

    Raises RunNotFoundError, BadCursor.
    """
    run = read(connection, run_id, within)
    place = exclusions.place_in(cursor)
    return Page([], None) if run.planned_at is None else exclusions.page(connection, run.number, reason, place, limit)


def numbers_in(connection: Connection, states: tuple[RunState, ...]) -> list[int]:
    """Return the numbers of the runs in these states, oldest first; the index of states alone is read."""
    return sorted(connection.execute(select(runs.c.number).where(runs.c.state.in_(states))).scalars())


def next_to_plan(connection: Connection) -> Row[Any] | None:
    """Return the oldest run that has no plan yet, or whose plan was cut off."""
    waiting = numbers_in(connection, UNPLANNED)
    return of_number(connection, waiting[0]) if waiting else None


def cut_of(run: Row[Any]) -> Cut:
    """Return what the worklist of a stored run is cut by."""
    by_person = unit_of(run.unit) is Unit.PERSON
    return Cut(by_person, orjson.loads(run.capacities) if run.capacities else None, run.debtor_limit)


def view(connection: Connection, row: Row[Any], registry: PolicyRegistry) -> dict[str, Any]:
    """Return the run as clients see it."""
    lanes = _batches_by_lane(connection, row)
    batches = {state: sum(lane[state] for lane in lanes.values()) for state in BatchState}
    policy = registry.scorer(connection, row.policy_id).policy
    sent = (BatchState.SENT, BatchState.DONE, BatchState.DEAD)
    return {
        **row._mapping,
        "threshold": format_money(row.threshold),
        "limit": row.debtor_limit,
        "unit": unit_of(row.unit),
        "filters": filters_view(row.filters),
        "capacities": cut_of(row).capacities,
        "excluded": orjson.loads(row.excluded),
        "policy": policy.ref.model_dump(),
        "batches_by_lane": lanes,
        "batches_sent": sum(batches[state] for state in sent),
        "batches_done": batches[BatchState.DONE],
        "batches_dead": batches[BatchState.DEAD],
        "batches_cancelled": batches[BatchState.CANCELLED],
    }


def batches(connection: Connection, run_id: str, within: Portfolios) -> dict[str, Any]:
    """Return the batches of a run of these portfolios, each at its place. Raises RunNotFoundError."""
    found = stretches(connection, read(connection, run_id, within).number)
    return {"run_id": run_id, "stretches": [stretch._asdict() for stretch in found]}


def _batches_by_lane(connection: Connection, run: Row[Any]) -> dict[Lane, dict[BatchState, int]]:
    """Return how many batches of each lane are in each state. The first batches are those of the high lane."""
    high_batches = _high_batches(connection, run)
    counted = (
        select(run_batches.c.state, func.count(), func.sum(case((run_batches.c.sequence <= high_batches, 1), else_=0)))
        .where(run_batches.c.run_number == run.number)
        .group_by(run_batches.c.state)
    )
    lanes: dict[Lane, dict[BatchState, int]] = {lane: dict.fromkeys(BatchState, 0) for lane in Lane}
    for state, every, high in connection.execute(counted):
        lanes[Lane.HIGH][BatchState(state)] = int(high)
        lanes[Lane.STANDARD][BatchState(state)] = every - int(high)
    return lanes


def _high_batches(connection: Connection, run: Row[Any]) -> int:
    high = run.debtors_high or 0
    expected = [-(-debtors // run.batch_size) for debtors in (high, (run.debtors_ranked or 0) - high)]
    # A batch is halved where its message would be too large. Then there are more than the debtors account for.
    return expected[0] if sum(expected) == (run.batches_total or 0) else count_high(connection, run.number)
