"""Debtors: create, replace, patch and delete. Every write scores the debtor and adds to its history.

Rejected: a stale version, and a second debtor under one external reference. Functions take a connection, never commit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError

from recovery_core.profile import PROFILE_FIELDS
from recovery_core.ranking.objective import priority_of
from recovery_core.scoring.explain import Assessment, explain
from risk_assessment.debtors.queries import read
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.debtors.tables import ASSESSMENT_FIELDS, assessments, debtors
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.auth.portfolios import Portfolios

IDENTITY_FIELDS = ("portfolio", "external_ref", "name")
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
    """A debtor as it was just written: the columns of its row, and its assessment."""

    columns: dict[str, Any]
    assessment: Assessment


def create(connection: Connection, body: DebtorIn, registry: PolicyRegistry, now: datetime) -> WrittenDebtor:
    """Store a new debtor with its first assessment. Raises ExternalRefTakenError."""
    columns, assessment = _scored(connection, body, registry, now)
    columns |= {"created_at": now, "updated_at": now, "version": 1}
    try:
        columns["id"] = int(connection.execute(_INSERT, columns).lastrowid)
    except IntegrityError as error:
        raise ExternalRefTakenError from error
    _add_to_history(connection, columns)
    return WrittenDebtor(columns, assessment)


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
    """Change the fields given, each already validated, and score the debtor. Raises as `replace` does."""
    current = _locked_at(connection, debtor_id, allowed, within)
    kept = {field: current._mapping[field] for field in IDENTITY_FIELDS + PROFILE_FIELDS}
    return _write(connection, current, DebtorIn.model_construct(**kept | changes), registry, now)


def remove(
    connection: Connection, debtor_id: int, *, allowed: VersionCheck = any_version, within: Portfolios = None
) -> None:
    """Delete the debtor's personal row. Its assessments, which name no person, stay as evidence and for active runs."""
    _locked_at(connection, debtor_id, allowed, within)
    connection.execute(delete(debtors).where(debtors.c.id == debtor_id))


def _locked_at(connection: Connection, debtor_id: int, allowed: VersionCheck, within: Portfolios) -> Row[Any]:
    current = read(connection, debtor_id, within, lock=True)
    if not allowed(current.version):
        raise StaleVersionError(current.version)
    return current


def _write(
    connection: Connection, current: Row[Any], body: DebtorIn, registry: PolicyRegistry, now: datetime
) -> WrittenDebtor:
    columns, assessment = _scored(connection, body, registry, now)
    columns |= {"updated_at": now, "version": current.version + 1}
    try:
        connection.execute(_UPDATE, {"wanted": current.id, **columns})
    except IntegrityError as error:
        raise ExternalRefTakenError from error
    columns |= {"id": current.id, "created_at": current.created_at}
    _add_to_history(connection, columns)
    return WrittenDebtor(columns, assessment)


def _scored(
    connection: Connection, body: DebtorIn, registry: PolicyRegistry, now: datetime
) -> tuple[dict[str, Any], Assessment]:
    """Return the identity, profile and assessment columns under the portfolio's active policy, and the assessment."""
    policy_id, scorer = registry.active_scorer(connection, body.portfolio, now)
    score = scorer.score(body.facts)
    columns = {field: getattr(body, field) for field in IDENTITY_FIELDS + PROFILE_FIELDS} | {
        "total_score": score.total_score,
        "risk_level": score.risk_level,
        "priority": priority_of(score.total_score, body.total_debt_amount),
        "policy_id": policy_id,
        "assessed_at": now,
    }
    return columns, explain(scorer, score, now)


def _add_to_history(connection: Connection, columns: dict[str, Any]) -> None:
    kept = {field: columns[field] for field in ("version", *PROFILE_FIELDS, *ASSESSMENT_FIELDS)}
    connection.execute(_INSERT_ASSESSMENT, {"debtor_id": columns["id"], **kept})
