"""Policies read: the active one of a portfolio, one by name or hash, a page of them, and how clients see them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, literal, or_, select

from recovery_core.policies.document import Policy
from risk_assessment.debtors.tables import debtors
from risk_assessment.policies.schemas import PolicyState
from risk_assessment.policies.tables import policies, policy_uploads
from risk_assessment.portfolios.tables import policy_activations, portfolios
from service_kit.auth.portfolios import PortfolioNotFoundError, Portfolios, admits
from service_kit.http.pages import Page, decode_cursor, page_of

# Built once: building a statement costs several times as much as executing it.
_ACTIVE = select(portfolios.c.active_policy_id, portfolios.c.attributes).where(
    portfolios.c.name == bindparam("portfolio")
)
# An activation, which changes the row, waits for the transactions that score by it; these do not wait for each other.
_ACTIVE_UNTIL_COMMIT = _ACTIVE.with_for_update(read=True)
_ANY_DEBTOR = select(literal(1)).where(debtors.c.portfolio == bindparam("portfolio")).limit(1)
_STORED = select(
    policies.c.id,
    policies.c.hash,
    policies.c.name,
    policies.c.version,
    policy_uploads.c.uploaded_by,
    policy_uploads.c.uploaded_at,
).outerjoin_from(policies, policy_uploads, policies.c.id == policy_uploads.c.policy_id)


class PolicyNotFoundError(LookupError):
    """There is no policy with this hash."""

    def __init__(self) -> None:
        super().__init__("there is no policy with this hash")


@dataclass(frozen=True)
class Installation:
    """The policies that come with this installation, by hash, and the one of RISK_POLICY among them."""

    by_hash: Mapping[str, Policy]
    default: Policy


class KnownPolicy(NamedTuple):
    """A policy of the installation, of the database, or of both. `id` is None while it has no row."""

    name: str
    version: int
    hash: str
    id: int | None = None
    uploaded_by: str | None = None
    uploaded_at: datetime | None = None


@dataclass
class Uses:
    """The portfolios where policies are active, by the hashes of the policies, and which of these ever were."""

    active: dict[str, list[str]] = field(default_factory=dict)
    activated: Collection[str] = ()


def active_policy(connection: Connection, portfolio: str, *, until_commit: bool = False) -> Row[Any, Any] | None:
    """Return a row with the number of the portfolio's policy, NULL for that of RISK_POLICY, and what it declares.

    None without a portfolio. With `until_commit` nothing else is activated or declared there before this transaction
    ends.
    """
    statement = _ACTIVE_UNTIL_COMMIT if until_commit else _ACTIVE
    return connection.execute(statement, {"portfolio": portfolio}).one_or_none()


def require_portfolio(connection: Connection, name: str) -> None:
    """Raise PortfolioNotFoundError unless this portfolio exists: a misspelt one would be processed as empty.

    Version 1.0 wrote debtors without the row of their portfolio.
    """
    if all(connection.execute(one, {"portfolio": name}).first() is None for one in (_ACTIVE, _ANY_DEBTOR)):
        raise PortfolioNotFoundError


def newest_activated(connection: Connection, name_or_hash: str, portfolio: str | None = None) -> Row[Any, Any] | None:
    """Return id and version of the newest policy of this name or hash that was ever activated, there or anywhere."""
    activated = select(policy_activations.c.number).where(policy_activations.c.policy_id == policies.c.id)
    if portfolio is not None:
        activated = activated.where(policy_activations.c.portfolio == portfolio)
    named = or_(policies.c.name == name_or_hash, policies.c.hash == name_or_hash)
    newest = select(policies.c.id, policies.c.version).where(named, activated.exists())
    return connection.execute(newest.order_by(policies.c.version.desc(), policies.c.id).limit(1)).one_or_none()


def id_of(connection: Connection, policy_hash: str) -> int | None:
    """Return the row number of the policy with this hash, None without a row."""
    return connection.execute(select(policies.c.id).where(policies.c.hash == policy_hash)).scalar()


def is_uploaded(connection: Connection, name_or_hash: str) -> bool:
    """Return whether a policy of this name or hash was uploaded, a draft or not."""
    named = or_(policies.c.name == name_or_hash, policies.c.hash == name_or_hash)
    return (
        connection.execute(_STORED.where(named, policy_uploads.c.policy_id.is_not(None)).limit(1)).first() is not None
    )


def known(connection: Connection, policy: Policy) -> KnownPolicy:
    """Return what there is to know of a policy beside its document."""
    row = connection.execute(_STORED.where(policies.c.hash == policy.hash)).one_or_none()
    return _without_row(policy) if row is None else KnownPolicy(**row._mapping)


def page(connection: Connection, installation: Installation, cursor: str | None, limit: int) -> Page[KnownPolicy]:
    """Return one page of all policies, by name, version and hash. Raises BadCursor."""
    statement, installed = _STORED, [_without_row(one) for one in _unstored(connection, installation.by_hash)]
    if cursor is not None:
        name, version, policy_hash = decode_cursor(cursor, (str, int, str))
        statement = statement.where(_is_after(str(name), int(version), str(policy_hash)))
        installed = [one for one in installed if one[:3] > (name, version, policy_hash)]
    in_order = statement.order_by(policies.c.name, policies.c.version, policies.c.hash).limit(limit + 1)
    stored = [KnownPolicy(**row._mapping) for row in connection.execute(in_order)]
    return page_of(sorted([*stored, *installed], key=_key)[: limit + 1], limit, _key)


def uses(connection: Connection, some: Sequence[KnownPolicy], default: Policy) -> Uses:
    """Return where these policies are active and which of them ever were. The default is where no other one is."""
    hashes = {one.id: one.hash for one in some if one.id is not None}
    is_active: ColumnElement[bool] = portfolios.c.active_policy_id.in_(hashes)
    if any(one.hash == default.hash for one in some):
        is_active = or_(is_active, portfolios.c.active_policy_id.is_(None))
    found = Uses(activated={hashes[policy_id] for policy_id in _activated(connection, hashes)})
    statement = select(portfolios.c.active_policy_id, portfolios.c.name).where(is_active).order_by(portfolios.c.name)
    for policy_id, name in connection.execute(statement):
        found.active.setdefault(hashes.get(policy_id, default.hash), []).append(name)
    return found


def view(one: KnownPolicy, found: Uses, installation: Installation, within: Portfolios = None) -> dict[str, Any]:
    """Return a policy as clients see it, with those portfolios where it is active that the caller may reach."""
    return {
        **one._asdict(),
        "state": _state(one, found, installation),
        "portfolios": [name for name in found.active.get(one.hash, ()) if admits(within, name)],
    }


def view_one(
    connection: Connection, policy: Policy, installation: Installation, within: Portfolios = None
) -> dict[str, Any]:
    """Return one policy as clients see it."""
    one = known(connection, policy)
    return view(one, uses(connection, [one], installation.default), installation, within)


def _state(one: KnownPolicy, found: Uses, installation: Installation) -> PolicyState:
    if one.hash in found.active:
        return PolicyState.ACTIVE
    if one.hash in installation.by_hash:
        return PolicyState.BUILT_IN
    is_draft = one.uploaded_by is not None and one.hash not in found.activated
    return PolicyState.DRAFT if is_draft else PolicyState.RETIRED


def _activated(connection: Connection, ids: Collection[int]) -> Iterable[int]:
    column = policy_activations.c.policy_id
    return connection.execute(select(column).where(column.in_(ids)).distinct()).scalars()


def _without_row(policy: Policy) -> KnownPolicy:
    return KnownPolicy(policy.name, policy.version, policy.hash)


def _unstored(connection: Connection, some: Mapping[str, Policy]) -> Iterable[Policy]:
    stored = connection.execute(select(policies.c.hash).where(policies.c.hash.in_(some))).scalars().all()
    return [policy for policy in some.values() if policy.hash not in stored]


def _key(one: KnownPolicy) -> tuple[str, int, str]:
    return one.name, one.version, one.hash


def _is_after(name: str, version: int, policy_hash: str) -> ColumnElement[bool]:
    columns = policies.c
    later = or_(columns.version > version, and_(columns.version == version, columns.hash > policy_hash))
    return or_(columns.name > name, and_(columns.name == name, later))
