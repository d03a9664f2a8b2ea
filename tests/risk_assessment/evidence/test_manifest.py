"""The manifest of a run: every hash is the one that its description gives, on every database."""

from typing import Any

import pytest
from tests.risk_assessment.builders import (
    NOON,
    a_registry,
    accept_run,
    add_debtor,
    generate_debtors,
)
from tests.risk_assessment.evidence.books import a_whole_book
from tests.risk_assessment.evidence.manifests import manifest_hash, order_hash, snapshot_hash
from tests.risk_assessment.exclusions.eligibility import outcome
from tests.risk_assessment.exclusions.test_eligibility import as_sent
from tests.risk_assessment.planned import a_planned_run, run_row

from recovery_core.policies.builtin import built_in_policy
from risk_assessment.evidence import queries
from risk_assessment.evidence.queries import RunNotPlannedError
from service_kit.database.engine import Database

FIXED = "8f86f1daf58b0722e852f16c09768a564240de328b7679978957bccfa44208bf"


def manifest_of(database: Database, run_id: str) -> dict[str, Any]:
    run = run_row(database, run_id)
    with database.read() as connection:
        return queries.manifest(connection, run, a_registry().scorer(connection, run.policy_id).policy)


@pytest.mark.parametrize("options", [{}, {"limit": 9, "unit": "account", "filters": {"min_debt": 400_000}}], ids=str)
def test_the_hashes_are_those_that_the_description_gives(
    database: Database, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr("risk_assessment.debtors.queries.CHUNK", 7)
    rows, placed = a_whole_book(database)
    expected = outcome(rows, placed, NOON, **options)
    high = [entry for entry in expected.order if entry[0] > 20_000_000]
    policy = built_in_policy("standard")

    run_id = a_planned_run(database, batch_size=9, threshold="200000.00", **as_sent(options))

    made_of = {
        "policy": {"name": "standard", "version": policy.version, "hash": policy.hash},
        "objective": "score_times_debt",
        "unit": options.get("unit", "person"),
        "options": {
            "batch_size": 9,
            "threshold": "200000.00",
            "limit": options.get("limit"),
            "filters": as_sent(options).get("filters"),
        },
        "capacities": None,
        "snapshot_hash": snapshot_hash(rows, placed, NOON),
        "lanes": {
            "high": {"debtors": len(high), "order_hash": order_hash(high)},
            "standard": {
                "debtors": len(expected.order) - len(high),
                "order_hash": order_hash(expected.order[len(high) :]),
            },
        },
        "excluded": expected.counts,
    }
    shown = manifest_of(database, run_id)
    assert {name: shown[name] for name in made_of} == made_of
    assert shown["manifest_hash"] == run_row(database, run_id).manifest_hash == manifest_hash(made_of)
    assert (shown["run_id"], shown["as_of"]) == (run_id, NOON)
    assert shown["code_version"]


def test_a_fixed_portfolio_has_a_fixed_hash(sqlite: Database) -> None:
    """The same on every Python and machine: what an earlier version hashed is hashed alike."""
    generate_debtors(sqlite, 25, seed=4)

    assert manifest_of(sqlite, a_planned_run(sqlite))["manifest_hash"] == FIXED


def test_a_run_without_a_plan_has_no_manifest(sqlite: Database) -> None:
    add_debtor(sqlite)

    with pytest.raises(RunNotPlannedError):
        manifest_of(sqlite, accept_run(sqlite))
