"""A simulation says what runs would do: as an oracle in plain Python, and as the preview, with and without numpy."""

from random import Random
from types import ModuleType
from typing import Any

import pytest
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, debtor_rows, every_row
from tests.risk_assessment.exclusions.eligibility import Placed
from tests.risk_assessment.exclusions.judges import COSTS, RATES, ROWS, PlainJudge
from tests.risk_assessment.exclusions.test_eligibility import a_random_book
from tests.risk_assessment.simulations.oracle import a_report

from recovery_core.policies.builtin import built_in_policy
from recovery_core.scoring.scorer import scorer_for
from recovery_core.simulation import columns, vectors
from risk_assessment.exclusions.selection import Selection
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.previews.preview import Preview
from risk_assessment.runs.tables import Unit
from risk_assessment.simulations import queries, service
from risk_assessment.simulations.schemas import SimulationIn
from risk_assessment.simulations.simulating import simulate
from service_kit.database.engine import Database

THRESHOLD = 200_000_00
BOTH_WAYS = pytest.mark.parametrize("by", [columns, vectors], ids=["plain", "numpy"])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.debtors.queries.CHUNK", 7)


def simulated(database: Database, **options: Any) -> dict[str, Any]:
    return simulated_by(database, a_registry(), **{"threshold": "200000.00"} | options)


def simulated_by(database: Database, registry: PolicyRegistry, **options: Any) -> dict[str, Any]:
    body = SimulationIn.model_validate(options)
    simulation_id = database.transact(lambda c: service.accept(c, body, registry, NOON))
    with database.read() as connection:
        row = queries.read(connection, simulation_id)
        return simulate(connection, row, registry, NOON, lambda *_: None)


@pytest.mark.parametrize("seed", range(2))
def test_the_report_is_what_an_oracle_finds(database: Database, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    placed = a_random_book(database, Random(seed))
    rows = debtor_rows(database, "default")

    for proposed, unit, top_k in (("classic", "person", 10), ("classic", "account", 30), ("standard", "person", 5)):
        expected = expected_report(rows, placed, proposed, unit, top_k)
        for by in (columns, vectors):
            use(monkeypatch, by)
            found = simulated(database, policy=proposed, unit=unit, top_k=top_k)

            assert {name: found[name] for name in expected} == expected, (by.__name__, unit)
            assert {name: list(found["excluded"][name]) for name in ("today", "proposed")} == {
                name: list(expected["excluded"][name]) for name in ("today", "proposed")
            }


def test_the_books_have_what_they_are_about(sqlite: Database) -> None:
    placed = a_random_book(sqlite, Random(0))

    found = expected_report(debtor_rows(sqlite, "default"), placed, "classic", "person", 10)

    assert found["top_k"]["entered"]
    assert {"PAID", "COVERED"} <= set(found["excluded"]["today"]) < set(found["excluded"]["proposed"])
    assert any(mover["rank_proposed"] is None for mover in found["movers"])
    assert len([level for row in found["levels"].values() for level in row]) > len(found["levels"])


def expected_report(
    rows: list[dict[str, Any]], placed: list[Placed], proposed: str, unit: str, top_k: int
) -> dict[str, Any]:
    policies = "standard", proposed
    treatments = tuple(built_in_policy(name).document["treatment"] for name in policies)
    return a_report(rows, placed, policies, treatments, threshold=THRESHOLD, top_k=top_k, unit=unit)  # type: ignore[arg-type]


def test_objectives_and_capacities_are_those_of_a_run(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = a_random_book(database, Random(4))
    rows, treatment = debtor_rows(database, "default"), built_in_policy("standard").document["treatment"]
    today = PlainJudge("standard", "score_times_debt", treatment, THRESHOLD)
    effort = PlainJudge("mine", {"kind": "value_per_effort", "rate_bp": RATES, "cost": COSTS}, ROWS, THRESHOLD)
    capacities = {"AGENT_CALL": 9, "PAYMENT_PLAN_OFFER": 3, "LEGAL_REVIEW": 0}

    expected = a_report(
        rows,
        placed,
        ("standard", "standard"),
        (treatment, ROWS),
        threshold=THRESHOLD,
        top_k=12,
        unit="person",
        judges=(today, effort),
        capacities=capacities,
    )
    assert {"CAPACITY_AGENT_CALL", "COVERED"} <= set(expected["excluded"]["proposed"])
    for by in (columns, vectors):
        use(monkeypatch, by)
        found = simulated(database, policy=effort.document, top_k=12, capacities=capacities)
        assert {name: found[name] for name in expected} == expected, by.__name__


def use(monkeypatch: pytest.MonkeyPatch, by: ModuleType) -> None:
    monkeypatch.setattr("recovery_core.simulation.report.arithmetic", lambda: by)


@BOTH_WAYS
@pytest.mark.parametrize(("unit", "capacities"), [(Unit.PERSON, None), (Unit.ACCOUNT, {"AGENT_CALL": 20})])
def test_the_active_policy_changes_nothing_and_is_the_preview(
    database: Database, monkeypatch: pytest.MonkeyPatch, by: ModuleType, unit: Unit, capacities: dict[str, int] | None
) -> None:
    use(monkeypatch, by)
    a_random_book(database, Random(3))

    found = simulated(database, policy="standard", unit=unit.value, top_k=20, capacities=capacities)

    with database.read() as connection:
        policy = a_registry().active(connection, "default")
        policy_id = a_registry().find_id(connection, policy)
        selection = Selection("default", policy_id, scorer_for(policy), unit=unit)
        preview = Preview(database, connection, selection, THRESHOLD, NOON).show(20, None, capacities)
    for side in ("today", "proposed"):
        assert found["lanes"][side] == preview["lanes"]
        assert list(found["excluded"][side].items()) == list(preview["excluded"].items())
        assert sum(level["debtors"] for level in found["exposure"][side].values()) == preview["ranked"]
    assert found["movers"] == []
    assert (found["top_k"]["stayed"], found["top_k"]["entered"], found["top_k"]["left"]) == (20, 0, 0)
    assert found["today"] == policy.ref.model_dump()


@BOTH_WAYS
def test_an_empty_portfolio_has_an_empty_report(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, by: ModuleType
) -> None:
    use(monkeypatch, by)
    add_debtor(sqlite, portfolio="other")

    found = simulated(sqlite, policy="classic")

    assert (found["debtors"], found["levels"], found["movers"]) == (0, {}, [])
    assert found["exposure"] == {"today": {}, "proposed": {}}


def test_a_simulation_writes_nothing(sqlite: Database) -> None:
    a_random_book(sqlite, Random(1))
    before = every_row(sqlite)

    simulated(sqlite, policy="classic")

    after = every_row(sqlite)
    assert len(after.pop("simulations")) == 1
    assert after == {name: rows for name, rows in before.items() if name != "simulations"}
