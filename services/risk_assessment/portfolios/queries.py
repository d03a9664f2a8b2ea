"""Portfolios read: one, a page of them, which policies were active in one, and how clients see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, func, select

from risk_assessment.debtors.tables import debtors
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios.tables import policy_activations, portfolios
from service_kit.auth.portfolios import PortfolioNotFoundError, Portfolios
from service_kit.auth.portfolios import require as require_reachable
from service_kit.http.pages import Page, decode_cursor, fetch_page

BEGAN_BY = "settings:RISK_POLICY"
BEGAN_REASON = "the policy of RISK_POLICY, with which the portfolio began"


class StoredPortfolio(NamedTuple):
    """A portfolio as its row has it."""

    name: str
    currency: str | None
    time_zone: str
    jurisdiction: str
    attributes: str
    active_policy_id: int | None
    created_at: datetime
    updated_at: datetime


class Activation(NamedTuple):
    """Which policy became active in a portfolio. Without a number: the one with which the portfolio began."""

    number: int | None
    policy_id: int | None
    activated_at: datetime
    activated_by: str
    reason: str
    accepted_findings: str


_COLUMNS = [portfolios.c[name] for name in StoredPortfolio._fields]
_ACTIVATION_COLUMNS = [policy_activations.c[name] for name in Activation._fields]


def read(connection: Connection, name: str, within: Portfolios = None, *, lock: bool = False) -> StoredPortfolio:
    """Return a portfolio that the caller may reach, locked against other activations if asked.

    Raises PortfolioNotFoundError. Version 1.0 wrote debtors without the row of their portfolio.
    """
    require_reachable(within, name)
    statement = select(*_COLUMNS).where(portfolios.c.name == name)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return _without_row(connection, name) if row is None else StoredPortfolio(*row)


def page(connection: Connection, within: Portfolios, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page of the caller's portfolios, by name. Raises BadCursor."""
    statement = select(*_COLUMNS)
    if within is not None:
        statement = statement.where(portfolios.c.name.in_(within))
    if cursor is not None:
        statement = statement.where(portfolios.c.name > decode_cursor(cursor, (str,))[0])
    return fetch_page(connection, statement.order_by(portfolios.c.name), limit, lambda row: [row.name])


def views(connection: Connection, found: Sequence[Any], registry: PolicyRegistry) -> list[dict[str, Any]]:
    """Return portfolios as clients see them. Their debtors are counted along an index."""
    counted = select(debtors.c.portfolio, func.count()).where(debtors.c.portfolio.in_([one.name for one in found]))
    counts: dict[str, int] = dict(connection.execute(counted.group_by(debtors.c.portfolio)).all())
    return [
        {
            **StoredPortfolio(*one)._asdict(),
            "attributes": orjson.loads(one.attributes),
            "active_policy": _policy_ref(connection, one.active_policy_id, registry),
            "debtors": counts.get(one.name, 0),
        }
        for one in found
    ]


def activations(connection: Connection, portfolio: StoredPortfolio, cursor: str | None, limit: int) -> Page[Any]:
    """Return one page of the activations in a portfolio, newest first. Raises BadCursor."""
    statement = select(*_ACTIVATION_COLUMNS).where(policy_activations.c.portfolio == portfolio.name)
    if cursor is not None:
        statement = statement.where(policy_activations.c.number < decode_cursor(cursor, (int,))[0])
    found = fetch_page(
        connection, statement.order_by(policy_activations.c.number.desc()), limit, lambda row: [row.number]
    )
    return found if found.items or cursor is not None else Page([began_with(portfolio)], None)


def activation_view(connection: Connection, one: Any, registry: PolicyRegistry) -> dict[str, Any]:
    """Return an activation as clients see it."""
    return {
        "policy": _policy_ref(connection, one.policy_id, registry),
        "activated_at": one.activated_at,
        "activated_by": one.activated_by,
        "reason": one.reason,
        "accepted_findings": orjson.loads(one.accepted_findings),
    }


def is_activated(connection: Connection, portfolio: str) -> bool:
    """Return whether any policy was ever activated in a portfolio."""
    found = select(policy_activations.c.number).where(policy_activations.c.portfolio == portfolio).limit(1)
    return connection.execute(found).first() is not None


def began_with(portfolio: StoredPortfolio) -> Activation:
    """Return the activation with which a portfolio began: that of RISK_POLICY."""
    return Activation(None, None, portfolio.created_at, BEGAN_BY, BEGAN_REASON, "[]")


def _policy_ref(connection: Connection, policy_id: int | None, registry: PolicyRegistry) -> dict[str, Any]:
    policy = registry.installation.default if policy_id is None else registry.scorer(connection, policy_id).policy
    return policy.ref.model_dump()


def _without_row(connection: Connection, name: str) -> StoredPortfolio:
    statement = select(debtors.c.created_at).where(debtors.c.portfolio == name).limit(1)
    since = connection.execute(statement).scalar()
    if since is None:
        raise PortfolioNotFoundError
    return StoredPortfolio(name, None, "UTC", "none", "{}", None, since, since)
