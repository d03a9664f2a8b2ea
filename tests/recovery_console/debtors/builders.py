"""What the APIs answer about one debtor."""

from typing import Any

from tests.recovery_console.builders import NOW, POLICY, a_debtor, a_page, a_portfolio, a_rank, an_assessment
from tests.recovery_console.run_builders import a_run

from recovery_core.policies.builtin import built_in_policy

DOCUMENT = built_in_policy("standard").model_dump(mode="json", exclude_none=True)


def a_hold(hold_id: str = "hold-1", **changes: Any) -> dict[str, Any]:
    """A dispute of debtor 7 that is in force and has no end."""
    return {
        "id": hold_id,
        "portfolio": "default",
        "debtor_id": 7,
        "person_ref": None,
        "kind": "DISPUTE",
        "blocks": "all",
        "reason": "Letter of 1 March",
        "source": "crm",
        "from": NOW,
        "until": None,
        "recorded_at": NOW,
        "recorded_by": "key:operator",
        "ended_at": None,
        "end_reason": None,
        "ended_by": None,
        "active": True,
    } | changes


def a_decision(run_id: str = "run-1", **changes: Any) -> dict[str, Any]:
    """An agent calls debtor 7."""
    return {
        "run_id": run_id,
        "debtor_id": 7,
        "batch_sequence": 1,
        "position": 0,
        "lane": "high",
        "high_priority": True,
        "priority": "10079949.48",
        "total_score": 303,
        "risk_level": "HIGH",
        "action": "AGENT_CALL",
        "reasons": [{"code": "PAYMENT_HISTORY_UP_TO_5", "text": "4 late payments", "contribution": 27}],
        "blocked": [],
        "stops_seen": 4,
        "decided_at": NOW,
    } | changes


def a_skip(run_id: str = "run-2", **changes: Any) -> dict[str, Any]:
    """Debtor 7 was on hold when its batch was worked."""
    return {
        "run_id": run_id,
        "debtor_id": 7,
        "batch_sequence": 1,
        "position": 0,
        "reason": "HOLD_DISPUTE",
        "detail": "on hold since the batch was planned",
        "stops_seen": 5,
        "recorded_at": "2026-03-02T09:30:00Z",
    } | changes


def an_explanation(run_id: str = "run-2", **changes: Any) -> dict[str, Any]:
    """Debtor 7 stood at 2 of 3 in a run."""
    return {
        "run_id": run_id,
        "debtor_id": 7,
        "outcome": "ranked",
        "reason": None,
        "hold_id": None,
        "lead_debtor_id": None,
        "rank": 2,
        "of": 3,
        "lane": "high",
        "batch_sequence": 1,
        "position": 1,
        "priority": "10079949.48",
        "total_score": 303,
        "risk_level": "HIGH",
        "total_debt_amount": "33267.16",
        "policy": POLICY,
        "as_of": NOW,
        "factors": {"debt_ratio": {"value": "15.84", "points": 10, "weight": 9, "contribution": 90}},
        "above": {"debtor_id": 8, "priority": "10080000.00", "difference": "50.52"},
        "below": None,
        "debt_to_pass_above": "33267.33",
        "moves": [
            {
                "factor": "payment_history",
                "value": {"above": None, "up_to": 0},
                "total_score": 249,
                "risk_level": "HIGH",
                "priority": "8283522.84",
                "rank": 3,
            },
            {
                "factor": "employment_status",
                "value": "UNEMPLOYED",
                "total_score": 335,
                "risk_level": "CRITICAL",
                "priority": "11144498.60",
                "rank": 1,
            },
        ],
    } | changes


def the_factors() -> dict[str, Any]:
    """Points under `standard`: payment history is above its neutral mark."""
    factor = {"points": 7, "weight": 9, "contribution": 63}
    return {"debt_ratio": factor | {"points": 2, "contribution": 18}, "payment_history": factor}


def a_debtor_book() -> dict[str, Any]:
    """The answers of both APIs about debtor 7: ranked, one decision and one skip, no hold."""
    assessment = an_assessment(
        factors=the_factors(),
        reasons=[
            {"code": "PAYMENT_HISTORY_UP_TO_5", "text": "The number of late payments is at most 5.", "contribution": 18}
        ],
    )
    entry = assessment | {"version": 1, "priority": "10079949.48", "profile": {}}
    return {
        "GET /risk-service/portfolios/default": a_portfolio(),
        "GET /risk-service/debtors/7": a_debtor(7, assessment=assessment),
        "GET /risk-service/debtors/7/rank": a_rank(7, 2),
        "GET /risk-service/debtors/7/assessments": a_page(entry | {"version": 2, "total_score": 310}, entry),
        f"GET /risk-service/policies/{POLICY['hash']}": POLICY
        | {"state": "built-in", "portfolios": [], "uploaded_by": None, "uploaded_at": None, "document": DOCUMENT},
        "GET /risk-service/holds": a_page(),
        "GET /risk-service/runs": a_page(a_run("run-2", state="completed")),
        "GET /risk-service/runs/run-2/explain/7": an_explanation(),
        "GET /debt-service/debtors/7/decisions": a_page(a_decision()),
        "GET /debt-service/debtors/7/skips": a_page(a_skip()),
    }
