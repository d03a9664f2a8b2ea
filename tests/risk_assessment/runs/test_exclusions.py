"""Each debtor of a portfolio is ranked or counted under one reason, by a run and by its preview alike."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import not_
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, accept_run, change_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.exclusions.eligibility import KINDS, ORDER
from tests.risk_assessment.planned import a_planned_run, order_of, plan, run_row, run_view
from tests.risk_assessment.runs.books import a_book, a_book_of_two_policies, a_middle_threshold

from recovery_core.holds import HoldKind
from recovery_core.ranking.exclusions import Excluded, Exclusion, held
from risk_assessment.exclusions.selection import Selection, selection_of
from risk_assessment.previews.preview import Preview
from risk_assessment.runs.ranking import CountsDifferError, check_counts
from service_kit.database.engine import Database

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")


def reason_of(row: dict[str, Any], filters: dict[str, Any], policy: str = "standard") -> str | None:
    """Return why a run leaves the debtor out, None when the debtor is eligible."""
    if row["payment_status"] == "PAID":
        return "PAID"
    if policy == "classic" and row["family_situation"] is None:
        return "NOT_SCORABLE"
    debt = row["total_debt_amount"] / 100
    if not float(filters.get("min_debt", 0)) <= debt <= float(filters.get("max_debt", 1e12)):
        return "FILTERED"
    if row["payment_status"] not in filters.get("payment_status", ("UNPAID", "PARTIAL")):
        return "FILTERED"
    level = independent.level(independent.score(row, policy), policy)
    return None if level in filters.get("risk_level", LEVELS) else "FILTERED"


def previewed(database: Database, run_id: str, limit: int | None = None) -> dict[str, Any]:
    """Return the preview of what a run is about."""
    run = run_row(database, run_id)
    with database.read() as connection:
        selection = selection_of(run, a_registry().scorer(connection, run.policy_id))
        return Preview(database, connection, selection, run.threshold, NOON).show(10, limit)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"limit": 20},
    {"limit": 100_000},
    {"filters": {"risk_level": ["HIGH", "CRITICAL"]}},
    {"filters": {"payment_status": ["PARTIAL"]}},
    {"filters": {"payment_status": ["PAID"]}},
    {"filters": {"payment_status": ["PAID", "UNPAID"]}},
    {"filters": {"min_debt": "5000.00"}, "limit": 5},
    {"filters": {"max_debt": 5000, "risk_level": ["LOW", "MEDIUM"]}},
    {"filters": {"min_debt": 5000, "max_debt": 4999}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_ranked_and_excluded_debtors_are_the_portfolio(database: Database, options: dict[str, Any]) -> None:
    rows = a_book(database)
    paid = sum(row["payment_status"] == "PAID" for row in rows)
    wanted = independent.ranking(row for row in rows if reason_of(row, options.get("filters", {})) is None)
    limit = options.get("limit", len(rows))

    run_id = a_planned_run(database, **options)

    run = run_row(database, run_id)
    assert order_of(database, run_id) == wanted[:limit]
    excluded = run_view(database, run_id)["excluded"]
    expected = {
        "PAID": paid,
        "FILTERED": len(rows) - paid - len(wanted),
        "LIMIT": max(0, len(wanted) - limit),
    }
    assert excluded == {reason: count for reason, count in expected.items() if count}
    assert sum(excluded.values()) + run.debtors_ranked == len(rows)
    shown = previewed(database, run_id, options.get("limit"))
    assert shown["excluded"] == excluded
    assert (shown["ranked"], shown["lanes"]["high"]) == (run.debtors_ranked, run.debtors_high)
    assert [line["debtor_id"] for line in shown["top"]] == [one for _, one in wanted[:limit][:10]]


FILTERS: list[dict[str, Any]] = [
    {},
    {"risk_level": ["MEDIUM"]},
    {"risk_level": ["LOW", "HIGH"]},
    {"payment_status": ["PARTIAL"]},
    {"payment_status": ["PAID"]},
    {"min_debt": "9000.00"},
    {"max_debt": "9000.00"},
    {"min_debt": 3000, "max_debt": 20000, "payment_status": ["UNPAID"], "risk_level": ["MEDIUM", "HIGH"]},
]


@pytest.mark.parametrize("policy", ["standard", "classic"])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_each_excluded_debtor_has_one_reason_whichever_policy_scored_it(
    database: Database, filters: dict[str, Any], policy: str
) -> None:
    rows = a_book_of_two_policies(database)
    reasons = Counter(reason_of(row, filters, policy) for row in rows)
    eligible = reasons.pop(None, 0)
    assert len({row["policy_id"] for row in rows}) == 2
    assert policy == "standard" or reasons["NOT_SCORABLE"] > 0

    run_id = a_planned_run(database, policy=policy, filters=filters or None)

    run = run_view(database, run_id)
    assert run["excluded"] == reasons
    assert run["debtors_ranked"] == eligible == len(rows) - reasons.total()
    shown = previewed(database, run_id)
    assert (shown["ranked"], shown["excluded"]) == (eligible, reasons)


def test_the_reasons_are_in_the_order_of_the_design() -> None:
    assert tuple(reason.value for reason in Exclusion) == ORDER


def test_each_kind_of_hold_has_its_reason() -> None:
    assert [held(kind).value for kind in HoldKind] == [f"HOLD_{kind}" for kind in KINDS]


@pytest.mark.parametrize("total", [99, 101])
def test_counts_that_do_not_add_up_are_an_error(total: int) -> None:
    excluded = Excluded(records=False)
    excluded.count(Exclusion.PAID, 20)

    check_counts(80, excluded, 100)
    with pytest.raises(CountsDifferError, match=f"80 eligible and 20 excluded debtors are not the {total} there are"):
        check_counts(80, excluded, total)


@pytest.mark.parametrize("act", [plan, previewed], ids=["run", "preview"])
def test_a_run_whose_counts_differ_is_neither_planned_nor_shown(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, act: Callable[[Database, str], Any]
) -> None:
    generate_debtors(sqlite, 20)
    run_id = accept_run(sqlite, policy="classic", filters={"payment_status": ["PARTIAL"]})
    # Ranks those, too, who have paid.
    monkeypatch.setattr(Selection, "is_stale", lambda self: not_(self.is_scored()))
    assert any(row["payment_status"] == "PAID" for row in debtor_rows(sqlite))

    with pytest.raises(CountsDifferError):
        act(sqlite, run_id)

    assert run_view(sqlite, run_id)["debtors_ranked"] is None


def test_another_portfolio_is_neither_ranked_nor_excluded(database: Database) -> None:
    generate_debtors(database, 5, portfolio="other")
    mine = generate_debtors(database, 5)

    run_id = a_planned_run(database)

    assert order_of(database, run_id) == independent.ranking(mine)
    assert sum(run_view(database, run_id)["excluded"].values()) + len(order_of(database, run_id)) == 5


def without_families(database: Database, rows: list[dict[str, Any]], every: int) -> list[dict[str, Any]]:
    for row in rows[::every]:
        change_debtor(database, row["id"], family_situation=None)
    return debtor_rows(database, "default")


def test_another_policy_than_the_stored_one_scores_on_the_way(database: Database) -> None:
    rows = without_families(database, generate_debtors(database, 60), every=4)
    wanted = independent.ranking(rows, "classic")

    run_id = a_planned_run(database, policy="classic", batch_size=7, threshold=a_middle_threshold(rows, "classic"))

    assert order_of(database, run_id) == wanted
    excluded = run_view(database, run_id)["excluded"]
    workable = [row for row in rows if row["payment_status"] != "PAID"]
    assert excluded["NOT_SCORABLE"] == sum(row["family_situation"] is None for row in workable) > 0
    assert sum(excluded.values()) + len(wanted) == len(rows)


def test_a_filter_by_level_goes_by_the_policy_of_the_run(sqlite: Database) -> None:
    rows = generate_debtors(sqlite, 200)
    critical = [row for row in rows if independent.level(independent.score(row, "classic"), "classic") == "CRITICAL"]

    run_id = a_planned_run(sqlite, policy="classic", filters={"risk_level": ["CRITICAL"]})

    assert order_of(sqlite, run_id) == independent.ranking(critical, "classic")
    assert {row["id"] for row in critical} != {row["id"] for row in rows if row["risk_level"] == "CRITICAL"}
