"""A message has all that a decision needs, nothing personal, and fits into a queue."""

from typing import Any

import orjson
from sqlalchemy import update
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.planned import a_planned_run, batches_of, bodies_of, order_of, received, run_row

from recovery_core.messages.batch import resolve_policy
from recovery_core.messages.entries import ItemError
from recovery_core.messages.wire import MAX_BODY_BYTES
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from risk_assessment.debtors import bulk
from risk_assessment.stops import service as stops
from risk_assessment.tables import runs
from service_kit.database.engine import Database


def test_a_message_says_all_that_a_decision_needs_and_nothing_personal(database: Database) -> None:
    generate_debtors(database, 40)
    add_debtor(database, name="Zelda Unseen", external_ref="SECRET-REF", late_payments_count=4)
    rows = {row["id"]: row for row in debtor_rows(database)}
    run_id = a_planned_run(database, batch_size=7, threshold="250000.00")
    run = run_row(database, run_id)

    order = []
    for batch in batches_of(database, run_id):
        body = bodies_of(database, run_id)[batch.sequence]
        message = received(body)
        header = message.header
        assert "Zelda" not in body
        assert "SECRET" not in body
        assert "family_situation" not in body
        assert header.batch_id == f"{run_id}-{batch.sequence:07d}"
        assert (header.run_id, header.sequence, header.lane) == (run_id, batch.sequence, batch.lane)
        assert (header.portfolio, header.as_of, header.threshold) == ("default", run.as_of, run.threshold)
        assert (header.batches_total, header.debtors_total) == (run.batches_total, run.debtors_ranked)
        assert resolve_policy(header).hash == built_in_policy("standard").hash
        assert header.policy.document is None
        for item in message.items:
            assert not isinstance(item, ItemError)
            row = rows[item["debtor_id"]]
            order.append(item["debtor_id"])
            assert item["priority"] == independent.money(independent.priority(row))
            assert item["total_score"] == independent.score(row)
            assert item["total_debt_amount"] == independent.money(row["total_debt_amount"])
            assert item["monthly_income"] == independent.money(row["monthly_income"])
            for same in ("late_payments_count", "employment_status", "contract_type", "industry_sector"):
                assert item[same] == row[same]  # type: ignore[literal-required]
            assert item["payment_status"] == row["payment_status"]
    assert order == [one for _, one in independent.ranking(rows.values())]


def test_only_a_policy_that_may_use_it_gets_the_family_situation(sqlite: Database) -> None:
    generate_debtors(sqlite, 5)

    shown = bodies_of(sqlite, a_planned_run(sqlite, policy="classic"))
    not_shown = bodies_of(sqlite, a_planned_run(sqlite, policy="standard"))

    assert all("family_situation" in body for body in shown.values())
    assert not any("family_situation" in body for body in not_shown.values())


def test_a_policy_of_ones_own_travels_with_its_document(sqlite: Database) -> None:
    document = dict(built_in_policy("standard").document) | {"name": "ours", "version": 3}
    registry = a_registry("standard", load_policy(document))
    generate_debtors(sqlite, 5)
    run_id = a_planned_run(sqlite, registry, policy="ours")

    # A successor that no longer has the policy's file sends the same message.
    [body] = bodies_of(sqlite, run_id, a_registry()).values()

    assert body == bodies_of(sqlite, run_id, registry)[1]
    header = received(body).header
    assert header.policy.document is not None
    assert (resolve_policy(header).name, resolve_policy(header).version) == ("ours", 3)


def test_batches_that_would_not_fit_into_a_message_are_cut_smaller(sqlite: Database) -> None:
    scorer = bulk.bulk_scorer(sqlite, a_registry(), "default", NOON)
    rows = [
        bulk.DebtorRow(
            external_ref=f"{number}",
            name="x",
            total_debt_amount=999_999_999_999 - number,
            monthly_income=999_999_999_999,
            late_payments_count=100_000,
            employment_status="GOVERNMENT_EMPLOYED",
            contract_type="PERMANENT",
            industry_sector="PROFESSIONAL_SERVICES",
            family_situation="WIDOWED_WITH_DEPENDENTS",
            attributes=None,
            payment_status="PARTIAL",
            person_ref=None,
        )
        for number in range(2_000)
    ]
    scored = [(row, scorer.score(row)) for row in rows]
    sqlite.transact(lambda c: bulk.upsert(c, "default", scored, scorer))

    run_id = a_planned_run(sqlite, batch_size=1_000, policy="classic")

    bodies = bodies_of(sqlite, run_id)
    assert all(len(body.encode()) <= MAX_BODY_BYTES for body in bodies.values())
    assert order_of(sqlite, run_id) == independent.ranking(debtor_rows(sqlite), "classic")
    assert list(bodies) == list(range(1, run_row(sqlite, run_id).batches_total + 1))
    assert len(bodies) > 2


def test_a_run_that_version_1_0_planned_gets_the_message_that_version_1_0_wrote(database: Database) -> None:
    generate_debtors(database, 12)
    run_id = a_planned_run(database)
    second = bodies_of(database, run_id)[1]
    with database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(stops_before=None, unit=None))

    first = bodies_of(database, run_id)[1]

    assert received(first).header.stops_before is None
    assert orjson.loads(first) == _as_first(orjson.loads(second))


def _as_first(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of version 2 as version 1 says it."""
    debtors = [{name: value for name, value in one.items() if name != "version"} for one in message["debtors"]]
    assert all("version" in one for one in message["debtors"])
    assert message.pop("stops_before") == 0
    return message | {"schema": "smartrecover.debt-batch.v1", "debtors": debtors}


def test_a_message_says_which_stops_its_run_has_taken_in(database: Database) -> None:
    rows = generate_debtors(database, 12)
    database.transact(lambda c: stops.note(c, [row["id"] for row in rows[:5]], NOON))

    run_id = a_planned_run(database)

    assert run_row(database, run_id).stops_before == 5
    assert {received(body).header.stops_before for body in bodies_of(database, run_id).values()} == {5}
