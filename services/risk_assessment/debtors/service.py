"""Debtors: create, replace, patch and delete. Every write scores the debtor and adds to its history.

A change of debt, payment status, portfolio or person is noted for the debt service. Rejected: a stale version, and a
second debtor under one external reference. Functions take a connection, never commit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError

from recovery_core.attributes import values_of
from recovery_core.profile import PROFILE_FIELDS
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.explain import Assessment, explain
from risk_assessment.changes import service as changes
from risk_assessment.debtors.balances import NothingOwedError, settled, status_of
from risk_assessment.debtors.queries import read
from risk_assessment.debtors.schemas import DebtorIn, checked_attributes
from risk_assessment.debtors.searching import key_of
from risk_assessment.debtors.tables import ASSESSMENT_FIELDS, assessments, debtors
from risk_assessment.holds import service as holds
from risk_assessment.persons import queries as person_queries
from risk_assessment.persons import service as persons
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.stops import service as stops
from service_kit.auth.portfolios import Portfolios

IDENTITY_FIELDS = ("portfolio", "external_ref", "person_ref", "name")
_COPIED = tuple(field for field in IDENTITY_FIELDS + PROFILE_FIELDS if field != "person_ref")
_STOP = ("portfolio", "person_id", "total_debt_amount", "payment_status")
"""What the debt service must hear of when it changes."""
# Built once: building a statement costs several times as much as executing it.
_INSERT, _INSERT_ASSESSMENT = insert(debtors), insert(assessments)
_UPDATE = update(debtors).where(debtors.c.id == bindparam("wanted"))


VersionCheck = Callable[[int], bool]
"""Whether a client knows the version that it is about to change."""


def any_version(_version: int) -> bool:
    """Allow every version: the check of a client that names none."""
    return True


class StaleVersionError(Exception):
    """The debtor was changed since the client read it."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the debtor is at version {current} now; read it again")


class ExternalRefTakenError(ValueError):
    """Another debtor of the portfolio has this external reference."""

    field = "external_ref"

    def __init__(self) -> None:
        super().__init__("another debtor of this portfolio has this external_ref")


class WrittenDebtor(NamedTuple):
    """A debtor as it was just written: the columns of its row, its assessment and the reference of its person."""

    columns: dict[str, Any]
    assessment: Assessment
    person_ref: str | None


def create(connection: Connection, body: DebtorIn, registry: PolicyRegistry, now: datetime) -> WrittenDebtor:
    """Store a new debtor with its first assessment. Raises ExternalRefTakenError."""
    columns, assessment = _scored(connection, body, registry, now)
    columns |= {"person_id": _person_id(connection, body), "created_at": now, "updated_at": now, "version": 1}
    try:
        columns["id"] = int(connection.execute(_INSERT, columns).lastrowid)
    except IntegrityError as error:
        raise ExternalRefTakenError from error
    _add_to_history(connection, columns)
    person_id = columns["person_id"]
    if person_id is not None and person_queries.with_holds(connection, [person_id], now):
        stops.note(connection, [columns["id"]], now)
    changes.note(connection, body.portfolio)
    return WrittenDebtor(columns, assessment, body.person_ref)


def replace(
    connection: Connection,
    debtor_id: int,
    body: DebtorIn,
    registry: PolicyRegistry,
    now: datetime,
    *,
    allowed: VersionCheck = any_version,
    within: Portfolios = None,
) -> WrittenDebtor:
    """Overwrite a debtor of these portfolios and score it. `allowed` says which versions may be overwritten.

    Raises DebtorNotFoundError, StaleVersionError, ExternalRefTakenError.
    """
    return _write(connection, _locked_at(connection, debtor_id, allowed, within), body, registry, now)


def patch(
    connection: Connection,
    debtor_id: int,
    changes: dict[str, Any],
    registry: PolicyRegistry,
    now: datetime,
    *,
    allowed: VersionCheck = any_version,
    within: Portfolios = None,
) -> WrittenDebtor:
    """Change the fields given, each already validated, and score the debtor.

    Raises as `replace` does, and NothingOwedError for a status that says that a debtor without a debt owes something.
    """
    current = _locked_at(connection, debtor_id, allowed, within)
    kept = {field: current._mapping[field] for field in _COPIED}
    changes = changes | {"attributes": _patched_attributes(current, changes)}
    if "person_ref" not in changes:
        kept["person_ref"] = person_queries.ref_of(connection, current.person_id)
    body = DebtorIn.model_construct(**kept | changes | {"payment_status": _patched_status(current, changes)})
    return _write(connection, current, body, registry, now)


def remove(
    connection: Connection,
    debtor_id: int,
    now: datetime,
    *,
    allowed: VersionCheck = any_version,
    within: Portfolios = None,
) -> None:
    """Delete the debtor's personal row. Its assessments, which name no person, stay as evidence and for active runs."""
    current = _locked_at(connection, debtor_id, allowed, within)
    connection.execute(delete(debtors).where(debtors.c.id == debtor_id))
    stops.note(connection, [debtor_id], now)
    changes.note(connection, current.portfolio)


def _locked_at(connection: Connection, debtor_id: int, allowed: VersionCheck, within: Portfolios) -> Row[Any]:
    current = read(connection, debtor_id, within, lock=True)
    if not allowed(current.version):
        raise StaleVersionError(current.version)
    return current


def _patched_attributes(current: Row[Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes with those that were sent in the place of theirs; null clears one, or all."""
    given = changes.get("attributes", {})
    return {} if given is None else {**values_of(current.attributes), **given}


def _patched_status(current: Row[Any], changes: dict[str, Any]) -> str:
    said = changes.get("payment_status")
    debt = changes.get("total_debt_amount", current.total_debt_amount)
    status = status_of(debt, said, current.total_debt_amount, current.payment_status)
    if said not in (None, status) and "total_debt_amount" not in changes:
        raise NothingOwedError
    return status


def _person_id(connection: Connection, body: DebtorIn, current: int | None = None) -> int | None:
    """Return the id of the debtor's person, locked where the debtor is new to it; `current` is who the debtor was."""
    if body.person_ref is None:
        return None
    person_id = persons.person_id_of(connection, body.portfolio, body.person_ref)
    if person_id != current:
        # A hold that is being placed on the person then sees the debtor, or is seen.
        stops.lock_person(connection, person_id)
    return person_id


def _write(
    connection: Connection, current: Row[Any], body: DebtorIn, registry: PolicyRegistry, now: datetime
) -> WrittenDebtor:
    columns, assessment = _scored(connection, body, registry, now)
    person_id = _person_id(connection, body, current.person_id)
    columns |= {"person_id": person_id, "updated_at": now, "version": current.version + 1}
    try:
        connection.execute(_UPDATE, {"wanted": current.id, **columns})
    except IntegrityError as error:
        raise ExternalRefTakenError from error
    columns |= {"id": current.id, "created_at": current.created_at}
    _add_to_history(connection, columns)
    if columns["portfolio"] != current.portfolio:
        holds.move(connection, current.id, columns["portfolio"])
    if any(columns[name] != current._mapping[name] for name in _STOP):
        stops.note(connection, [current.id], now)
    changes.note(connection, current.portfolio, columns["portfolio"])
    return WrittenDebtor(columns, assessment, body.person_ref)


def _scored(
    connection: Connection, body: DebtorIn, registry: PolicyRegistry, now: datetime
) -> tuple[dict[str, Any], Assessment]:
    """Return the identity, profile and assessment columns under the portfolio's active policy, and the assessment.

    Raises FactsRejectedError, ScoringError.
    """
    policy_id, scorer, declared = registry.active_scorer(connection, body.portfolio, now)
    attributes = checked_attributes(body.facts._asdict(), scorer.policy, declared)
    facts = body.facts._replace(attributes=attributes)
    score = scorer.score(facts)
    status = settled(body.payment_status, body.total_debt_amount)
    columns = {field: getattr(body, field) for field in _COPIED} | {
        "attributes": attributes,
        "payment_status": status,
        "total_score": score.total_score,
        "risk_level": score.risk_level,
        "priority": objective_for(scorer.policy).priority(score, facts, status),
        "policy_id": policy_id,
        "assessed_at": now,
        "name_key": key_of(body.name),
    }
    return columns, explain(scorer, score, now)


def _add_to_history(connection: Connection, columns: dict[str, Any]) -> None:
    kept = {field: columns[field] for field in ("version", *PROFILE_FIELDS, *ASSESSMENT_FIELDS, "person_id")}
    connection.execute(_INSERT_ASSESSMENT, {"debtor_id": columns["id"], **kept})
