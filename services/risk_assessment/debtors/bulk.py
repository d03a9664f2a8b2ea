"""Many debtors at once: thousands a transaction, for imports and generated portfolios.

A debtor is recognized by its external reference. A new one is created, a changed one updated, an equal one left alone,
so that the same load again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.sql.elements import ColumnElement

from recovery_core.profile import FACTS, PROFILE_FIELDS
from recovery_core.ranking.objective import priority_of
from recovery_core.scoring.scorer import Score, Scorer
from risk_assessment.debtors.tables import ASSESSMENT_FIELDS, assessments, debtors
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import ACTIVE, runs
from service_kit.audit import Audit
from service_kit.database.bulk import insert_rows, update_rows
from service_kit.database.engine import Database
from service_kit.database.types import utc_text

CHUNK = 2_000
"""Debtors a transaction: large enough for speed, short enough not to keep other writers waiting."""


class DebtorRow(NamedTuple):
    """A validated debtor, amounts in minor units: its identity, and then `PROFILE_FIELDS` in their order."""

    external_ref: str
    name: str
    total_debt_amount: int
    monthly_income: int
    late_payments_count: int
    employment_status: str
    contract_type: str
    industry_sector: str
    family_situation: str | None
    payment_status: str

    @property
    def facts(self) -> tuple[Any, ...]:
        """The facts that a score reads, in their order."""
        return self[_FACTS_FROM:_FACTS_TO]


_FACTS_FROM = DebtorRow._fields.index(FACTS[0])
_FACTS_TO = _FACTS_FROM + len(FACTS)

ScoredRow = tuple[DebtorRow, Score]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the debtors of a chunk or of a whole file."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(self.created + other.created, self.updated + other.updated, self.unchanged + other.unchanged)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


class PortfolioInUseError(Exception):
    """A run over the portfolio is active, so its debtors cannot be cleared."""

    def __init__(self, portfolio: str) -> None:
        super().__init__(f"a run of portfolio {portfolio!r} is active; wait for it or cancel it")


@dataclass(frozen=True)
class BulkScorer:
    """Scores new and changed debtors of one portfolio under one policy, as of one moment."""

    scorer: Scorer
    policy_id: int
    now: datetime

    @cached_property
    def at(self) -> str:
        """The moment as the databases store it."""
        return utc_text(self.now)

    def score(self, row: DebtorRow) -> Score:
        """Score a row. Raises ScoringError naming the field that the policy cannot score."""
        return self.scorer.score(row.facts)

    def columns(self, row: DebtorRow, score: Score) -> tuple[Any, ...]:
        """Return the assessment columns of a scored row."""
        priority = priority_of(score.total_score, row.total_debt_amount)
        return (score.total_score, score.risk_level, priority, self.policy_id, self.at)


def bulk_scorer(database: Database, registry: PolicyRegistry, portfolio: str, now: datetime) -> BulkScorer:
    """Return the bulk scorer of a portfolio's active policy. The portfolio gets its row where it has none."""
    active = database.transact(lambda connection: registry.active_scorer(connection, portfolio, now))
    return BulkScorer(active.scorer, active.policy_id, now)


def upsert(
    connection: Connection, portfolio: str, rows: Sequence[ScoredRow], scorer: BulkScorer, absent: Sequence[str] = ()
) -> Changes:
    """Create or update up to CHUNK debtors, one row for each external reference, with their assessments.

    Known debtors keep the fields `absent`, for which the rows contain only defaults.
    """
    known = _known(connection, portfolio, [row.external_ref for row, _ in rows])
    if absent:
        rows = [_keeping(known.get(scored[0].external_ref), scored, absent, scorer) for scored in rows]
    new = [scored for scored in rows if scored[0].external_ref not in known]
    changed = [(known[row.external_ref], (row, score)) for row, score in rows if _differs(known, row)]
    _create(connection, portfolio, new, scorer)
    _update(connection, changed, scorer)
    written = [row.external_ref for row, _ in new] + [row.external_ref for _, (row, _) in changed]
    if written:
        copy_to_history(connection, debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(written))
    return Changes(len(new), len(changed), len(rows) - len(new) - len(changed))


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
        self._database, self._portfolio, self._scorer, self._audit = database, portfolio, scorer, audit
        self._absent = absent
        self.changes = Changes()
        self._record = database.transact(
            lambda connection: audit.changed(connection, action, f"portfolio:{portfolio}", **self.changes.as_dict())
        )

    def load(self, rows: Sequence[ScoredRow]) -> None:
        """Create or update up to CHUNK debtors in a transaction of their own."""
        self.changes = self._database.transact(lambda connection: self._upsert(connection, rows))

    def _upsert(self, connection: Connection, rows: Sequence[ScoredRow]) -> Changes:
        changes = self.changes + upsert(connection, self._portfolio, rows, self._scorer, self._absent)
        self._audit.complete(connection, self._record, **changes.as_dict())
        return changes


def clear(connection: Connection, portfolio: str, audit: Audit) -> int:
    """Delete all debtors of a portfolio and return how many; their assessments, which name no person, stay.

    Raises PortfolioInUseError.
    """
    active = select(runs.c.number).where(runs.c.portfolio == portfolio, runs.c.state.in_(ACTIVE))
    if connection.execute(active.limit(1)).first() is not None:
        raise PortfolioInUseError(portfolio)
    deleted = connection.execute(delete(debtors).where(debtors.c.portfolio == portfolio)).rowcount
    audit.changed(connection, "portfolio.cleared", f"portfolio:{portfolio}", deleted=deleted)
    return deleted


def copy_to_history(connection: Connection, *which: ColumnElement[bool]) -> None:
    """Copy the current assessments of these debtors into their history, which must not contain their version yet."""
    fields = ("version", *PROFILE_FIELDS, *ASSESSMENT_FIELDS)
    source = select(debtors.c.id, *(debtors.c[field] for field in fields)).where(*which)
    connection.execute(insert(assessments).from_select(["debtor_id", *fields], source))


def _known(connection: Connection, portfolio: str, refs: list[str]) -> dict[str, Row[Any]]:
    columns = [debtors.c[field] for field in (*DebtorRow._fields, "id", "version")]
    statement = (
        select(*columns).where(debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(refs)).with_for_update()
    )
    return {row.external_ref: row for row in connection.execute(statement)}


def _keeping(known: Row[Any] | None, scored: ScoredRow, absent: Sequence[str], scorer: BulkScorer) -> ScoredRow:
    """Return the row with a known debtor's own values for the absent fields, scored again when they change a fact."""
    if known is None:
        return scored
    row, score = scored
    kept = row._replace(**{field: getattr(known, field) for field in absent})
    return kept, score if kept.facts == row.facts else scorer.score(kept)


def _differs(known: dict[str, Row[Any]], row: DebtorRow) -> bool:
    current = known.get(row.external_ref)
    return current is not None and current[: len(row)] != row


_NEW_COLUMNS = ("portfolio", *DebtorRow._fields, *ASSESSMENT_FIELDS, "created_at", "updated_at", "version")
# All but the external reference, by which a debtor is recognized.
_CHANGED_COLUMNS = (*DebtorRow._fields[1:], *ASSESSMENT_FIELDS, "updated_at", "version")


def _create(connection: Connection, portfolio: str, new: list[ScoredRow], scorer: BulkScorer) -> None:
    rows = [(portfolio, *row, *scorer.columns(row, score), scorer.at, scorer.at, 1) for row, score in new]
    insert_rows(connection, debtors, _NEW_COLUMNS, rows)


def _update(connection: Connection, changed: list[tuple[Row[Any], ScoredRow]], scorer: BulkScorer) -> None:
    rows = [
        (*row[1:], *scorer.columns(row, score), scorer.at, known.version + 1, known.id)
        for known, (row, score) in changed
    ]
    update_rows(connection, debtors, _CHANGED_COLUMNS, rows)
