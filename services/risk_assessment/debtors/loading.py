"""Whole portfolios: loaded chunk by chunk under one audit record, and cleared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, delete, select

from risk_assessment.changes import service as changes
from risk_assessment.debtors.bulk import BulkScorer, Changes, ScoredRow, close, upsert
from risk_assessment.debtors.tables import debtors
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import ACTIVE, runs
from risk_assessment.stops import service as stops
from service_kit.audit import Audit
from service_kit.database.engine import Database


class PortfolioInUseError(Exception):
    """A run over the portfolio is active, so its debtors cannot be cleared."""

    def __init__(self, portfolio: str) -> None:
        super().__init__(f"a run of portfolio {portfolio!r} is active; wait for it or cancel it")


class BulkLoad:
    """Many chunks into one portfolio under one audit record, whose counts are true after each chunk."""

    def __init__(
        self,
        database: Database,
        portfolio: str,
        scorer: BulkScorer,
        audit: Audit,
        action: str,
        absent: Sequence[str] = (),
    ) -> None:
        self._database, self.portfolio, self._scorer, self._audit = database, portfolio, scorer, audit
        self._absent = absent
        self.changes = Changes()
        self._record = database.transact(
            lambda connection: audit.changed(connection, action, f"portfolio:{portfolio}", **self.changes.as_dict())
        )

    def load(self, rows: Sequence[ScoredRow]) -> None:
        """Create or update up to CHUNK debtors in a transaction of their own."""
        self.changes = self._database.transact(
            lambda connection: self._recorded(
                connection, upsert(connection, self.portfolio, rows, self._scorer, self._absent)
            )
        )

    def close(self, balances: Mapping[str, int | None], registry: PolicyRegistry, *, as_rows: bool) -> int:
        """Close up to CHUNK known debtors in a transaction of their own. Return how many changed.

        They count as `updated` if they are rows of the file.
        """

        def closed(connection: Connection) -> tuple[int, Changes]:
            changes = close(connection, self.portfolio, balances, registry, self._scorer.now)
            counted = changes if as_rows else replace(changes, updated=0)
            return changes.updated, self._recorded(connection, counted)

        changed, self.changes = self._database.transact(closed)
        return changed

    def _recorded(self, connection: Connection, more: Changes) -> Changes:
        changes = self.changes + more
        self._audit.complete(connection, self._record, **changes.as_dict())
        return changes


def clear(connection: Connection, portfolio: str, audit: Audit) -> int:
    """Delete all debtors of a portfolio and return how many; their assessments, which name no person, stay.

    Raises PortfolioInUseError.
    """
    active = select(runs.c.number).where(runs.c.portfolio == portfolio, runs.c.state.in_(ACTIVE))
    if connection.execute(active.limit(1)).first() is not None:
        raise PortfolioInUseError(portfolio)
    stops.note_portfolio(connection, portfolio, audit.at)
    deleted = connection.execute(delete(debtors).where(debtors.c.portfolio == portfolio)).rowcount
    changes.note(connection, portfolio)
    audit.changed(connection, "portfolio.cleared", f"portfolio:{portfolio}", deleted=deleted)
    return deleted
