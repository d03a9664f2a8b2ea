"""Debtors: create, read, replace, patch and delete. Every write scores the debtor and adds to its history.

Refuses a stale version and a second debtor under one external reference. Takes a connection, never commits.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from recovery_core.money import format_money
from recovery_core.profile import Profile
from recovery_core.scoring import scorer_for
from risk_assessment.policies import PolicyShelf
from risk_assessment.schemas import DebtorIn
from risk_assessment.tables import ASSESSMENT_FIELDS, PROFILE_FIELDS, assessments, debtors

IDENTITY_FIELDS = ("portfolio", "external_ref", "name")
# Written once: to put a statement together costs several times as much as to execute it.
_ADD, _ADD_TO_HISTORY = insert(debtors), insert(assessments)
_ONE = select(debtors).where(debtors.c.id == bindparam("wanted"))
_ONE_LOCKED = _ONE.with_for_update()
_CHANGE = update(debtors).where(debtors.c.id == bindparam("wanted"))


class DebtorNotFoundError(LookupError):
    """There is no such debtor (any more)."""

    def __init__(self, debtor_id: int) -> None:
        super().__init__(f"there is no debtor {debtor_id}")


class StaleVersionError(Exception):
    """The debtor was changed since the client read it."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the debtor is at version {current} now; read it again")


class ExternalRefTakenError(ValueError):
    """Another debtor of the portfolio has this external reference."""

    field = "external_ref"

    def __init__(self) -> None:
        super().__init__("another debtor of this portfolio has this external_ref")


def create(connection: Connection, body: DebtorIn, shelf: PolicyShelf, now: datetime) -> int:
    """Store a new debtor with its first assessment and return its id. Raises ExternalRefTakenError."""
    values = _identity(body) | _judged(connection, body, shelf, now)
    values |= {"created_at": now, "updated_at": now, "version": 1}
    try:
        debtor_id = int(connection.execute(_ADD, values).lastrowid)
    except IntegrityError as error:
        raise ExternalRefTakenError from error
    _remember(connection, debtor_id, values)
    return debtor_id


def read(connection: Connection, debtor_id: int, *, lock: bool = False) -> Row[Any]:
    """The debtor's row, locked against other writers if asked. Raises DebtorNotFoundError."""
    row = connection.execute(_ONE_LOCKED if lock else _ONE, {"wanted": debtor_id}).one_or_none()
    if row is None:
        raise DebtorNotFoundError(debtor_id)
    return row


def replace(
    connection: Connection, debtor_id: int, body: DebtorIn, shelf: PolicyShelf, now: datetime, *, expected: int | None
) -> None:
    """Write the whole debtor anew and score it. `expected` is the version the client saw, None when it does not say."""
    current = _locked_at(connection, debtor_id, expected)
    _write(connection, current, body, shelf, now)


def patch(
    connection: Connection,
    debtor_id: int,
    changes: dict[str, Any],
    shelf: PolicyShelf,
    now: datetime,
    *,
    expected: int | None,
) -> None:
    """Change the fields given, each already validated, and score the debtor."""
    current = _locked_at(connection, debtor_id, expected)
    kept = {field: current._mapping[field] for field in IDENTITY_FIELDS + PROFILE_FIELDS}
    _write(connection, current, DebtorIn.model_construct(**kept | changes), shelf, now)


def remove(connection: Connection, debtor_id: int, *, expected: int | None) -> None:
    """Delete the debtor's personal row. Its assessments, which name nobody, stay as evidence and for runs under way."""
    _locked_at(connection, debtor_id, expected)
    connection.execute(delete(debtors).where(debtors.c.id == debtor_id))


def profile_of(row: Row[Any]) -> Profile:
    """The scoring inputs in a debtor's or an assessment's row, which were valid when they were written."""
    values = {field: row._mapping[field] for field in PROFILE_FIELDS}
    return Profile.model_construct(set(PROFILE_FIELDS), **values)


def view(connection: Connection, row: Row[Any], shelf: PolicyShelf) -> dict[str, Any]:
    """The debtor as clients see it."""
    scorer = shelf.scorer(connection, row.policy_id)
    answer = dict(row._mapping)
    answer["total_debt_amount"] = format_money(row.total_debt_amount)
    answer["monthly_income"] = format_money(row.monthly_income)
    answer["priority"] = format_money(row.priority)
    answer["assessment"] = scorer.assess(profile_of(row), row.assessed_at).to_dict()
    return answer


def fresh_score(connection: Connection, debtor_id: int, shelf: PolicyShelf, now: datetime) -> dict[str, Any]:
    """What the active policy says of the debtor at this moment."""
    row = read(connection, debtor_id)
    assessment = scorer_for(shelf.active).assess(profile_of(row), now)
    priority = assessment.total_score * row.total_debt_amount
    return {"debtor_id": debtor_id, "priority": format_money(priority), **assessment.to_dict()}


def history_view(connection: Connection, row: Row[Any], shelf: PolicyShelf) -> dict[str, Any]:
    """One assessment of the history, with the inputs it judged."""
    profile = profile_of(row)
    assessment = shelf.scorer(connection, row.policy_id).assess(profile, row.assessed_at)
    shown = {"version": row.version, "priority": format_money(row.priority), "profile": profile.model_dump()}
    return shown | assessment.to_dict()


def _locked_at(connection: Connection, debtor_id: int, expected: int | None) -> Row[Any]:
    current = read(connection, debtor_id, lock=True)
    if expected is not None and current.version != expected:
        raise StaleVersionError(current.version)
    return current


def _write(connection: Connection, current: Row[Any], body: DebtorIn, shelf: PolicyShelf, now: datetime) -> None:
    values = _identity(body) | _judged(connection, body, shelf, now)
    values |= {"updated_at": now, "version": current.version + 1}
    try:
        connection.execute(_CHANGE, {"wanted": current.id, **values})
    except IntegrityError as error:
        raise ExternalRefTakenError from error
    _remember(connection, current.id, values)


def _identity(body: DebtorIn) -> dict[str, Any]:
    return {field: getattr(body, field) for field in IDENTITY_FIELDS}


def _judged(connection: Connection, profile: Profile, shelf: PolicyShelf, now: datetime) -> dict[str, Any]:
    """Profile and assessment columns under the active policy."""
    policy_id = shelf.id_of(connection, shelf.active, now)
    score = shelf.scorer(connection, policy_id).score_profile(profile)
    return {field: getattr(profile, field) for field in PROFILE_FIELDS} | {
        "total_score": score.total_score,
        "risk_level": score.risk_level,
        "priority": score.total_score * profile.total_debt_amount,
        "policy_id": policy_id,
        "assessed_at": now,
    }


def _remember(connection: Connection, debtor_id: int, values: dict[str, Any]) -> None:
    kept = {field: values[field] for field in PROFILE_FIELDS + ASSESSMENT_FIELDS}
    connection.execute(_ADD_TO_HISTORY, {"debtor_id": debtor_id, "version": values["version"], **kept})
