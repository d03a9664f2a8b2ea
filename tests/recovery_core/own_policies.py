"""A policy over attributes: bands, values, a ratio, and rows of the treatment."""

import copy
from typing import Any

from recovery_core.policies.document import Policy, load_policy

OWN: dict[str, Any] = {
    "name": "own",
    "version": 1,
    "description": "Reads what a portfolio declares.",
    "objective": "score_times_debt",
    "max_points": 10,
    "factors": {
        "delinquency": {
            "input": "attributes.days_past_due",
            "weight": 9,
            "neutral": 4,
            "missing": 5,
            "bands": [{"up_to": 30, "points": 2}, {"up_to": 90, "points": 7}, {"points": 10}],
        },
        "housing": {
            "input": "attributes.home",
            "weight": 5,
            "neutral": 1,
            "missing": 3,
            "points": {"RENT": 4, "OWNER": 1},
        },
        "cover": {"input": "attributes.insured", "weight": 4, "neutral": 1, "points": {"true": 1, "false": 6}},
        "burden": {
            "input": {"numerator": "attributes.expenses", "denominator": "monthly_income"},
            "weight": 2,
            "neutral": 1,
            "missing": 3,
            "zero_denominator": 9,
            "bands": [{"up_to": "0.5", "points": 1}, {"points": 8}],
        },
        "size": {
            "input": "total_debt_amount",
            "weight": 1,
            "neutral": 5,
            "bands": [{"up_to": "1500.50", "points": 1}, {"points": 6}],
        },
    },
    "levels": [
        {"level": "LOW", "up_to_percent": 30},
        {"level": "MEDIUM", "up_to_percent": 60},
        {"level": "HIGH", "up_to_percent": 80},
        {"level": "CRITICAL"},
    ],
    "treatment": [
        {"action": "LEGAL_REVIEW", "attributes": {"days_past_due": {"min": 90}, "home": ["OWNER"]}},
        {"action": "AGENT_CALL", "attributes": {"days_past_due": {"min": 30, "max": 90}, "insured": [False]}},
        {"action": "PAYMENT_PLAN_OFFER", "attributes": {"expenses": {"max": "1000.50"}}, "max_debt": "9000.00"},
        {"action": "SELF_SERVICE_REMINDER"},
    ],
}

VALUES: dict[str, Any] = {"days_past_due": 45, "home": "RENT", "insured": True, "expenses": "800.00"}


def own_document() -> dict[str, Any]:
    """Return a document of which a test may change any part."""
    return copy.deepcopy(OWN)


def own_policy() -> Policy:
    """Return the policy over attributes."""
    return load_policy(OWN)
