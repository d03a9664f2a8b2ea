"""Profiles, policies and messages with honest defaults, so that a test shows only what matters to it."""

import copy
from datetime import UTC, datetime
from typing import Any

from recovery_core.messages.batch import BatchHeader, PolicyHeader, batch_id_of, encode_debtor
from recovery_core.messages.shapes import DebtorEntry
from recovery_core.money import parse_priority
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import Profile

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_profile(**changes: Any) -> Profile:
    values: dict[str, Any] = {
        "total_debt_amount": "5000.00",
        "monthly_income": "2500.00",
        "late_payments_count": 1,
        "employment_status": "EMPLOYED",
        "contract_type": "PERMANENT",
        "industry_sector": "TECHNOLOGY",
        "family_situation": "SINGLE_NO_DEPENDENTS",
    }
    return Profile(**(values | changes))


def a_document(name: str = "standard") -> dict[str, Any]:
    """A policy document that a test may change as it likes."""
    return copy.deepcopy(built_in_policy(name).document)


def a_header(**changes: Any) -> BatchHeader:
    policy = built_in_policy("standard")
    values: dict[str, Any] = {
        "batch_id": batch_id_of("run-1", 7),
        "run_id": "run-1",
        "sequence": 7,
        "lane": "high",
        "portfolio": "default",
        "policy": PolicyHeader(policy.name, policy.version, policy.hash),
        "as_of": NOON,
        "threshold": 50_000_000,
        "batches_total": 9,
        "debtors_total": 900,
    }
    return BatchHeader(**(values | changes))


def an_entry(debtor_id: int = 1, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "debtor_id": debtor_id,
        "priority": "7884316.92",
        "total_score": 237,
        "total_debt_amount": "33267.16",
        "monthly_income": "11089.05",
        "late_payments_count": 40,
        "employment_status": "EMPLOYED",
        "contract_type": "PERMANENT",
        "industry_sector": "HOSPITALITY",
        "family_situation": "MARRIED_DUAL_INCOME",
        "payment_status": "PARTIAL",
    }
    return values | changes


_MONEY = ("priority", "total_debt_amount", "monthly_income")


def written(entry: dict[str, Any]) -> str:
    """An entry as the risk service writes it, which knows amounts in minor units."""
    return encode_debtor(
        *(parse_priority(entry[name]) if name in _MONEY else entry[name] for name in DebtorEntry.__annotations__)
    )
