"""What the APIs answer about runs, with honest defaults."""

from typing import Any

from tests.recovery_console.builders import NOW, POLICY, a_page

RUN_ID = "4b6f2c1e-7f53-4f0e-9d0c-0b1f6a1d7c55"
LAST_ID = "11111111-7f53-4f0e-9d0c-0b1f6a1d7c55"


def some_batches(**counts: int) -> dict[str, int]:
    """How many batches of a lane are in each state."""
    return dict.fromkeys(("planned", "sent", "done", "dead", "cancelled"), 0) | counts


def a_run(run_id: str = RUN_ID, **changes: Any) -> dict[str, Any]:
    """A run of 1,000 debtors in 10 batches, 3 of them high, half of them worked."""
    return {
        "id": run_id,
        "portfolio": "default",
        "state": "publishing",
        "batch_size": 100,
        "threshold": "500000.00",
        "limit": None,
        "unit": "person",
        "filters": None,
        "capacities": {},
        "policy": POLICY,
        "as_of": NOW,
        "debtors_ranked": 1000,
        "debtors_high": 300,
        "excluded": {"PAID": 12},
        "batches_total": 10,
        "batches_sent": 7,
        "batches_done": 5,
        "batches_dead": 0,
        "batches_cancelled": 0,
        "batches_by_lane": {"high": some_batches(done=3), "standard": some_batches(done=2, sent=2, planned=3)},
        "manifest_hash": "a" * 64,
        "created_at": NOW,
        "planned_at": NOW,
        "published_at": None,
        "completed_at": None,
        "error": None,
    } | changes


def a_completed_run(run_id: str = RUN_ID, **changes: Any) -> dict[str, Any]:
    """A run whose 10 batches are all worked."""
    over = {"state": "completed", "batches_sent": 10, "batches_done": 10, "published_at": NOW, "completed_at": NOW}
    lanes = {"high": some_batches(done=3), "standard": some_batches(done=7)}
    return a_run(run_id, **over | {"batches_by_lane": lanes} | changes)


def some_stretches(run_id: str = RUN_ID) -> dict[str, Any]:
    """Ten batches, the second of them dead."""
    places = (("high", "done", 1, 1), ("high", "dead", 2, 2), ("high", "done", 3, 3), ("standard", "done", 4, 10))
    names = ("lane", "state", "first", "last")
    return {"run_id": run_id, "stretches": [dict(zip(names, place, strict=True)) for place in places]}


def a_preview(**changes: Any) -> dict[str, Any]:
    """44,994 debtors, of them 94 high."""
    return {
        "ranked": 44994,
        "lanes": {"high": 94, "standard": 44900},
        "excluded": {"PAID": 3000, "HOLD_DISPUTE": 6},
        "top": [
            {
                "rank": 1,
                "debtor_id": 7,
                "name": "Ada",
                "lane": "high",
                "priority": "10079949.48",
                "total_score": 303,
                "risk_level": "HIGH",
                "total_debt_amount": "33267.16",
            }
        ],
        "policy": POLICY,
        "threshold": "500000.00",
        "unit": "person",
        "capacities": {},
    } | changes


def a_report(**changes: Any) -> dict[str, Any]:
    """The report on 1,000 debtors: 990 decided, 8 skipped, 2 failed."""
    return {
        "run_id": RUN_ID,
        "state": "completed",
        "portfolio": "default",
        "policy": POLICY,
        "as_of": NOW,
        "threshold": "500000.00",
        "debtors_total": 1000,
        "debtors_processed": 1000,
        "succeeded": 990,
        "failed": 2,
        "skipped": 8,
        "skip_reasons": {"PAID": 8},
        "high_priority": 300,
        "score_mismatches": 0,
        "batches_total": 10,
        "batches_processed": 10,
        "started_at": NOW,
        "finished_at": NOW,
        "processing_seconds": 2.5,
        "debtors_per_second": 400.0,
        "actions": {"AGENT_CALL": 300, "SELF_SERVICE_REMINDER": 690},
        "levels": {"HIGH": 300, "LOW": 690},
        "actions_by_level": {"HIGH": {"AGENT_CALL": 300}, "LOW": {"SELF_SERVICE_REMINDER": 690}},
        "error_kinds": {"industry_sector": 2},
        "first_errors": [an_error()],
    } | changes


def a_decision(debtor_id: int = 7, **changes: Any) -> dict[str, Any]:
    """A call by an agent, because of late payments."""
    return {
        "run_id": RUN_ID,
        "debtor_id": debtor_id,
        "batch_sequence": 1,
        "position": 0,
        "lane": "high",
        "high_priority": True,
        "priority": "10079949.48",
        "total_score": 303,
        "risk_level": "HIGH",
        "action": "AGENT_CALL",
        "reasons": [{"code": "PAYMENT_HISTORY", "text": "4 late payments", "contribution": 27}],
        "blocked": [],
        "stops_seen": 12,
        "decided_at": NOW,
    } | changes


def a_skip(debtor_id: int = 8, **changes: Any) -> dict[str, Any]:
    """A debtor who has paid since."""
    return {
        "run_id": RUN_ID,
        "debtor_id": debtor_id,
        "batch_sequence": 1,
        "position": 1,
        "reason": "PAID",
        "detail": "paid after the batch was sent",
        "stops_seen": 12,
        "recorded_at": NOW,
    } | changes


def an_error(debtor_id: int | None = 9, **changes: Any) -> dict[str, Any]:
    """A debtor with a sector that the policy does not know."""
    return {
        "run_id": RUN_ID,
        "debtor_id": debtor_id,
        "batch_sequence": 1,
        "position": 2,
        "stage": "score",
        "error": "industry_sector",
        "detail": "unknown: WHALING",
        "recorded_at": NOW,
    } | changes


def an_explanation(debtor_id: int = 8, **changes: Any) -> dict[str, Any]:
    """A ranked debtor, as far as the console reads it."""
    return {
        "run_id": RUN_ID,
        "debtor_id": debtor_id,
        "outcome": "ranked",
        "reason": None,
        "hold_id": None,
        "lead_debtor_id": None,
        "rank": 17,
        "of": 1000,
        "lane": "high",
        "batch_sequence": 1,
        "position": 16,
        "priority": "10079949.48",
        "total_score": 303,
        "risk_level": "HIGH",
        "total_debt_amount": "33267.16",
        "policy": POLICY,
        "as_of": NOW,
        "factors": {},
        "above": None,
        "below": None,
        "debt_to_pass_above": None,
        "moves": [],
    } | changes


def a_comparison(**changes: Any) -> dict[str, Any]:
    """One debtor is new, two are gone, one has moved."""
    places = {"level_before": None, "level_after": None, "lane_before": None, "lane_after": None}
    return {
        "run_id": RUN_ID,
        "with": LAST_ID,
        "new": 1,
        "gone": {"PAID": 1, "ELSEWHERE": 1},
        "moved": 1,
        "unchanged": 996,
        "levels": {"LOW": {"LOW": 690, "HIGH": 1}},
        "items": [
            {"debtor_id": 7, "change": "new", "reason": None, "rank_before": None, "rank_after": 3} | places,
            {"debtor_id": 9, "change": "gone", "reason": "PAID", "rank_before": 5, "rank_after": None} | places,
        ],
        "next_cursor": None,
    } | changes


def some_runs() -> dict[str, Any]:
    """The answers of both APIs about one run that is worked, and the completed one before."""
    risk, debt = f"GET /risk-service/runs/{RUN_ID}", f"GET /debt-service/runs/{RUN_ID}"
    return {
        "GET /risk-service/runs": a_page(a_run(), a_completed_run(LAST_ID)),
        risk: a_run(),
        f"{risk}/batches": some_stretches(),
        f"{risk}/exclusions": a_page({"debtor_id": 5, "reason": "COVERED", "hold_id": None, "lead_debtor_id": 7}),
        f"{risk}/compare": a_comparison(),
        debt: a_report(state="processing", debtors_processed=500),
        f"{debt}/decisions": a_page(a_decision()),
        f"{debt}/skips": a_page(a_skip()),
        f"{debt}/errors": a_page(an_error()),
        "GET /risk-service/policies": a_page(a_policy()),
        "GET /risk-service/runs/preview": a_preview(),
    }


def a_policy(**changes: Any) -> dict[str, Any]:
    """The policy of the installation."""
    return {
        **POLICY,
        "state": "built-in",
        "portfolios": ["default"],
        "uploaded_by": None,
        "uploaded_at": None,
    } | changes
