"""An explanation says what brute force says, for every debtor of a portfolio, ranked or left out."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, update
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, accept_run, add_debtor, change_debtor, generate_debtors
from tests.risk_assessment.evidence.books import a_whole_book
from tests.risk_assessment.evidence.places import least_debt_to_pass, moved, rank_among
from tests.risk_assessment.exclusions.eligibility import Left, outcome
from tests.risk_assessment.exclusions.test_eligibility import as_sent
from tests.risk_assessment.planned import a_planned_run, batches_of, order_of, run_row

from risk_assessment.debtors import service as debtors
from risk_assessment.evidence.explaining import DebtorNotInRunError, explain
from risk_assessment.evidence.order import PlanErasedError
from risk_assessment.evidence.queries import InputsErasedError, RunNotPlannedError
from risk_assessment.tables import assessments, run_entries, run_holds, run_snapshots, runs
from service_kit.database.engine import Database

OPTIONS: list[dict[str, Any]] = [
    {},
    {"policy": "classic", "unit": "account", "limit": 20},
    {"filters": {"risk_level": ["MEDIUM", "HIGH"], "min_debt": 400_000}, "limit": 9},
    {"filters": {"payment_status": ["PAID"]}},
]


def explained(database: Database, run_id: str, debtor_id: int) -> dict[str, Any]:
    run = run_row(database, run_id)
    with database.read() as connection:
        return explain(connection, run, a_registry().scorer(connection, run.policy_id), debtor_id)


def test_every_place_is_explained_as_brute_force_does(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.evidence.order.FIRST_LOOKS", 3)
    monkeypatch.setattr("risk_assessment.debtors.queries.CHUNK", 7)
    rows, placed = a_whole_book(database)
    by_id = {row["id"]: row for row in rows}
    for options in OPTIONS:
        policy = options.get("policy", "standard")
        expected = outcome(rows, placed, NOON, **options)
        run_id = a_planned_run(database, batch_size=4, threshold="200000.00", **as_sent(options))

        places = places_in_batches(database, run_id)
        for rank, (priority, debtor_id) in enumerate(expected.order, start=1):
            shown = explained(database, run_id, debtor_id)
            row = by_id[debtor_id]
            assert (shown["outcome"], shown["rank"], shown["of"]) == ("ranked", rank, len(expected.order))
            assert shown["priority"] == independent.money(priority)
            assert (shown["lane"], shown["batch_sequence"], shown["position"]) == places[debtor_id]
            assert shown["total_score"] == independent.score(row, policy)
            assert adjacent(shown) == around(expected.order, rank)
            assert shown["debt_to_pass_above"] == passing(expected.order, rank, shown["total_score"])
            if rank % 5 == 1:
                assert shown["moves"] == all_moves(row, policy, expected.order)
        for left in expected.left:
            assert why(explained(database, run_id, left.debtor_id)) == (
                left.reason,
                f"hold-{left.hold}" if left.hold else None,
                left.lead,
            )


def why(shown: dict[str, Any]) -> tuple[str, str | None, int | None]:
    assert shown["outcome"] == "excluded"
    nowhere = ("rank", "lane", "batch_sequence", "position", "above", "below", "debt_to_pass_above")
    assert all(shown[name] is None for name in nowhere)
    return str(shown["reason"]), shown["hold_id"], shown["lead_debtor_id"]


def adjacent(shown: dict[str, Any]) -> list[tuple[int, str, str] | None]:
    return [
        None if one is None else (one["debtor_id"], one["priority"], one["difference"])
        for one in (shown["above"], shown["below"])
    ]


def around(order: list[tuple[int, int]], rank: int) -> list[tuple[int, str, str] | None]:
    priority = order[rank - 1][0]
    return [
        (other[1], independent.money(other[0]), independent.money(abs(other[0] - priority)))
        if 0 <= at < len(order) and (other := order[at])
        else None
        for at in (rank - 2, rank)
    ]


def passing(order: list[tuple[int, int]], rank: int, score: int) -> str | None:
    if rank == 1:
        return None
    debt = least_debt_to_pass(score, order[rank - 1][1], order[rank - 2])
    return None if debt is None or debt > 999_999_999_999 else independent.money(debt)


def all_moves(row: dict[str, Any], policy: str, order: list[tuple[int, int]]) -> list[dict[str, Any]]:
    found = []
    for factor, value, changed in moved(row, policy):
        score = independent.score(changed, policy)
        priority = score * row["total_debt_amount"]
        found.append(
            {
                "factor": factor,
                "value": value,
                "total_score": score,
                "risk_level": independent.level(score, policy),
                "priority": independent.money(priority),
                "rank": rank_among(order, priority, row["id"]),
            }
        )
    return found


def places_in_batches(database: Database, run_id: str) -> dict[int, tuple[str, int, int]]:
    return {
        debtor_id: (batch.lane, batch.sequence, position)
        for batch in batches_of(database, run_id)
        for position, (_, debtor_id, _) in enumerate(batch.entries)
    }


def test_factors_show_the_facts_that_they_saw(sqlite: Database) -> None:
    debtor_id = add_debtor(sqlite, total_debt_amount="1000.00", monthly_income="600.00", late_payments_count=3)

    shown = explained(sqlite, a_planned_run(sqlite), debtor_id)

    assert shown["factors"]["debt_ratio"] == {"value": "1.67", "points": 5, "weight": 9, "contribution": 45}
    assert shown["factors"]["payment_history"]["value"] == 3
    assert shown["factors"]["employment_status"]["value"] == "EMPLOYED"
    assert sum(factor["contribution"] for factor in shown["factors"].values()) == shown["total_score"]
    assert Decimal(shown["priority"]) == shown["total_score"] * Decimal(shown["total_debt_amount"])


def test_a_debtor_without_income_has_no_ratio(sqlite: Database) -> None:
    debtor_id = add_debtor(sqlite, monthly_income="0.00")

    shown = explained(sqlite, a_planned_run(sqlite), debtor_id)

    assert shown["factors"]["debt_ratio"]["value"] is None
    assert "no_income" not in [move["value"] for move in shown["moves"]]


def test_a_debt_beyond_every_amount_passes_no_one(sqlite: Database) -> None:
    best = {"employment_status": "GOVERNMENT_EMPLOYED", "industry_sector": "GOVERNMENT", "late_payments_count": 0}
    add_debtor(sqlite, total_debt_amount="9999999999.99", monthly_income="1.00", late_payments_count=9)
    low = add_debtor(sqlite, total_debt_amount="1.00", monthly_income="5000.00", **best)

    assert explained(sqlite, a_planned_run(sqlite), low)["debt_to_pass_above"] is None


def test_what_became_of_the_debtors_since_changes_no_explanation(database: Database) -> None:
    rows = generate_debtors(database, 40)
    run_id = a_planned_run(database, batch_size=6, limit=20)
    ids = [row["id"] for row in rows]
    before = [explained(database, run_id, one) for one in ids]

    for row in rows[::3]:
        change_debtor(database, row["id"], total_debt_amount=1, late_payments_count=99)
    for row in rows[1::3]:
        database.transact(lambda c, gone=row["id"]: debtors.remove(c, gone, NOON))
    newcomer = add_debtor(database)

    assert [explained(database, run_id, one) for one in ids] == before
    with pytest.raises(DebtorNotInRunError):
        explained(database, run_id, newcomer)


def test_a_run_of_the_version_before_is_explained_from_the_history_it_left(sqlite: Database) -> None:
    rows, placed = a_whole_book(sqlite)
    options: dict[str, Any] = {"filters": {"min_debt": 300_000}, "limit": 15}
    run_id = a_planned_run(sqlite, batch_size=4, **as_sent(options))
    expected = outcome(rows, placed, NOON, **options)
    before = {row["id"]: explained(sqlite, run_id, row["id"]) for row in rows}
    forget_what_the_version_before_did_not_record(sqlite, run_id)

    for row in rows[::4]:
        change_debtor(sqlite, row["id"], name="Another name")

    assert {one: explained(sqlite, run_id, one) for one in before} == before
    assert {left.reason for left in expected.left} >= {"FILTERED", "LIMIT", "COVERED", "PAID"}


def forget_what_the_version_before_did_not_record(database: Database, run_id: str) -> None:
    number = run_row(database, run_id).number
    with database.write() as connection:
        for table in (run_snapshots, run_holds):
            connection.execute(delete(table).where(table.c.run_number == number))
        gone = dict.fromkeys(("snapshot_hash", "order_hash_high", "order_hash_standard", "code_version"))
        connection.execute(update(runs).where(runs.c.number == number).values(**gone))


def test_a_run_without_a_plan_explains_nothing(sqlite: Database) -> None:
    debtor_id = add_debtor(sqlite)

    with pytest.raises(RunNotPlannedError, match="accepted"):
        explained(sqlite, accept_run(sqlite), debtor_id)


def test_deleted_history_is_named_as_such(sqlite: Database) -> None:
    rows = generate_debtors(sqlite, 30)
    run_id = a_planned_run(sqlite, batch_size=6)
    [ranked, *_] = [one for _, one in order_of(sqlite, run_id)]
    with sqlite.write() as connection:
        connection.execute(delete(assessments).where(assessments.c.debtor_id == ranked))

    with pytest.raises(InputsErasedError, match=f"debtor {ranked}"):
        explained(sqlite, run_id, ranked)

    other = next(row["id"] for row in rows if row["id"] != ranked)
    with sqlite.write() as connection:
        connection.execute(delete(run_entries))
    with pytest.raises(PlanErasedError):
        explained(sqlite, run_id, other)


def test_every_reason_of_the_oracle_is_an_exclusion(sqlite: Database) -> None:
    rows, placed = a_whole_book(sqlite)
    found = [outcome(rows, placed, NOON, **options) for options in OPTIONS]
    assert {left.reason for one in found for left in one.left if isinstance(left, Left)} >= {"NOT_SCORABLE", "LIMIT"}
