"""Many debtors at once: thousands a transaction, for imports and generated portfolios.

A debtor is recognized by its external reference. A new one is created, a changed one updated, an equal one left alone,
so that the same load again changes nothing. One who owes nothing is `PAID`, and is never created.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.sql.elements import ColumnElement

from recovery_core.attributes import PREFIX, text_of, values_of
from recovery_core.profile import DEBT_AT, FACTS, PROFILE_FIELDS
from recovery_core.ranking.objective import PriorityOf, objective_for
from recovery_core.scoring.scorer import Score, Scorer
from risk_assessment.changes import service as change_counts
from risk_assessment.debtors.balances import PAID, status_of
from risk_assessment.debtors.searching import key_of
from risk_assessment.debtors.tables import ASSESSMENT_FIELDS, assessments, debtors
from risk_assessment.persons import queries as person_queries
from risk_assessment.persons import service as persons
from risk_assessment.policies import queries as policies
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.stops import service as stops
from service_kit.database.bulk import insert_rows, update_rows
from service_kit.database.engine import Database
from service_kit.database.types import utc_text

CHUNK = 2_000
"""Debtors a transaction: large enough for speed, short enough not to keep other writers waiting."""


class DeclarationChangedError(Exception):
    """The portfolio declares other attributes than when the load began."""

    def __init__(self, portfolio: str) -> None:
        super().__init__(f"portfolio {portfolio} declares other attributes than when this began; start it again")


class DebtorRow(NamedTuple):
    """A validated debtor, amounts in minor units: its identity, and then `PROFILE_FIELDS` in their order."""

    external_ref: str
    person_ref: str | None
    name: str
    total_debt_amount: int
    monthly_income: int | None
    late_payments_count: int | None
    employment_status: str | None
    contract_type: str | None
    industry_sector: str | None
    family_situation: str | None
    attributes: str | None
    payment_status: str

    @property
    def facts(self) -> tuple[Any, ...]:
        """The facts that a score reads, in their order."""
        return self[_FACTS_FROM:_FACTS_TO]


_FACTS_FROM = DebtorRow._fields.index(FACTS[0])
_FACTS_TO = _FACTS_FROM + len(FACTS)
_PERSON_AT, _STATUS_AT = DebtorRow._fields.index("person_ref"), DebtorRow._fields.index("payment_status")

ScoredRow = tuple[DebtorRow, Score]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the debtors of a chunk or of a whole file."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    """Unknown debtors who owe nothing."""
    closed: int = 0
    """Known debtors who became PAID: rows that are `updated` too, and debtors missing from a whole file."""

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, without those of rare things that did not happen."""
        return {name: count for name, count in asdict(self).items() if count or name not in ("skipped", "closed")}


@dataclass(frozen=True)
class BulkScorer:
    """Scores new and changed debtors of one portfolio under one policy, as of one moment."""

    scorer: Scorer
    policy_id: int
    now: datetime
    declared: str = "{}"
    """The attributes that the portfolio declares, as JSON text."""

    @cached_property
    def at(self) -> str:
        """The moment as the databases store it."""
        return utc_text(self.now)

    @cached_property
    def priority_of(self) -> PriorityOf:
        """How the policy's objective computes a priority."""
        return objective_for(self.scorer.policy).priority

    def score(self, row: DebtorRow) -> Score:
        """Score a row. Raises ScoringError naming the field that the policy cannot score."""
        return self.scorer.score(row.facts)

    def columns(self, row: DebtorRow, score: Score) -> tuple[Any, ...]:
        """Return the assessment columns of a scored row."""
        priority = self.priority_of(score, row.facts, row.payment_status)
        return (score.total_score, score.risk_level, priority, self.policy_id, self.at)


def bulk_scorer(database: Database, registry: PolicyRegistry, portfolio: str, now: datetime) -> BulkScorer:
    """Return the bulk scorer of a portfolio's active policy. The portfolio gets its row where it has none."""
    active = database.transact(lambda connection: registry.active_scorer(connection, portfolio, now))
    return BulkScorer(active.scorer, active.policy_id, now, active.declared)


def upsert(
    connection: Connection, portfolio: str, rows: Sequence[ScoredRow], scorer: BulkScorer, absent: Sequence[str] = ()
) -> Changes:
    """Create or update up to CHUNK debtors, one row for each external reference, with their assessments.

    Known debtors keep the fields `absent`, for which the rows contain only defaults. Raises DeclarationChangedError.
    """
    active = policies.active_policy(connection, portfolio, until_commit=True)
    if active is not None and active.attributes != scorer.declared:
        raise DeclarationChangedError(portfolio)
    known = _known(connection, portfolio, [row.external_ref for row, _ in rows])
    found = [_beside(known.get(scored[0].external_ref), scored, absent, scorer) for scored in rows]
    owing = [(row, score) for row, score in found if row.total_debt_amount or row.external_ref in known]
    stored = _with_person_ids(connection, portfolio, owing, known if "person_ref" in absent else {})
    new = [scored for scored in stored if scored[0].external_ref not in known]
    changed = [(known[row.external_ref], (row, score)) for row, score in stored if _differs(known, row)]
    _lock_persons(connection, [row for row, _ in new], changed)
    _create(connection, portfolio, new, scorer)
    _update(connection, [_new_values(before, scored, scorer) for before, scored in changed])
    written = [row.external_ref for row, _ in new] + [row.external_ref for _, (row, _) in changed]
    if written:
        copy_to_history(connection, debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(written))
    _note_stops(connection, portfolio, [row for row, _ in new], changed, scorer.now)
    if written:
        change_counts.note(connection, portfolio)
    closed = sum(_closes(before, row) for before, (row, _) in changed)
    return Changes(len(new), len(changed), len(stored) - len(new) - len(changed), len(rows) - len(stored), closed)


def close(
    connection: Connection, portfolio: str, balances: Mapping[str, int | None], registry: PolicyRegistry, now: datetime
) -> Changes:
    """Close up to CHUNK known debtors at these balances, None for the one they have.

    Each is scored by the policy that scored it last, because another one might not score it, and it is not ranked.
    """
    changed: list[tuple[Row[Any], ScoredRow]] = []
    values: list[tuple[Any, ...]] = []
    for ref, before in _known(connection, portfolio, list(balances)).items():
        debt = balances[ref]
        row = DebtorRow(*before[: len(DebtorRow._fields)])._replace(
            total_debt_amount=before.total_debt_amount if debt is None else debt, payment_status=PAID
        )
        if before[: len(row)] != row:
            scorer = BulkScorer(registry.scorer(connection, before.policy_id), before.policy_id, now)
            changed.append((before, (row, scorer.score(row))))
            values.append(_new_values(*changed[-1], scorer))
    _update(connection, values)
    if changed:
        copy_to_history(connection, debtors.c.id.in_([before.id for before, _ in changed]))
    _note_stops(connection, portfolio, [], changed, now)
    if changed:
        change_counts.note(connection, portfolio)
    return Changes(updated=len(changed), closed=sum(_closes(before, row) for before, (row, _) in changed))


def copy_to_history(connection: Connection, *which: ColumnElement[bool]) -> None:
    """Copy the current assessments of these debtors into their history, which must not contain their version yet."""
    fields = ("version", *PROFILE_FIELDS, *ASSESSMENT_FIELDS, "person_id")
    source = select(debtors.c.id, *(debtors.c[field] for field in fields)).where(*which)
    connection.execute(insert(assessments).from_select(["debtor_id", *fields], source))


def _known(connection: Connection, portfolio: str, refs: list[str]) -> dict[str, Row[Any]]:
    columns = [debtors.c[field] for field in (*_ROW_COLUMNS, "id", "version", "policy_id")]
    statement = (
        select(*columns).where(debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(refs)).with_for_update()
    )
    return {row.external_ref: row for row in connection.execute(statement)}


def _beside(known: Row[Any] | None, scored: ScoredRow, absent: Sequence[str], scorer: BulkScorer) -> ScoredRow:
    """Return the row with a known debtor's own values for the absent fields, scored again when they change a fact."""
    row, score = scored
    if known is None or not absent:
        return scored if row.total_debt_amount else (row._replace(payment_status=PAID), score)
    fields = [field for field in absent if field != "person_ref" and not field.startswith(PREFIX)]
    kept = row._replace(**{field: getattr(known, field) for field in fields})
    if known.attributes and len(fields) < len(absent):
        kept = kept._replace(attributes=_with_absent(known.attributes, kept.attributes, absent))
    said = None if "payment_status" in absent else row.payment_status
    status = status_of(row.total_debt_amount, said, known.total_debt_amount, known.payment_status)
    kept = kept._replace(payment_status=status)
    return kept, score if kept.facts == row.facts else scorer.score(kept)


def _with_absent(known: str, given: str | None, absent: Sequence[str]) -> str | None:
    """Return the attributes of a row, with those that its file does not contain from what is known."""
    kept = {name: value for name, value in values_of(known).items() if PREFIX + name in absent}
    return text_of({**kept, **values_of(given)})


def _with_person_ids(
    connection: Connection, portfolio: str, rows: list[ScoredRow], keeping: dict[str, Row[Any]]
) -> list[ScoredRow]:
    """Return the rows with the id of their person in the place of its reference; those `keeping` theirs with that."""
    refs = {row.person_ref for row, _ in rows if row.person_ref is not None}
    ids = persons.ids_of(connection, portfolio, refs) if refs else {}
    if not ids and all(before.person_id is None for before in keeping.values()):
        return rows

    def person_of(row: DebtorRow) -> int | None:
        before = keeping.get(row.external_ref)
        if before is not None:
            return cast("int | None", before.person_id)
        return None if row.person_ref is None else ids[row.person_ref]

    return [(row._replace(person_ref=cast("Any", person_of(row))), score) for row, score in rows]


def _differs(known: dict[str, Row[Any]], row: DebtorRow) -> bool:
    current = known.get(row.external_ref)
    return current is not None and current[: len(row)] != row


def _closes(before: Row[Any], row: DebtorRow) -> bool:
    return row.payment_status == PAID and bool(before.payment_status != PAID)


# A row as it is stored has the id of its person in the place of the reference.
_ROW_COLUMNS = tuple("person_id" if field == "person_ref" else field for field in DebtorRow._fields)
_NEW_COLUMNS = ("portfolio", *_ROW_COLUMNS, *ASSESSMENT_FIELDS, "created_at", "updated_at", "version", "name_key")
# All but the external reference, by which a debtor is recognized.
_CHANGED_COLUMNS = (*_ROW_COLUMNS[1:], *ASSESSMENT_FIELDS, "updated_at", "version", "name_key")


def _create(connection: Connection, portfolio: str, new: list[ScoredRow], scorer: BulkScorer) -> None:
    at = scorer.at
    rows = [(portfolio, *row, *scorer.columns(row, score), at, at, 1, key_of(row.name)) for row, score in new]
    insert_rows(connection, debtors, _NEW_COLUMNS, rows)


def _new_values(before: Row[Any], scored: ScoredRow, scorer: BulkScorer) -> tuple[Any, ...]:
    row, score = scored
    return (*row[1:], *scorer.columns(row, score), scorer.at, before.version + 1, key_of(row.name), before.id)


def _update(connection: Connection, values: list[tuple[Any, ...]]) -> None:
    update_rows(connection, debtors, _CHANGED_COLUMNS, values)


_Changed = list[tuple[Row[Any], ScoredRow]]


def _lock_persons(connection: Connection, new: list[DebtorRow], changed: _Changed) -> None:
    """Lock the persons that gain debtors: a hold that is being placed on one then sees the debtor, or is seen."""
    gaining: set[Any] = {row.person_ref for row in new}
    gaining |= {row.person_ref for before, (row, _) in changed if before.person_id != row.person_ref}
    stops.lock_person(connection, *gaining - {None})


def _note_stops(connection: Connection, portfolio: str, new: list[DebtorRow], changed: _Changed, now: datetime) -> None:
    """Note the debtors that the debt service must hear of; a new one only where its person has holds."""
    noted = [before.id for before, (row, _) in changed if _stop_of(before) != _stop_of(row)]
    of_persons = cast("set[int]", {row.person_ref for row in new} - {None})
    held: set[Any] = person_queries.with_holds(connection, of_persons, now) if of_persons else set()
    refs = [row.external_ref for row in new if row.person_ref in held]
    if refs:
        which = debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(refs)
        noted += connection.execute(select(debtors.c.id).where(*which)).scalars()
    if noted:
        stops.note(connection, noted, now)


def _stop_of(row: Any) -> tuple[Any, ...]:
    return row[_PERSON_AT], row[_FACTS_FROM + DEBT_AT], row[_STATUS_AT]
