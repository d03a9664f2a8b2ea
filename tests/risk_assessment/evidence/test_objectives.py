"""Runs by every objective and with capacities are explained as brute force does."""

from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.evidence.books import a_whole_book
from tests.risk_assessment.evidence.manifests import manifest_hash
from tests.risk_assessment.evidence.places import least_debt_to_pass, moved, rank_among
from tests.risk_assessment.exclusions.eligibility import outcome
from tests.risk_assessment.exclusions.test_eligibility import as_sent
from tests.risk_assessment.exclusions.test_worklists import JUDGES, OPTIONS, registry
from tests.risk_assessment.planned import a_planned_run, run_row

from risk_assessment.evidence import queries
from risk_assessment.evidence.explaining import explain
from service_kit.database.engine import Database


@pytest.fixture
def book(sqlite: Database) -> Any:
    return a_whole_book(sqlite, 1, registry=registry, third="effort")


def test_places_follow_the_objective_of_the_run(sqlite: Database, book: Any) -> None:
    rows, placed = book
    by_id = {row["id"]: row for row in rows}
    for options in OPTIONS:
        judge = JUDGES[options["policy"]]
        expected = outcome(rows, placed, NOON, judge=judge, **options)
        threshold = f"{judge.threshold / 100:.2f}"
        run_id = a_planned_run(sqlite, registry(), batch_size=9, threshold=threshold, **as_sent(options))
        run = run_row(sqlite, run_id)

        with sqlite.read() as connection:
            scorer = registry().scorer(connection, run.policy_id)
            manifest = queries.manifest(connection, run, scorer.policy)
            assert manifest["objective"] == judge.document["objective"]
            assert manifest["capacities"] == options.get("capacities")
            assert manifest["manifest_hash"] == manifest_hash(manifest)
            for left in expected.left[::5]:
                assert explain(connection, run, scorer, left.debtor_id)["reason"] == left.reason, options
            for rank, (priority, debtor_id) in list(enumerate(expected.order, start=1))[::4]:
                row, (blocked, _) = by_id[debtor_id], expected.blocked.get(debtor_id, (frozenset(), ""))
                shown = explain(connection, run, scorer, debtor_id)
                assert (shown["rank"], shown["priority"]) == (rank, independent.money(priority)), options
                assert found_moves(shown) == moves(judge, row, blocked, expected.order), options
                assert shown["debt_to_pass_above"] == passing(expected.order, rank, priority, row), options


def found_moves(shown: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["factor"], one["value"], one["priority"], one["rank"]) for one in shown["moves"]]


def moves(judge: Any, row: dict[str, Any], blocked: Any, order: list[tuple[int, int]]) -> list[tuple[Any, ...]]:
    found = []
    for factor, value, changed in moved(row, "standard"):
        priority = judge.priority(changed, blocked)
        found.append((factor, value, independent.money(priority), rank_among(order, priority, row["id"])))
    return found


def passing(order: list[tuple[int, int]], rank: int, priority: int, row: dict[str, Any]) -> str | None:
    if rank == 1:
        return None
    debt = least_debt_to_pass(priority // row["total_debt_amount"], row["id"], order[rank - 2])
    return None if debt is None or debt > 999_999_999_999 else independent.money(debt)
