"""Portfolios: replace their settings, and activate a policy. Functions take a connection, never commit.

Rejected: an approver's own upload, errors of the linter that were not accepted, and a policy that cannot score debtors
for want of a field that they lack.
"""

from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import orjson
from sqlalchemy import Connection, func, insert, select, update

from recovery_core.attributes import declaration_of
from recovery_core.policies.document import Policy
from recovery_core.policies.lint import lint
from recovery_core.policies.linting.findings import Finding, Jurisdiction, Severity
from recovery_core.profile import FACTS
from risk_assessment.debtors.tables import debtors
from risk_assessment.policies import queries as policies
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.policies.service import add_portfolio
from risk_assessment.portfolios.declarations import check_declaration, check_policy
from risk_assessment.portfolios.queries import StoredPortfolio, began_with, is_activated, read
from risk_assessment.portfolios.schemas import ActivationIn, PortfolioIn
from risk_assessment.portfolios.tables import policy_activations, portfolios
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from service_kit.auth.identity import UNAUTHENTICATED
from service_kit.auth.portfolios import PortfolioNotFoundError


class UnknownTimeZoneError(ValueError):
    """The IANA time zone database has no zone of this name."""

    field = "time_zone"

    def __init__(self) -> None:
        super().__init__("must be a name of the IANA time zone database, such as 'Europe/Paris'")


class OwnUploadError(Exception):
    """The approver uploaded this policy, so another one must activate it."""

    def __init__(self) -> None:
        super().__init__("you uploaded this policy; another approver activates it")


class UnacceptedFindingsError(Exception):
    """The linter has errors under the portfolio's jurisdiction that the approver did not accept."""

    def __init__(self, findings: list[Finding]) -> None:
        self.problem_members = {"findings": [finding.model_dump(mode="json") for finding in findings]}
        super().__init__("the linter has errors; correct the policy, or name their codes in accept_findings")


class DebtorsLackFieldError(Exception):
    """Debtors of the portfolio have no value of a field that the policy needs."""

    def __init__(self, field: str, count: int) -> None:
        self.problem_members = {"debtors": count}
        super().__init__(f"{count:,} debtors of the portfolio have no {field}, which this policy needs")


def replace(connection: Connection, name: str, body: PortfolioIn, registry: PolicyRegistry, now: datetime) -> bool:
    """Replace the settings of a portfolio; return whether it is new.

    Raises UnknownTimeZoneError, and DeclarationContradictedError where debtors or the active policy contradict it.
    """
    if body.time_zone not in _time_zones():
        raise UnknownTimeZoneError
    is_new = not _exists(connection, name)
    add_portfolio(connection, name, now)
    values = body.model_dump(mode="json") | {"updated_at": now}
    values["attributes"] = orjson.dumps(values["attributes"]).decode()
    # Locked: who writes a debtor at this moment has read one declaration or the other.
    before = read(connection, name, lock=True)
    if before.attributes != values["attributes"]:
        check_declaration(connection, name, before.attributes, values["attributes"], registry.active(connection, name))
    connection.execute(update(portfolios).where(portfolios.c.name == name).values(**values))
    return is_new


def check(connection: Connection, policy: Policy, body: ActivationIn, actor: str) -> None:
    """Raise unless this caller may activate the policy in a portfolio as it is now.

    Raises PortfolioNotFoundError, OwnUploadError, UnacceptedFindingsError, PolicyUndeclaredError,
    DebtorsLackFieldError.
    """
    portfolio = read(connection, body.portfolio)
    if actor != UNAUTHENTICATED.actor and policies.known(connection, policy).uploaded_by == actor:
        raise OwnUploadError
    _check_findings(policy, portfolio, body)
    check_policy(policy, declaration_of(portfolio.attributes))
    _check_fields(connection, policy, portfolio)


def activate(
    connection: Connection, policy: Policy, body: ActivationIn, registry: PolicyRegistry, actor: str, now: datetime
) -> str:
    """Make a policy the active one of a portfolio, and return the id of the job that scores the portfolio again.

    Raises what `check` raises.
    """
    add_portfolio(connection, body.portfolio, read(connection, body.portfolio).created_at)
    portfolio = read(connection, body.portfolio, lock=True)
    check(connection, policy, body, actor)
    if not is_activated(connection, portfolio.name):
        _record_beginning(connection, portfolio, registry, now)
    policy_id = registry.register(connection, policy, now)
    connection.execute(
        update(portfolios).where(portfolios.c.name == portfolio.name).values(active_policy_id=policy_id, updated_at=now)
    )
    accepted = sorted(set(map(str, body.accept_findings)))
    _record(connection, portfolio.name, policy_id, now, actor, body.reason, accepted)
    return scoring.accept(connection, ScoringJobIn(portfolio=portfolio.name), registry, now)


def _exists(connection: Connection, name: str) -> bool:
    try:
        read(connection, name)
    except PortfolioNotFoundError:
        return False
    return True


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _check_findings(policy: Policy, portfolio: StoredPortfolio, body: ActivationIn) -> None:
    found = lint(policy, Jurisdiction(portfolio.jurisdiction)).findings
    errors = [one for one in found if one.severity == Severity.ERROR and one.code not in body.accept_findings]
    if errors:
        raise UnacceptedFindingsError(errors)


def _check_fields(connection: Connection, policy: Policy, portfolio: StoredPortfolio) -> None:
    for field in (name for name in FACTS if name in policy.required_facts):
        lacking = select(func.count()).where(debtors.c.portfolio == portfolio.name, debtors.c[field].is_(None))
        count = connection.execute(lacking).scalar_one()
        if count:
            raise DebtorsLackFieldError(field, count)


def _record_beginning(
    connection: Connection, portfolio: StoredPortfolio, registry: PolicyRegistry, now: datetime
) -> None:
    first = began_with(portfolio)
    policy_id = registry.register(connection, registry.installation.default, now)
    _record(connection, portfolio.name, policy_id, first.activated_at, first.activated_by, first.reason, [])


def _record(
    connection: Connection, portfolio: str, policy_id: int, at: datetime, actor: str, reason: str, accepted: list[str]
) -> None:
    values: dict[str, Any] = {
        "portfolio": portfolio,
        "policy_id": policy_id,
        "activated_at": at,
        "activated_by": actor,
        "reason": reason,
        "accepted_findings": orjson.dumps(accepted).decode(),
    }
    connection.execute(insert(policy_activations).values(**values))
