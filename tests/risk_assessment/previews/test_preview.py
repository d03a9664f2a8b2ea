"""A preview shows what a run would do, and changes nothing."""

from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import debtor_rows, every_row, generate_debtors
from tests.risk_assessment.planned import plan
from tests.risk_assessment.responses import created, problem_of, shown


@pytest.fixture(scope="module")
def book(api: Api) -> str:
    """A portfolio that no test changes."""
    generate_debtors(api.database, 60, portfolio="runs-book")
    return "runs-book"


def start(api: Api, portfolio: str, **options: Any) -> dict[str, Any]:
    return created(api.post("/runs", json={"portfolio": portfolio} | options))


def preview(api: Api, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = shown(api.get("/runs/preview", params=query))
    return found


def test_a_preview_shows_who_would_come_first(api: Api, book: str) -> None:
    rows = {row["id"]: row for row in debtor_rows(api.database, book)}
    ranking = independent.ranking(rows.values())
    threshold = ranking[20][0]

    found = preview(api, portfolio=book, threshold=independent.money(threshold))

    assert {"ranked", "lanes", "excluded", "top"} <= set(found)
    assert found["ranked"] == len(ranking)
    assert found["lanes"] == {"high": 20, "standard": len(ranking) - 20}
    assert found["excluded"] == {"PAID": len(rows) - len(ranking)}
    assert [line["rank"] for line in found["top"]] == list(range(1, 11))
    for line, (priority, debtor_id) in zip(found["top"], ranking[:10], strict=True):
        row = rows[debtor_id]
        assert line == {
            "rank": line["rank"],
            "debtor_id": debtor_id,
            "name": row["name"],
            "lane": "high",
            "priority": independent.money(priority),
            "total_score": independent.score(row),
            "risk_level": independent.level(independent.score(row)),
            "total_debt_amount": independent.money(row["total_debt_amount"]),
        }


@pytest.mark.parametrize("top_k", [1, 25, 500])
def test_a_preview_shows_as_many_as_asked_for(api: Api, book: str, top_k: int) -> None:
    ranking = independent.ranking(debtor_rows(api.database, book))

    found = preview(api, portfolio=book, top_k=top_k, threshold=independent.money(ranking[9][0]))

    assert [line["debtor_id"] for line in found["top"]] == [one for _, one in ranking[:top_k]]
    assert [line["lane"] for line in found["top"]] == (["high"] * 9 + ["standard"] * 500)[: len(found["top"])]


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 7},
        {"policy": "classic"},
        {"risk_level": ["HIGH", "CRITICAL"]},
        {"payment_status": "PARTIAL", "min_debt": 100, "max_debt": "99999.99"},
        {"capacities": {"AGENT_CALL": 2, "LEGAL_REVIEW": 0}, "limit": 9},
    ],
    ids=str,
)
def test_a_preview_says_what_the_run_then_does(api: Api, book: str, options: dict[str, Any]) -> None:
    room = [f"{action}:{count}" for action, count in options.get("capacities", {}).items()]
    asked = {name: value for name, value in options.items() if name != "capacities"}
    found = preview(api, portfolio=book, **asked, capacity=room)
    filters = {name: value for name, value in asked.items() if name not in ("limit", "policy")}
    if isinstance(filters.get("payment_status"), str):
        filters["payment_status"] = [filters["payment_status"]]
    rest = {name: value for name, value in options.items() if name in ("limit", "policy", "capacities")}
    run = start(api, book, **rest, filters=filters or None)

    plan(api.database, run["id"])

    planned = shown(api.get(f"/runs/{run['id']}"))
    assert (found["ranked"], found["lanes"]["high"]) == (planned["debtors_ranked"], planned["debtors_high"])
    assert found["excluded"] == planned["excluded"]
    assert found["policy"] == planned["policy"]
    assert found["capacities"] == planned["capacities"] == options.get("capacities")


def test_a_preview_changes_nothing(api: Api, book: str) -> None:
    def kept() -> dict[str, Any]:
        return {name: rows for name, rows in every_row(api.database).items() if name != "audit_records"}

    before = kept()

    preview(api, portfolio=book)
    preview(api, portfolio=book, policy="classic", limit=3)
    problem_of(api.get("/runs/preview", params={"portfolio": "empty"}), 404)

    assert kept() == before
