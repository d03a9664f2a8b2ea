"""Profiles, policies and messages with honest defaults, so that a test shows only what matters."""

import copy
from datetime import UTC, datetime
from typing import Any

from recovery_core.holds import mask_of
from recovery_core.messages.batch import BatchHeader, PolicyHeader, batch_id_of, encode_debtor
from recovery_core.money import format_money, parse_money, parse_priority
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import FACTS, Profile
from recovery_core.scoring.scorer import scorer_for

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

BEST = ("GOVERNMENT_EMPLOYED", "PERMANENT", "GOVERNMENT", "MARRIED_DUAL_INCOME")
"""The categories with the fewest points."""


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
    """Return a policy document of which a test may change any part."""
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


_AMOUNTS = ("total_debt_amount", "monthly_income")


def a_scored_entry(debtor_id: int = 1, policy: str = "standard", **changes: Any) -> dict[str, Any]:
    """Return a debtor of a batch, with the score and the priority of a built-in policy unless a test gives others."""
    entry = an_entry(debtor_id, family_situation=None, payment_status="UNPAID") | changes
    try:
        score = scorer_for(built_in_policy(policy)).score(_facts(entry))
    except ValueError:
        return entry
    priority = format_money(score.total_score * parse_money(entry["total_debt_amount"]))
    return entry | {"total_score": score.total_score, "priority": priority} | changes


def written(entry: dict[str, Any]) -> str:
    """Return an entry as the risk service writes it, from amounts in minor units."""
    second = {
        "version": entry.get("version"),
        "blocked": mask_of(entry.get("blocked", [])),
        "blocked_by": entry.get("blocked_by"),
    }
    first = entry["debtor_id"], parse_priority(entry["priority"]), entry["total_score"], _facts(entry)
    return encode_debtor(*first, entry["payment_status"], **second)


def _facts(entry: dict[str, Any]) -> list[Any]:
    return [parse_money(entry[name]) if name in _AMOUNTS else entry.get(name) for name in FACTS]
