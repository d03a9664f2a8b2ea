"""Policies with other objectives, and what each makes of a debtor: straight from the design, in plain Python."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from math import lcm
from typing import Any

from tests.risk_assessment import independent
from tests.risk_assessment.exclusions.eligibility import ACTION_NAMES

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy

RATES = {"LOW": 9_000, "MEDIUM": 4_000, "HIGH": 2_500, "CRITICAL": 1_000}
COSTS = {"NO_ACTION": 1, "SELF_SERVICE_REMINDER": 2, "AGENT_CALL": 9, "LEGAL_REVIEW": 30}
ROWS = [
    {"action": "LEGAL_REVIEW", "level": ["HIGH", "CRITICAL"], "min_debt": "20000.00"},
    {"action": "AGENT_CALL", "payment_status": ["UNPAID"], "min_debt": "2500.00", "max_debt": "60000.00"},
    {"action": "SELF_SERVICE_REMINDER", "level": ["LOW", "MEDIUM"], "payment_status": ["PARTIAL"]},
    {"action": "AGENT_CALL", "level": ["MEDIUM"]},
    {"action": "NO_ACTION"},
]


class PlainJudge:
    """Reads the objective and the treatment of a document as they are written; it scores as `standard` does."""

    def __init__(self, name: str, objective: Any, treatment: list[dict[str, Any]], threshold: int) -> None:
        self.document = built_in_policy("standard").document | {
            "name": name,
            "objective": objective,
            "treatment": treatment,
        }
        self.threshold = threshold

    @property
    def policy(self) -> Policy:
        return load_policy(self.document)

    def priority(self, row: Mapping[str, Any], blocked: AbstractSet[int]) -> int:
        score, debt = independent.score(row), int(row["total_debt_amount"])
        objective = self.document["objective"]
        if objective == "score_times_debt":
            return score * debt
        if objective == "debt_only":
            return debt
        value = debt * int(objective["rate_bp"][independent.level(score)])
        if objective["kind"] == "expected_recovery":
            return value
        action = self._first(row, None, blocked)
        return 0 if action is None else value * lcm(*objective["cost"].values()) // objective["cost"][action]

    def action(self, row: Mapping[str, Any], priority: int, blocked: AbstractSet[int]) -> str | None:
        return self._first(row, "high" if priority > self.threshold else "standard", blocked)

    def _first(self, row: Mapping[str, Any], lane: str | None, blocked: AbstractSet[int]) -> str | None:
        forbidden = {ACTION_NAMES[bit] for bit in blocked}
        found = (one["action"] for one in self.document["treatment"] if self._matches(one, row, lane))
        return next((action for action in found if action not in forbidden), None)

    def _matches(self, one: Mapping[str, Any], row: Mapping[str, Any], lane: str | None) -> bool:
        return (
            independent.level(independent.score(row)) in one.get("level", independent_levels())
            and (lane is None or lane in one.get("lane", ("high", "standard")))
            and row["payment_status"] in one.get("payment_status", ("UNPAID", "PARTIAL", "PAID"))
            and _cents(one.get("min_debt", "0.00")) <= row["total_debt_amount"] < _cents(one.get("max_debt", "1e11"))
        )


def independent_levels() -> tuple[str, ...]:
    return "LOW", "MEDIUM", "HIGH", "CRITICAL"


def _cents(text: str) -> float:
    return round(float(text) * 100)
