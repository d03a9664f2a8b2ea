"""A batch whose debtors have long entries is halved until each message fits, whatever a policy looks at."""

from typing import Any

import pytest
from tests.recovery_core.own_policies import own_document
from tests.risk_assessment.builders import NOON, a_registry
from tests.risk_assessment.planned import a_planned_run, batches_of, bodies_of

from recovery_core.messages.batch import encode_debtor
from recovery_core.messages.wire import MAX_BODY_BYTES
from recovery_core.policies.document import Policy, load_policy
from risk_assessment.batches.messages import BLOCKED_BYTES, ENTRY_BYTES
from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.evidence.replaying import Result, replay
from risk_assessment.portfolios import service as portfolios
from risk_assessment.portfolios.schemas import PortfolioIn
from service_kit.database.engine import Database

COUNT = 90
VALUES = ["Ä" * 62 + letter for letter in "AB"]
NAMES = [f"attribute_{number}" for number in range(COUNT)]


def looks_by_factors() -> dict[str, Any]:
    def factor(name: str) -> dict[str, Any]:
        points = {value: at for at, value in enumerate(VALUES)}
        return {"input": f"attributes.{name}", "weight": 1, "neutral": 1, "missing": 1, "points": points}

    factors = {f"by_{name}": factor(name) for name in NAMES[:40]}
    return {"factors": factors, "treatment": [{"action": "NO_ACTION"}]}


def looks_by_treatment() -> dict[str, Any]:
    rows = [
        {"action": "AGENT_CALL", "attributes": dict.fromkeys(NAMES[start : start + 9], VALUES[:1])}
        for start in range(0, COUNT, 9)
    ]
    factors = {"size": {"input": "total_debt_amount", "weight": 1, "neutral": 1, "bands": [{"points": 1}]}}
    return {"factors": factors, "treatment": [*rows, {"action": "NO_ACTION"}]}


def a_policy(parts: dict[str, Any]) -> Policy:
    return load_policy(own_document() | parts | {"name": "wide"})


@pytest.mark.parametrize("parts", [looks_by_factors(), looks_by_treatment()], ids=["factors", "treatment"])
def test_messages_fit_however_many_attributes_a_policy_looks_at(database: Database, parts: dict[str, Any]) -> None:
    policy = a_policy(parts)
    registry = a_registry("wide", policy)
    declared = {name: {"type": "category", "values": VALUES} for name in NAMES}
    body = PortfolioIn.model_validate({"attributes": declared})
    database.transact(lambda c: portfolios.replace(c, "wide", body, registry, NOON))
    values = {name: VALUES[at % 2] for at, name in enumerate(NAMES)}
    given = {"portfolio": "wide", "name": "A", "attributes": values}
    for debt in range(45):
        one = DebtorIn.model_validate(given | {"total_debt_amount": f"{debt + 1}.00"})
        database.transact(lambda c, one=one: debtors.create(c, one, registry, NOON))

    run_id = a_planned_run(database, registry, portfolio="wide", batch_size=45)

    planned = batches_of(database, run_id)
    assert sum(batch.debtors for batch in planned) == 45
    assert len(planned) > 1
    assert max(len(body.encode()) for body in bodies_of(database, run_id, registry).values()) <= MAX_BODY_BYTES
    assert replay(database, run_id, 10).result is Result.IDENTICAL


def test_no_entry_is_longer_than_is_reckoned() -> None:
    facts = (
        *(999_999_999_999, 999_999_999_999, 100_000),
        *("GOVERNMENT_EMPLOYED", "PERMANENT", "PROFESSIONAL_SERVICES", "UNMARRIED_LIVING_TOGETHER", None),
    )
    most = (2**63 - 1, 2**63 - 1, 10**9, facts, "PARTIAL", 2**31)

    plain = len(encode_debtor(*most)) + len(",")
    blocked = len(encode_debtor(*most, 0b111110, "ATTORNEY_REPRESENTED")) + len(",")

    assert plain <= ENTRY_BYTES
    assert blocked <= ENTRY_BYTES + BLOCKED_BYTES
