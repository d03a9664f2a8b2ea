"""What the risk API answers about a simulation."""

from typing import Any

from tests.recovery_console.builders import NOW, POLICY, an_exposure
from tests.recovery_console.policies.builders import a_draft


def a_simulation(state: str = "completed", **changes: Any) -> dict[str, Any]:
    """A simulation of the draft: one of three debtors moves from MEDIUM to HIGH."""
    found = ("as_of", "today", "debtors", "levels", "lanes", "actions", "excluded", "exposure", "top_k", "movers")
    begun = dict.fromkeys(found) | {
        "id": "s1",
        "state": state,
        "portfolio": "default",
        "threshold": "500000.00",
        "unit": "person",
        "capacities": None,
        "proposed": {name: a_draft()[name] for name in ("name", "version", "hash")},
        "debtors_total": 3,
        "debtors_read": 0,
        "created_at": NOW,
        "started_at": None,
        "finished_at": None,
        "error": None,
    }
    if state != "completed":
        return begun | changes
    return begun | {
        "as_of": NOW,
        "today": POLICY,
        "debtors": 3,
        "levels": {"MEDIUM": {"MEDIUM": 1, "HIGH": 1}, "HIGH": {"HIGH": 1}},
        "lanes": {"today": {"high": 1, "standard": 2}, "proposed": {"high": 2, "standard": 1}},
        "actions": {"today": {"AGENT_CALL": 3}, "proposed": {"AGENT_CALL": 2, "SPECIALIST_REVIEW": 1}},
        "excluded": {"today": {"PAID": 1}, "proposed": {"PAID": 1, "NOT_SCORABLE": 1}},
        "exposure": {"today": {"MEDIUM": an_exposure(2)}, "proposed": {"HIGH": an_exposure(2)}},
        "top_k": {"k": 1000, "entered": 1, "left": 0, "stayed": 2, "debt_entered": "33267.16", "debt_left": "0.00"},
        "movers": [
            {"debtor_id": 9, "rank_today": None, "rank_proposed": 3},
            {"debtor_id": 7, "rank_today": 3, "rank_proposed": 1},
            {"debtor_id": 8, "rank_today": 1, "rank_proposed": 2},
        ],
    } | changes  # fmt: skip
