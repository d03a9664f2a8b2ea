"""Reports against plain Python, to the last cent: books of holds, persons, and debtors of another policy."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from random import Random
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.exclusions.eligibility import KINDS, Outcome, Placed, outcome
from tests.risk_assessment.exclusions.test_eligibility import a_random_book
from tests.risk_assessment.responses import problem_of, shown

from recovery_core.policies.builtin import built_in_policy
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios import queries as portfolios
from risk_assessment.reports import queries, standing
from risk_assessment.reports.concentration import RecentConcentrations, points
from service_kit.database.engine import Database

MONTH = timedelta(days=30)


@pytest.fixture(autouse=True)
def small_amounts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.exclusions.selection.GROUP", 3)
    monkeypatch.setattr("risk_assessment.reports.concentration.PAGE", 7)


def active(policy: str) -> PolicyRegistry:
    """Of the policies one that has scored the stored debtors, or the other, which has not."""
    return a_registry(policy)


def counted(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    debts = [row["total_debt_amount"] for row in rows]
    return {"debtors": len(debts), "debt": independent.money(sum(debts))}


def is_active(hold: Placed) -> bool:
    return (
        hold.starts_at <= NOON
        and (hold.ends_at is None or hold.ends_at > NOON)
        and (hold.ended_at is None or hold.ended_at > NOON)
    )


@pytest.mark.parametrize("policy", ["standard", "classic"])
@pytest.mark.parametrize("seed", range(2))
def test_a_summary_counts_everyone_and_adds_up_every_cent(database: Database, seed: int, policy: str) -> None:
    placed = a_random_book(database, Random(seed))
    rows = debtor_rows(database, "default")
    expected = outcome(rows, placed, NOON, policy=policy)

    with database.read() as connection:
        portfolio = portfolios.read(connection, "default")
        found = queries.summary(database, connection, portfolio, active(policy), NOON)

    histogram = found.pop("score_histogram")
    assert found == {
        "portfolio": "default",
        "as_of": NOON,
        "currency": None,
        **counted(rows),
        "by_level": {
            level: counted(row for row in rows if row["risk_level"] == level)
            for level in ("LOW", "MEDIUM", "HIGH", "CRITICAL")
        },
        "by_payment_status": {
            status: counted(row for row in rows if row["payment_status"] == status)
            for status in ("UNPAID", "PARTIAL", "PAID")
        },
        "on_hold": on_hold(rows, placed),
        "rankable": len(expected.order),
        "excluded": expected.counts,
    }
    assert found["rankable"] + sum(found["excluded"].values()) == found["debtors"]
    for bar in histogram:
        here = [row for row in rows if bar["from"] <= row["total_score"] <= bar["to"]]
        assert {"debtors": bar["debtors"], "debt": bar["debt"]} == counted(here)
    assert [bar["from"] for bar in histogram] == [0, *(bar["to"] + 1 for bar in histogram[:-1])]
    assert sum(bar["debtors"] for bar in histogram) == len(rows)
    assert histogram[-1]["to"] == built_in_policy(policy).max_score


def on_hold(rows: list[dict[str, Any]], placed: list[Placed]) -> dict[str, Any]:
    held = {
        kind: [
            row
            for row in rows
            if any(
                hold.kind == kind
                and is_active(hold)
                and (hold.debtor_id == row["id"] or (hold.person_id is not None and hold.person_id == row["person_id"]))
                for hold in placed
            )
        ]
        for kind in KINDS
    }
    return {kind: counted(of_kind) for kind, of_kind in held.items() if of_kind}


@pytest.mark.parametrize("policy", ["standard", "classic"])
@pytest.mark.parametrize("seed", range(2))
def test_every_debtor_has_its_rank_or_its_reason(database: Database, seed: int, policy: str) -> None:
    placed = a_random_book(database, Random(seed))
    rows = debtor_rows(database, "default")
    expected = outcome(rows, placed, NOON, policy=policy)
    ranks = {debtor_id: rank for rank, (_, debtor_id) in enumerate(expected.order, start=1)}
    reasons = {left.debtor_id: left.reason for left in expected.left}

    with database.read() as connection:
        registry = active(policy)
        found = [standing.rank(database, connection, row["id"], None, registry, NOON) for row in rows]

    assert {one["debtor_id"]: one["rank"] for one in found} == {row["id"]: ranks.get(row["id"]) for row in rows}
    assert {one["debtor_id"]: one["reason"] for one in found} == {row["id"]: reasons.get(row["id"]) for row in rows}
    assert {one["of"] for one in found} == {len(expected.order)}
    priorities = {debtor_id: independent.money(priority) for priority, debtor_id in expected.order}
    assert {one["debtor_id"]: one["priority"] for one in found if one["rank"]} == priorities


def test_debtors_of_equal_priority_rank_by_their_ids(sqlite: Database) -> None:
    ids = [add_debtor(sqlite) for _ in range(4)]

    with sqlite.read() as connection:
        found = [standing.rank(sqlite, connection, one, None, a_registry(), NOON) for one in ids]

    assert [one["rank"] for one in found] == [1, 2, 3, 4]


@pytest.mark.parametrize("policy", ["standard", "classic"])
@pytest.mark.parametrize("seed", range(2))
def test_a_concentration_is_what_the_first_debtors_of_a_run_owe(database: Database, seed: int, policy: str) -> None:
    placed = a_random_book(database, Random(seed))
    rows = debtor_rows(database, "default")
    expected = outcome(rows, placed, NOON, policy=policy)

    with database.read() as connection:
        selection = queries.selection_now(connection, "default", active(policy))
        found = points(database, connection, selection, NOON)

    assert found == [point(percent, expected, rows) for percent in range(1, 101)]


def point(percent: int, expected: Outcome, rows: list[dict[str, Any]]) -> dict[str, Any]:
    debts = {row["id"]: row["total_debt_amount"] for row in rows}
    first = expected.order[: ceil(len(expected.order) * percent / 100)]
    owed, whole = (sum(debts[debtor_id] for _, debtor_id in some) for some in (first, expected.order))
    share = (Decimal(owed) * 100 / Decimal(whole)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return {
        "top_percent": percent,
        "debtors": len(first),
        "debt": independent.money(owed),
        "debt_share_percent": str(share),
        "priority": independent.money(first[-1][0]),
    }


def test_a_portfolio_that_no_one_can_be_ranked_of_has_no_shares(sqlite: Database) -> None:
    add_debtor(sqlite, payment_status="PAID")

    with sqlite.read() as connection:
        selection = queries.selection_now(connection, "default", a_registry())
        found = points(sqlite, connection, selection, NOON)

    empty = {"debtors": 0, "debt": "0.00", "debt_share_percent": "0.00", "priority": None}
    assert found == [{"top_percent": percent, **empty} for percent in range(1, 101)]


def test_a_concentration_is_kept_for_a_minute(sqlite: Database) -> None:
    recent = RecentConcentrations()
    generate_debtors(sqlite, 20)

    def look(seconds: int, portfolio: str = "default") -> dict[str, Any]:
        with sqlite.read() as connection:
            selection = queries.selection_now(connection, portfolio, a_registry())
            return recent.of(sqlite, connection, selection, NOON + timedelta(seconds=seconds))

    first = look(0)
    add_debtor(sqlite, total_debt_amount="90000.00")

    assert look(59) == first
    assert look(59, "another")["points"] != first["points"]
    later = look(60)
    assert later["as_of"] == NOON + timedelta(minutes=1)
    assert later["points"] != first["points"]


def test_reports_over_http(api: Api, portfolio: str) -> None:
    ids = [add_debtor(api.database, portfolio=portfolio, total_debt_amount=f"{n}000.00") for n in range(1, 5)]

    summary = shown(api.get(f"/portfolios/{portfolio}/summary"))
    concentration = shown(api.get(f"/portfolios/{portfolio}/concentration/"))
    ranks = [shown(api.get(f"/debtors/{one}/rank")) for one in ids]

    assert (summary["debtors"], summary["debt"], summary["rankable"]) == (4, "10000.00", 4)
    assert {"from", "to", "debtors", "debt"} == set(summary["score_histogram"][0])
    assert concentration["points"][24] | {"priority": ""} == {
        "top_percent": 25,
        "debtors": 1,
        "debt": "4000.00",
        "debt_share_percent": "40.00",
        "priority": "",
    }
    assert [(one["rank"], one["of"], one["reason"]) for one in ranks] == [(n, 4, None) for n in (4, 3, 2, 1)]
    for path in ("/portfolios/nowhere/summary", "/portfolios/nowhere/concentration", "/debtors/999999999/rank"):
        problem_of(api.get(path), 404)


def test_the_books_have_what_the_reports_are_about(sqlite: Database) -> None:
    placed = a_random_book(sqlite, Random(0))
    rows = debtor_rows(sqlite, "default")
    expected = outcome(rows, placed, NOON)
    owing = defaultdict(int)
    for row in rows:
        owing[row["policy_id"]] += 1

    assert len(owing) > 1
    assert {"PAID", "COVERED"} < expected.counts.keys()
    assert len(on_hold(rows, placed)) > 3
