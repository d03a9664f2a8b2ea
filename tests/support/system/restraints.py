"""What forbids to decide a debtor, as people acknowledged it, and the decisions that did not respect it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from debt_processing import tables as debt
from service_kit.database.engine import Database


@dataclass
class Restraint:
    """Why a debtor must not be decided, from its acknowledgement or its beginning until its end was asked for."""

    debtor_id: int
    why: str
    acknowledged_at: datetime
    begins_at: datetime | None = None
    until: datetime | None = None

    def forbids(self, moment: datetime, lag: timedelta) -> bool:
        """Return whether a batch that is begun at this moment must not decide the debtor."""
        known_at = max(self.acknowledged_at + lag, self.begins_at or self.acknowledged_at)
        return known_at < moment and (self.until is None or moment < self.until)


def violations(debt_database: Database, restraints: Iterable[Restraint], lag: timedelta) -> list[str]:
    """Return the decisions in batches that were begun although what forbids them had been acknowledged long enough."""
    return [
        f"{one} was decided in batch {sequence}, begun {begun_at}"
        for one in restraints
        for sequence, begun_at in _decided(debt_database, one.debtor_id)
        if one.forbids(begun_at, lag)
    ]


def _decided(debt_database: Database, debtor_id: int) -> list[tuple[int, datetime]]:
    same_batch = (debt.batches.c.run_number == debt.decisions.c.run_number) & (
        debt.batches.c.sequence == debt.decisions.c.batch_sequence
    )
    statement = select(debt.batches.c.sequence, debt.batches.c.started_at).join(debt.decisions, same_batch)
    with debt_database.read() as connection:
        found = connection.execute(statement.where(debt.decisions.c.debtor_id == debtor_id)).all()
    return [(row.sequence, row.started_at) for row in found]
