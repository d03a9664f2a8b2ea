"""What a comparison reads: two planned runs, their orders, the levels of their debtors, and why some are gone."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from recovery_core.profile import FACTS
from recovery_core.ranking.exclusions import unpack_left
from recovery_core.ranking.manifest import unpack_entries
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer
from risk_assessment.batches.tables import run_entries
from risk_assessment.debtors.tables import assessments
from risk_assessment.exclusions.tables import run_exclusions
from risk_assessment.runs import queries as runs
from service_kit.auth.portfolios import Portfolios
from service_kit.database.bulk import columns_of, rows_by_key

_BATCHES_A_QUERY = 50
_PARTS_A_QUERY = 20
_SPARSE = 4  # how many times more assessments than are wanted may be read
_JUDGED = ("debtor_id", "version", "policy_id", "risk_level")

Versioned = tuple[int, int]
"""A debtor's id and version, which name an assessment."""


class UnplannedRunError(Exception):
    """A run has no plan, so there is no order to compare."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has not been planned")


class OtherPortfolioError(ValueError):
    """The two runs are about different portfolios."""

    field = "with"

    def __init__(self) -> None:
        super().__init__("must be a run of the same portfolio")


class LaterRunError(ValueError):
    """The run that should be the earlier one began later, so that what changed since cannot be said of it."""

    field = "with"

    def __init__(self) -> None:
        super().__init__("must be an earlier run; to compare these two, ask for the other one with this one as `with`")


class RunErasedError(Exception):
    """What a run recorded has been deleted, so it can be compared no more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"the records of run {run_id} have been deleted")


def two_runs(connection: Connection, run_id: str, with_id: str, within: Portfolios) -> tuple[Row[Any], Row[Any]]:
    """Return this run and the earlier one.

    Raises RunNotFoundError, OtherPortfolioError, LaterRunError, UnplannedRunError.
    """
    this, earlier = (runs.read(connection, wanted, within) for wanted in (run_id, with_id))
    if this.portfolio != earlier.portfolio:
        raise OtherPortfolioError
    if earlier.number > this.number:
        raise LaterRunError
    for run in (this, earlier):
        if run.planned_at is None:
            raise UnplannedRunError(run.id)
    return this, earlier


def order_of(connection: Connection, run_number: int) -> Iterator[list[Entry]]:
    """Yield what the run ranked, in its order, in chunks."""
    columns, last = run_entries.c, 0
    statement = select(columns.sequence, columns.entries).where(columns.run_number == run_number)
    statement = statement.order_by(columns.sequence).limit(_BATCHES_A_QUERY)
    while rows := connection.execute(statement.where(columns.sequence > last)).all():
        yield [entry for row in rows for entry in unpack_entries(row.entries)]
        last = rows[-1].sequence


def excluded_of(connection: Connection, run_number: int) -> Iterator[tuple[str, list[int]]]:
    """Yield the debtors that the run recorded as left out, each time with the reason."""
    columns, last = run_exclusions.c, 0
    statement = select(columns.part, columns.reason, columns.packed).where(columns.run_number == run_number)
    statement = statement.order_by(columns.part).limit(_PARTS_A_QUERY)
    while rows := connection.execute(statement.where(columns.part > last)).all():
        yield from ((row.reason, [debtor_id for debtor_id, _, _ in unpack_left(row.packed)]) for row in rows)
        last = rows[-1].part


def levels_of(connection: Connection, run: Row[Any], scorer: Scorer, keys: Sequence[Versioned]) -> dict[Versioned, str]:
    """Return the levels of debtors as the policy of a run saw them; a few thousand at most.

    Raises RunErasedError where an assessment is missing.
    """
    found: dict[Versioned, str] = {}
    others: list[Versioned] = []
    for debtor_id, version, policy_id, level in _assessed(connection, _JUDGED, keys):
        if policy_id == run.policy_id:
            found[debtor_id, version] = level
        else:
            others.append((debtor_id, version))
    if others:
        columns = ("debtor_id", "version", *FACTS)
        for debtor_id, version, *facts in _assessed(connection, columns, others):
            found[debtor_id, version] = scorer.score(facts).risk_level
    if len(found) != len(keys):
        raise RunErasedError(run.id)
    return found


def _assessed(connection: Connection, columns: Sequence[str], keys: Sequence[Versioned]) -> Iterator[Sequence[Any]]:
    """Yield these columns of assessments, which begin with their key.

    Those whose keys lie close together are read as one range, which takes half the time of looking each up.
    """
    ids, versions = [debtor_id for debtor_id, _ in keys], [version for _, version in keys]
    if not keys or (max(ids) - min(ids) + 1) * (max(versions) - min(versions) + 1) > _SPARSE * len(keys):
        yield from rows_by_key(connection, assessments, columns, keys)
        return
    here = select(*(assessments.c[name] for name in columns)).where(
        assessments.c.debtor_id.between(min(ids), max(ids)), assessments.c.version.between(min(versions), max(versions))
    )
    wanted = set(keys)
    found = zip(*columns_of(connection, here), strict=True)
    yield from (row for row in found if row[:2] in wanted)
