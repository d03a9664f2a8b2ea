"""The fixed portfolios `plain` and `own`, written by rules and not by chance: debtors 1 to 60, and 61 to 105.

People share debtors. There are holds on some actions and on all, paid debtors, ties, and absent attributes.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert
from tests.recovery_core.own_policies import own_document
from tests.risk_assessment.builders import NOON, a_registry

from recovery_core.policies.document import Policy, load_policy
from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios import service as portfolios
from risk_assessment.portfolios.schemas import PortfolioIn
from risk_assessment.tables import holds
from service_kit.database.engine import Database

DECLARED = {
    "days_past_due": {"type": "integer"},
    "home": {"type": "category", "values": ["RENT", "OWNER"]},
    "insured": {"type": "boolean", "required": True},
    "expenses": {"type": "money"},
    "since": {"type": "date"},
}
EMPLOYMENT = ("EMPLOYED", "UNEMPLOYED", "RETIRED", "SELF_EMPLOYED", "STUDENT")
SECTORS = ("TECHNOLOGY", "RETAIL", "ENERGY", "HOSPITALITY")
BLOCKED = (63, 8, 56)
"""Masks of actions: all six, one, and the three that people do."""


def plain_facts(at: int) -> dict[str, Any]:
    return {
        "total_debt_amount": f"{1 + (at * 7919) % 40 * 500}.{at % 3}5",
        "monthly_income": f"{(at * 31) % 9 * 350}.00",
        "late_payments_count": (at * 5) % 8,
        "employment_status": EMPLOYMENT[at % 5],
        "contract_type": ("PERMANENT", "TEMPORARY", "FREELANCE")[at % 3],
        "industry_sector": SECTORS[at % 4],
        "family_situation": None if at % 9 == 1 else "WIDOWED_WITH_DEPENDENTS",
        "payment_status": "PAID" if at % 13 == 4 else "PARTIAL" if at % 6 == 1 else "UNPAID",
    }


def own_facts(at: int) -> dict[str, Any]:
    values = {
        "days_past_due": (at * 17) % 140 if at % 4 else None,
        "home": ("RENT", "OWNER", None)[at % 3],
        "insured": at % 2 == 0,
        "expenses": f"{(at * 13) % 40 * 50}.50" if at % 5 else None,
    }
    return {
        "total_debt_amount": f"{10 + (at * 104729) % 60 * 250}.10",
        "monthly_income": f"{(at % 7) * 400}.00" if at % 6 else None,
        "attributes": {name: value for name, value in values.items() if value is not None},
        "payment_status": "PAID" if at % 17 == 3 else "UNPAID",
    }


def add_plain(database: Database) -> None:
    for at in range(60):
        body = {"name": f"Zoë Őry {at}", "portfolio": "plain", "person_ref": f"P-{at // 3}" if at % 4 else None}
        _add(database, a_registry(), body | plain_facts(at))


def add_own(database: Database) -> None:
    declared = PortfolioIn.model_validate({"attributes": DECLARED, "time_zone": "Europe/Lisbon"})
    database.transact(lambda c: portfolios.replace(c, "own", declared, own_registry(), NOON))
    for at in range(45):
        facts = own_facts(at)
        since = {"since": f"2024-02-{1 + at % 28:02d}"}  # no policy reads it
        body = {"name": f"Own {at}", "portfolio": "own", "person_ref": f"Q-{at % 20}" if at % 3 else None}
        _add(database, own_registry(), body | facts | {"attributes": facts["attributes"] | since})


def _add(database: Database, registry: PolicyRegistry, body: dict[str, Any]) -> None:
    checked = DebtorIn.model_validate(body)
    database.transact(lambda c: debtors.create(c, checked, registry, NOON))


def place_holds(database: Database) -> None:
    """Place holds on every seventh debtor, some of them over or not yet begun."""
    kinds = ("DISPUTE", "VULNERABLE", "PROMISE_TO_PAY", "TIME_BARRED")
    rows = [
        {
            "id": f"hold-{debtor_id}",
            "portfolio": "plain" if debtor_id <= 60 else "own",
            "debtor_id": debtor_id,
            "person_id": None,
            "kind": kinds[debtor_id % 4],
            "blocked": BLOCKED[debtor_id % 3],
            "reason": "as agreed",
            "starts_at": NOON - timedelta(hours=1) if debtor_id % 5 else NOON + timedelta(microseconds=1),
            "ends_at": NOON if debtor_id % 11 == 0 else None,
            "recorded_at": NOON - timedelta(hours=1),
            "recorded_by": "test",
        }
        for debtor_id in range(2, 105, 7)
    ]
    with database.write() as connection:
        connection.execute(insert(holds), rows)


def own_policies() -> tuple[Policy, Policy]:
    rates = {"LOW": 700, "MEDIUM": 1_900, "HIGH": 4_300, "CRITICAL": 9_100}
    costs = {"LEGAL_REVIEW": 30, "AGENT_CALL": 8, "PAYMENT_PLAN_OFFER": 5, "SELF_SERVICE_REMINDER": 1}
    by_effort = {"kind": "value_per_effort", "rate_bp": rates, "cost": costs}
    rows = own_document()["treatment"]
    document = own_document() | {"name": "own-effort", "objective": by_effort, "treatment": rows}
    return load_policy(document), load_policy(own_document())


def own_registry() -> PolicyRegistry:
    return a_registry("own-effort", *own_policies())
