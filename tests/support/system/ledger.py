"""What became of every debtor of a run, counted in the databases themselves, as Jepsen counts the elements of a queue.

A run is balanced when every debtor of the portfolio was either ranked or left out, once, and every ranked one has
exactly one decision, one skip or one error.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields

from sqlalchemy import ColumnElement, Connection, Row, Table, select

from debt_processing import tables as debt
from recovery_core.ranking.manifest import unpack_entries
from risk_assessment import tables as risk
from service_kit.database.engine import Database

ELIGIBLE = ("UNPAID", "PARTIAL")
FINAL = ("done", "dead", "cancelled")

Place = tuple[int, int, int]
"""Debtor, batch and position."""


@dataclass(frozen=True)
class Ledger:
    """The accounts of one or more runs."""

    population: int
    """Debtors who were in the portfolio when the run was accepted, and still are."""
    acknowledged: int
    """Debtors that the run ranked and recorded."""
    excluded: int
    """Debtors that the run left out, each with a record."""
    decided: int
    skipped: int
    errors: int
    unaccounted: int
    """Of the population, neither ranked nor left out."""
    lost: int
    """Ranked, and neither decided nor skipped nor an error."""
    unexpected: int
    """Decided, skipped or an error, and never ranked; or processed at another place than was recorded."""
    duplicated: int
    """Debtors ranked more than once, ranked and left out, or with more than one decision, skip or error."""
    recovered: int
    """Batches that were sent more than once."""
    unfinished: int
    """Batches that ended neither done nor dead nor cancelled, and one more for a run that is not completed."""
    open_batches: int
    """Only the batches of these."""
    dead: int
    """Batches given up, to be looked at by people."""

    def __add__(self, other: "Ledger") -> "Ledger":
        return Ledger(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Ledger)))

    @property
    def is_balanced(self) -> bool:
        """Whether nothing is unaccounted, lost, unexpected, duplicated or left open, and nothing was given up."""
        wrong = self.unaccounted, self.lost, self.unexpected, self.duplicated, self.unfinished, self.dead
        return not any(wrong) and self.acknowledged == self.decided + self.skipped + self.errors

    def table(self) -> str:
        """The accounts as lines of text."""
        return "\n".join(f"{f.name:>13} {getattr(self, f.name):>9,}" for f in fields(Ledger))


NOTHING = Ledger(*([0] * len(fields(Ledger))))


def everybody(risk_database: Database, portfolio: str = "default") -> set[int]:
    """The debtors of a portfolio, now."""
    return _ids(risk_database, risk.debtors.c.portfolio == portfolio)


def eligible(risk_database: Database, portfolio: str = "default") -> set[int]:
    """The debtors of a portfolio who have not paid, now."""
    owing = risk.debtors.c.payment_status.in_(ELIGIBLE)
    return _ids(risk_database, risk.debtors.c.portfolio == portfolio, owing)


def account(risk_database: Database, debt_database: Database, run_id: str, at_acceptance: Iterable[int]) -> Ledger:
    """Count what became of the debtors, given those who were in the portfolio when the run was accepted."""
    with risk_database.read() as connection:
        run = connection.execute(select(risk.runs).where(risk.runs.c.id == run_id)).one()
        ranked = _ranked(connection, run.number)
        left_out = _left_out(connection, run.number)
        batches = connection.execute(select(risk.run_batches).where(risk.run_batches.c.run_number == run.number)).all()
    with debt_database.read() as connection:
        decided, skipped, failed = (
            _settled(connection, run_id, table) for table in (debt.decisions, debt.skips, debt.errors)
        )
    population = set(at_acceptance) & everybody(risk_database, run.portfolio)
    places = {debtor_id: place for debtor_id, *place in ranked}
    outcomes = [*decided, *skipped, *failed]
    settled = {debtor_id for debtor_id, *_ in outcomes}
    misplaced = [debtor_id for debtor_id, *place in outcomes if places.get(debtor_id) != place]
    return Ledger(
        population=len(population),
        acknowledged=len(ranked),
        excluded=len(left_out),
        decided=len(decided),
        skipped=len(skipped),
        errors=len(failed),
        unaccounted=len(population - places.keys() - set(left_out)),
        lost=len(places.keys() - settled),
        unexpected=len(set(misplaced)),
        duplicated=len(_twice(_ids_in(ranked)) | _twice([*places, *left_out]) | _twice(_ids_in(outcomes))),
        recovered=sum(batch.sends > 1 for batch in batches),
        unfinished=_open(batches) + (run.state != "completed") + (run.batches_total != len(batches)),
        open_batches=_open(batches),
        dead=sum(batch.state == "dead" for batch in batches),
    )


def _ids_in(places: Iterable[Place]) -> list[int]:
    """The debtors at these places."""
    return [debtor_id for debtor_id, _, _ in places]


def _twice(debtor_ids: Iterable[int]) -> set[int]:
    return {debtor_id for debtor_id, times in Counter(debtor_ids).items() if times > 1}


def _ids(risk_database: Database, *which: ColumnElement[bool]) -> set[int]:
    with risk_database.read() as connection:
        return set(connection.execute(select(risk.debtors.c.id).where(*which)).scalars())


def _ranked(connection: Connection, number: int) -> list[Place]:
    """Debtor, batch and position of every rank that was recorded."""
    entries = select(risk.run_entries.c.sequence, risk.run_entries.c.entries)
    found = connection.execute(entries.where(risk.run_entries.c.run_number == number)).all()
    return [
        (debtor_id, sequence, position)
        for sequence, packed in found
        for position, (_, debtor_id, _) in enumerate(unpack_entries(packed))
    ]


def _left_out(connection: Connection, number: int) -> list[int]:
    """The debtors of every exclusion that was recorded."""
    packed = select(risk.run_exclusions.c.packed).where(risk.run_exclusions.c.run_number == number)
    return [row[0] for part in connection.execute(packed).scalars() for row in unpack_entries(part)]


def _settled(connection: Connection, run_id: str, table: Table) -> list[Place]:
    """Debtor, batch and position of every decision, skip or error."""
    columns = table.c
    statement = (
        select(columns.debtor_id, columns.batch_sequence, columns.position)
        .join(debt.runs, debt.runs.c.number == columns.run_number)
        .where(debt.runs.c.run_id == run_id)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def _open(batches: "list[Row[tuple[object, ...]]]") -> int:
    return sum(batch.state not in FINAL for batch in batches)
