"""What the APIs answer, with honest defaults, so that a test shows only what matters to it."""

from typing import Any

NOW = "2026-03-01T09:30:00Z"
POLICY = {"name": "standard", "version": 1, "hash": "5" * 64}


def a_portfolio(name: str = "default", **changes: Any) -> dict[str, Any]:
    """A portfolio in euros."""
    return {
        "name": name,
        "currency": "EUR",
        "time_zone": "Europe/Paris",
        "jurisdiction": "EU",
        "attributes": {},
        "active_policy": POLICY,
        "debtors": 3,
        "created_at": NOW,
        "updated_at": NOW,
    } | changes


def an_assessment(**changes: Any) -> dict[str, Any]:
    """An assessment under `standard` with one reason."""
    factor = {"points": 7, "weight": 9, "contribution": 63}
    return {
        "total_score": 303,
        "risk_percentage": 77.69,
        "risk_level": "HIGH",
        "factors": {"debt_ratio": factor, "payment_history": factor},
        "reasons": [{"code": "PAYMENT_HISTORY", "text": "4 late payments", "contribution": 27}],
        "policy": POLICY,
        "assessed_at": NOW,
    } | changes


def a_debtor(debtor_id: int = 7, **changes: Any) -> dict[str, Any]:
    """A debtor who owes 33,267.16."""
    return {
        "id": debtor_id,
        "portfolio": "default",
        "external_ref": f"ACC-{debtor_id}",
        "person_ref": None,
        "name": f"Debtor {debtor_id}",
        "total_debt_amount": "33267.16",
        "monthly_income": "2100.00",
        "late_payments_count": 4,
        "employment_status": "SELF_EMPLOYED",
        "contract_type": "FREELANCE",
        "industry_sector": "HOSPITALITY",
        "family_situation": None,
        "attributes": {},
        "payment_status": "UNPAID",
        "priority": "10079949.48",
        "assessment": an_assessment(),
        "created_at": NOW,
        "updated_at": NOW,
        "version": 1,
    } | changes


def a_page(*items: Any, next_cursor: str | None = None) -> dict[str, Any]:
    """A page of a list."""
    return {"items": list(items), "next_cursor": next_cursor}


def a_rank(debtor_id: int, rank: int | None, **changes: Any) -> dict[str, Any]:
    """The rank of a debtor among three."""
    return {
        "debtor_id": debtor_id,
        "portfolio": "default",
        "rank": rank,
        "of": 3,
        "priority": "10079949.48",
        "reason": None,
        "as_of": NOW,
    } | changes


def an_exposure(debtors: int = 1, debt: str = "33267.16") -> dict[str, Any]:
    """How many, and how much they owe."""
    return {"debtors": debtors, "debt": debt}


def a_summary(**changes: Any) -> dict[str, Any]:
    """A portfolio of three debtors: two can be ranked."""
    return {
        "portfolio": "default",
        "as_of": NOW,
        "currency": "EUR",
        "debtors": 3,
        "debt": "99801.48",
        "by_level": {level: an_exposure() for level in ("LOW", "MEDIUM", "HIGH")}
        | {"CRITICAL": an_exposure(0, "0.00")},
        "by_payment_status": {
            "UNPAID": an_exposure(2, "66534.32"),
            "PARTIAL": an_exposure(0, "0.00"),
            "PAID": an_exposure(),
        },
        "on_hold": {},
        "rankable": 2,
        "excluded": {"PAID": 1},
        "score_histogram": [
            {"from": 0, "to": 195, **an_exposure()},
            {"from": 196, "to": 390, **an_exposure(2, "66534.32")},
        ],
    } | changes


def a_concentration(**changes: Any) -> dict[str, Any]:
    """The top x percent of two debtors: one holds 70 %."""
    points = [
        {
            "top_percent": percent,
            "debtors": 1 if percent <= 50 else 2,
            "debt": "46574.02" if percent <= 50 else "66534.32",
            "debt_share_percent": "70.00" if percent <= 50 else "100.00",
            "priority": f"{20000 - percent}.00",
        }
        for percent in range(1, 101)
    ]
    return {"portfolio": "default", "as_of": NOW, "points": points} | changes


def some_queues(dead: int = 0, waiting: int = 0) -> dict[str, Any]:
    """The depth of both lanes; the dead letters are of the high one."""
    return {
        "lanes": [
            {
                "lane": lane,
                "queue": f"debt-batches-{lane}",
                "waiting": waiting,
                "in_flight": 0,
                "dead": dead if lane == "high" else 0,
                "oldest_seconds": None,
            }
            for lane in ("high", "standard")
        ]
    }


def a_book() -> dict[str, Any]:
    """The answers of both APIs about a portfolio of three debtors: two are ranked, one has paid."""
    debtors = [a_debtor(7), a_debtor(8), a_debtor(9, payment_status="PAID")]
    return {
        "GET /risk-service/portfolios": a_page(a_portfolio()),
        "GET /risk-service/portfolios/default": a_portfolio(),
        "GET /risk-service/portfolios/default/summary": a_summary(),
        "GET /risk-service/portfolios/default/concentration": a_concentration(),
        "GET /risk-service/debtors": a_page(*debtors),
        "GET /risk-service/debtors/7/rank": a_rank(7, 1),
        "GET /risk-service/debtors/8/rank": a_rank(8, 2),
        "GET /risk-service/runs": a_page(),
        "GET /risk-service/holds": a_page(),
        "GET /debt-service/queues": some_queues(),
        "GET /debt-service/workers": {"items": []},
    }
