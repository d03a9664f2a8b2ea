"""What became of every debtor of a run, counted in the databases themselves, as Jepsen counts the elements of a queue.

A run is balanced when every eligible debtor was ranked once and has exactly one decision or one error.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields

from sqlalchemy import Connection, Row, select

from debt_processing import tables as debt
from recovery_core.ranking.manifest import unpack_entries
from risk_assessment import tables as risk
from service_kit.database.engine import Database

ELIGIBLE = ("UNPAID", "PARTIAL")
FINAL = ("done", "dead", "cancelled")


@dataclass(frozen=True)
class Ledger:
    """The accounts of one or more runs."""

    attempted: int
    """Debtors that were eligible when the run was accepted."""
    acknowledged: int
    """Debtors that the run ranked and recorded."""
    decided: int
    errors: int
    lost: int
    """Attempted, and neither decided nor an error."""
    unexpected: int
    """Decided or an error, and never attempted; or processed at another place than was recorded."""
    duplicated: int
    """Debtors ranked more than once, or with more than one decision or error."""
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
        """Whether nothing is lost, unexpected, duplicated or left open, and nothing was given up."""
        wrong = self.lost, self.unexpected, self.duplicated, self.unfinished, self.dead
        return not any(wrong) and self.attempted == self.acknowledged == self.decided + self.errors

    def table(self) -> str:
        """The accounts as lines of text."""
        return "\n".join(f"{f.name:>13} {getattr(self, f.name):>9,}" for f in fields(Ledger))


NOTHING = Ledger(*([0] * len(fields(Ledger))))


def eligible(risk_database: Database, portfolio: str = "default") -> set[int]:
    """The debtors that a run without filters has to process, now."""
    wanted = (risk.debtors.c.portfolio == portfolio) & risk.debtors.c.payment_status.in_(ELIGIBLE)
    with risk_database.read() as connection:
        return set(connection.execute(select(risk.debtors.c.id).where(wanted)).scalars())


def account(risk_database: Database, debt_database: Database, run_id: str, attempted: Iterable[int]) -> Ledger:
    """Count what became of the debtors that this run was to process."""
    wanted = set(attempted)
    with risk_database.read() as connection:
        run = connection.execute(select(risk.runs).where(risk.runs.c.id == run_id)).one()
        ranked = _ranked(connection, run.number)
        batches = connection.execute(select(risk.run_batches).where(risk.run_batches.c.run_number == run.number)).all()
    with debt_database.read() as connection:
        decided, failed = (_settled(connection, run_id, table) for table in (debt.decisions, debt.errors))
    places = _places(ranked)
    settled = Counter(debtor for debtor, *_ in decided + failed)
    misplaced = {debtor for debtor, *place in decided + failed if places.get(debtor) != tuple(place)}
    twice = {debtor for debtor, times in settled.items() if times > 1}
    ranked_twice = {debtor for debtor, times in Counter(debtor for debtor, *_ in ranked).items() if times > 1}
    return Ledger(
        attempted=len(wanted),
        acknowledged=len(ranked),
        decided=len(decided),
        errors=len(failed),
        lost=len(wanted - settled.keys()),
        unexpected=len((settled.keys() - wanted) | misplaced),
        duplicated=len(twice | ranked_twice),
        recovered=sum(batch.sends > 1 for batch in batches),
        unfinished=_open(batches) + (run.state != "completed") + (run.batches_total != len(batches)),
        open_batches=_open(batches),
        dead=sum(batch.state == "dead" for batch in batches),
    )


def _ranked(connection: Connection, number: int) -> list[tuple[int, int, int]]:
    """Debtor, batch and position of every rank that was recorded."""
    entries = select(risk.run_entries.c.sequence, risk.run_entries.c.entries)
    found = connection.execute(entries.where(risk.run_entries.c.run_number == number)).all()
    return [
        (debtor_id, sequence, position)
        for sequence, packed in found
        for position, (_, debtor_id, _) in enumerate(unpack_entries(packed))
    ]


def _places(ranked: list[tuple[int, int, int]]) -> dict[int, tuple[int, int]]:
    return {debtor_id: (sequence, position) for debtor_id, sequence, position in ranked}


def _settled(connection: Connection, run_id: str, table: object) -> list[tuple[int, int, int]]:
    """Debtor, batch and position of every decision, or of every error."""
    columns = table.c  # type: ignore[attr-defined]
    statement = (
        select(columns.debtor_id, columns.batch_sequence, columns.position)
        .join(debt.runs, debt.runs.c.number == columns.run_number)
        .where(debt.runs.c.run_id == run_id)
    )
    return [tuple(row) for row in connection.execute(statement)]  # type: ignore[misc]


def _open(batches: "list[Row[tuple[object, ...]]]") -> int:
    return sum(batch.state not in FINAL for batch in batches)
