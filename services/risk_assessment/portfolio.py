"""Whole portfolios at once: thousands of debtors a transaction, for imports and generated portfolios.

A debtor is recognised by its external reference: a new one is created, a changed one updated, an equal one left alone,
so that doing the same again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select

from recovery_core.scoring import Scorer, ScoringError, scorer_for
from risk_assessment.policies import PolicyShelf
from risk_assessment.runs import ACTIVE
from risk_assessment.scoring_jobs import remember
from risk_assessment.tables import ASSESSMENT_FIELDS, PROFILE_FIELDS, debtors, runs
from service_kit.audit import Audit
from service_kit.bulk import insert_rows, update_rows
from service_kit.database import Database, utc_text

CHUNK = 2_000
"""Debtors a transaction: large enough for speed, short enough not to keep other writers waiting."""


class DebtorRow(NamedTuple):
    """A validated debtor, amounts in minor units, in the order of the table's columns."""

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


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the debtors of a chunk or of a whole file."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(self.created + other.created, self.updated + other.updated, self.unchanged + other.unchanged)

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


class PortfolioInUseError(Exception):
    """A run over the portfolio is under way; its debtors cannot be cleared."""

    def __init__(self, portfolio: str) -> None:
        super().__init__(f"a run of portfolio {portfolio!r} is under way; wait for it or cancel it")


@dataclass(frozen=True)
class Judge:
    """By which policy new and changed debtors are scored, and when."""

    scorer: Scorer
    policy_id: int
    now: datetime

    @cached_property
    def at(self) -> str:
        """The moment as the databases store it."""
        return utc_text(self.now)

    def assess(self, row: DebtorRow) -> tuple[Any, ...]:
        """The assessment columns of a row. Raises ScoringError naming the field the policy cannot judge."""
        score = self.scorer.score(*row[2:9])
        priority = score.total_score * row.total_debt_amount
        return (score.total_score, score.risk_level, priority, self.policy_id, self.at)


def judge_of(database: Database, shelf: PolicyShelf, now: datetime) -> Judge:
    """The active policy as judge."""
    policy_id = database.transact(lambda connection: shelf.id_of(connection, shelf.active, now))
    return Judge(scorer_for(shelf.active), policy_id, now)


def unscorable(row: DebtorRow, scorer: Scorer) -> ScoringError | None:
    """Why the policy cannot judge the row, None when it can."""
    try:
        scorer.score(*row[2:9])
    except ScoringError as error:
        return error
    return None


def upsert(
    connection: Connection, portfolio: str, rows: Sequence[DebtorRow], judge: Judge, untold: Sequence[str] = ()
) -> Changes:
    """Create or update up to CHUNK debtors, one row for each external reference, with their assessments.

    Debtors known already keep the fields `untold`, of which the rows only hold defaults.
    """
    known = _known(connection, portfolio, [row.external_ref for row in rows])
    if untold:
        rows = [_keeping(known.get(row.external_ref), row, untold) for row in rows]
    new = [row for row in rows if row.external_ref not in known]
    changed = [(known[row.external_ref], row) for row in rows if _differs(known.get(row.external_ref), row)]
    _create(connection, portfolio, new, judge)
    _update(connection, changed, judge)
    written = [row.external_ref for row in new] + [row.external_ref for _, row in changed]
    if written:
        remember(connection, debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(written))
    return Changes(len(new), len(changed), len(rows) - len(new) - len(changed))


class Load:
    """Many chunks into one portfolio under one audit record, whose counts are true after each chunk."""

    def __init__(
        self,
        database: Database,
        portfolio: str,
        judge: Judge,
        audit: Audit,
        action: str,
        untold: Sequence[str] = (),
    ) -> None:
        self._database, self._portfolio, self._judge, self._audit = database, portfolio, judge, audit
        self._untold = untold
        self.changes = Changes()
        self._record = database.transact(
            lambda connection: audit.changed(connection, action, f"portfolio:{portfolio}", **self.changes.as_dict())
        )

    def take(self, rows: Sequence[DebtorRow]) -> None:
        """Create or update up to CHUNK debtors in a transaction of their own."""
        self.changes = self._database.transact(lambda connection: self._upsert(connection, rows))

    def _upsert(self, connection: Connection, rows: Sequence[DebtorRow]) -> Changes:
        changes = self.changes + upsert(connection, self._portfolio, rows, self._judge, self._untold)
        self._audit.complete(connection, self._record, **changes.as_dict())
        return changes


def clear(connection: Connection, portfolio: str, audit: Audit) -> int:
    """Delete all debtors of a portfolio and return how many; their assessments, which name nobody, stay."""
    active = select(runs.c.number).where(runs.c.portfolio == portfolio, runs.c.state.in_(ACTIVE))
    if connection.execute(active.limit(1)).first() is not None:
        raise PortfolioInUseError(portfolio)
    deleted = connection.execute(delete(debtors).where(debtors.c.portfolio == portfolio)).rowcount
    audit.changed(connection, "portfolio.cleared", f"portfolio:{portfolio}", deleted=deleted)
    return deleted


def size(connection: Connection, portfolio: str) -> int:
    """How many debtors the portfolio has."""
    statement = select(func.count()).select_from(debtors).where(debtors.c.portfolio == portfolio)
    return connection.execute(statement).scalar_one()


def _known(connection: Connection, portfolio: str, refs: list[str]) -> dict[str, Row[Any]]:
    columns = [debtors.c[field] for field in ("external_ref", "id", "version", "name", *PROFILE_FIELDS)]
    statement = (
        select(*columns).where(debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(refs)).with_for_update()
    )
    return {row.external_ref: row for row in connection.execute(statement)}


def _keeping(known: Row[Any] | None, row: DebtorRow, untold: Sequence[str]) -> DebtorRow:
    return row if known is None else row._replace(**{field: getattr(known, field) for field in untold})


def _differs(known: Row[Any] | None, row: DebtorRow) -> bool:
    return known is not None and tuple(known[3:]) != row[1:]


_NEW_COLUMNS = ("portfolio", *DebtorRow._fields, *ASSESSMENT_FIELDS, "created_at", "updated_at", "version")
_CHANGED_COLUMNS = ("name", *PROFILE_FIELDS, *ASSESSMENT_FIELDS, "updated_at", "version")


def _create(connection: Connection, portfolio: str, new: list[DebtorRow], judge: Judge) -> None:
    rows = [(portfolio, *row, *judge.assess(row), judge.at, judge.at, 1) for row in new]
    insert_rows(connection, debtors, _NEW_COLUMNS, rows)


def _update(connection: Connection, changed: list[tuple[Row[Any], DebtorRow]], judge: Judge) -> None:
    rows = [(*row[1:], *judge.assess(row), judge.at, known.version + 1, known.id) for known, row in changed]
    update_rows(connection, debtors, _CHANGED_COLUMNS, rows)
