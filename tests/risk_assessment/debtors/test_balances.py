"""Balances end: who owes 0 is PAID whatever is said beside it, and is open again once there is a debt again."""

from typing import Any

import pytest
from sqlalchemy import select
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import (
    NOON,
    a_debtor,
    a_registry,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
)
from tests.risk_assessment.responses import created, fields_of, shown

from risk_assessment.debtors import bulk, loading, service
from risk_assessment.debtors.balances import settled, status_of
from risk_assessment.metadata import audit_records
from risk_assessment.tables import assessments, stops
from service_kit.audit import Audit, Caller
from service_kit.database.engine import Database

AUDIT = Audit(audit_records, Caller("test"), NOON)


@pytest.mark.parametrize(
    ("debt", "said", "before", "status"),
    [
        (0, None, (500, "UNPAID"), "PAID"),
        (0, "UNPAID", (500, "PARTIAL"), "PAID"),
        (0, "PAID", (0, "PAID"), "PAID"),
        (500, "PAID", (500, "UNPAID"), "PAID"),  # the client's word
        (500, None, (600, "PARTIAL"), "PARTIAL"),
        (500, None, (600, "PAID"), "PAID"),  # the client's word, too
        (500, None, (0, "PAID"), "UNPAID"),
        (500, "PARTIAL", (0, "PAID"), "PARTIAL"),
        (500, "PAID", (0, "PAID"), "PAID"),
    ],
)
def test_the_status_follows_from_the_balance_and_from_what_is_said(
    debt: int, said: str | None, before: tuple[int, str], status: str
) -> None:
    assert status_of(debt, said, *before) == status


def test_who_owes_nothing_is_paid() -> None:
    assert (settled("UNPAID", 0), settled("UNPAID", 1), settled("PAID", 1)) == ("PAID", "UNPAID", "PAID")


def create(api: Api, portfolio: str, **changes: Any) -> str:
    return f"/debtors/{created(api.post('/debtors', json=a_debtor(portfolio=portfolio, **changes)))['id']}"


def balance(debtor: dict[str, Any]) -> tuple[str, str, str]:
    return debtor["total_debt_amount"], debtor["payment_status"], debtor["priority"]


CLOSED = ("0.00", "PAID", "0.00")


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("debt", [0, "0.00", 0.0])
def test_no_debtor_is_created_without_a_debt(api: Api, debt: object) -> None:
    assert fields_of(api.post("/debtors", json=a_debtor(total_debt_amount=debt)), 422) == ["total_debt_amount"]


@pytest.mark.parametrize("said", [{}, {"payment_status": "PARTIAL"}, {"payment_status": "PAID"}], ids=str)
def test_a_put_or_a_patch_to_0_closes(api: Api, portfolio: str, said: dict[str, str]) -> None:
    put, patched = create(api, portfolio), create(api, portfolio)

    for closed in (
        api.put(put, json=a_debtor(portfolio=portfolio, total_debt_amount=0) | said),
        api.patch(patched, json={"total_debt_amount": "0"} | said),
    ):
        assert balance(shown(closed)) == CLOSED
    assert balance(shown(api.get(put))) == CLOSED
    history = shown(api.get(f"{patched}/assessments"))["items"]
    assert [entry["profile"]["payment_status"] for entry in history] == ["PAID", "UNPAID"]
    assert [entry["profile"]["total_debt_amount"] for entry in history] == ["0.00", "5000.00"]


def test_who_was_closed_can_be_read_scored_and_put_back(api: Api, portfolio: str) -> None:
    path = create(api, portfolio)
    closed = shown(api.patch(path, json={"total_debt_amount": 0}))

    again = shown(api.put(path, json=closed))

    assert balance(again) == CLOSED
    assert shown(api.get(f"{path}/score"))["priority"] == "0.00"
    preview = shown(api.get("/runs/preview", params={"portfolio": portfolio}))
    assert (preview["ranked"], preview["excluded"]["PAID"]) == (0, 1)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"total_debt_amount": "7.00"}, "UNPAID"),
        ({"total_debt_amount": "7.00", "payment_status": "PARTIAL"}, "PARTIAL"),
        ({"total_debt_amount": "7.00", "payment_status": "PAID"}, "PAID"),
    ],
)
def test_who_owes_again_is_open_again(api: Api, portfolio: str, change: dict[str, str], status: str) -> None:
    path = create(api, portfolio)
    shown(api.patch(path, json={"total_debt_amount": 0}))

    assert shown(api.patch(path, json=change))["payment_status"] == status


def test_a_status_alone_opens_no_debtor_who_owes_nothing(api: Api, portfolio: str) -> None:
    path = create(api, portfolio)
    closed = shown(api.patch(path, json={"total_debt_amount": 0}))

    assert fields_of(api.patch(path, json={"payment_status": "UNPAID"}), 422) == ["payment_status"]

    assert shown(api.get(path)) == closed
    assert shown(api.patch(path, json={"payment_status": "PAID", "name": "Bo"}))["payment_status"] == "PAID"


def test_who_is_said_to_have_paid_keeps_the_debt_that_is_left(api: Api, portfolio: str) -> None:
    path = create(api, portfolio)

    paid = shown(api.patch(path, json={"payment_status": "PAID"}))
    changed = shown(api.patch(path, json={"total_debt_amount": "9.00"}))

    assert (paid["total_debt_amount"], paid["payment_status"]) == ("5000.00", "PAID")
    assert (changed["total_debt_amount"], changed["payment_status"]) == ("9.00", "PAID")


def noted(database: Database) -> set[int]:
    with database.write() as connection:
        found = set(connection.execute(select(stops.c.debtor_id)).scalars())
        connection.execute(stops.delete())
    return found


@pytest.mark.parametrize(
    ("change", "is_noted"),
    [
        ({"total_debt_amount": 400_000}, True),
        ({"total_debt_amount": 0}, True),
        ({"payment_status": "PARTIAL"}, True),
        ({"portfolio": "elsewhere"}, True),
        ({"person_ref": "P-1"}, True),
        ({"total_debt_amount": 500_000, "payment_status": "UNPAID", "person_ref": None}, False),
        ({"name": "Bo", "monthly_income": 1, "late_payments_count": 9, "external_ref": "A-2"}, False),
    ],
    ids=str,
)
def test_what_stops_a_batch_is_noted_and_nothing_else(
    database: Database, change: dict[str, Any], is_noted: bool
) -> None:
    debtor_id = add_debtor(database, external_ref="A-1")
    assert noted(database) == set()

    change_debtor(database, debtor_id, **change)

    assert noted(database) == ({debtor_id} if is_noted else set())


def test_who_is_deleted_is_noted(database: Database) -> None:
    first, _ = add_debtor(database), add_debtor(database)

    database.transact(lambda c: service.remove(c, first, NOON))

    assert noted(database) == {first}


def test_a_portfolio_that_is_cleared_is_noted_whole(database: Database) -> None:
    ids = {row["id"] for row in generate_debtors(database, 5, portfolio="a")}
    generate_debtors(database, 3, portfolio="b")
    assert noted(database) == set()

    assert database.transact(lambda c: loading.clear(c, "a", AUDIT)) == 5

    assert noted(database) == ids


def test_of_many_debtors_those_whose_debt_or_status_changed_are_noted(database: Database) -> None:
    rows = generate_debtors(database, 40)
    registry = a_registry()
    scorer = bulk.bulk_scorer(database, registry, "default", NOON)
    changed = []
    for place, row in enumerate(rows[:6]):
        given = bulk.DebtorRow(*(row.get(field) for field in bulk.DebtorRow._fields))
        more: dict[str, Any] = [
            {"total_debt_amount": row["total_debt_amount"] + 1},
            {"payment_status": "PARTIAL" if row["payment_status"] != "PARTIAL" else "UNPAID"},
            {"name": "Only the name"},
        ][place % 3]
        changed.append(given._replace(**more))

    database.transact(lambda c: bulk.upsert(c, "default", [(row, scorer.score(row)) for row in changed], scorer))

    assert noted(database) == {rows[place]["id"] for place in (0, 1, 3, 4)}


def test_debtors_are_closed_by_their_references(database: Database) -> None:
    classic = a_registry("classic")
    family = {"family_situation": "MARRIED_DUAL_INCOME"}
    first = add_debtor(database, external_ref="A")
    second = add_debtor(database, classic, external_ref="B", late_payments_count=9, **family)
    third = add_debtor(database, external_ref="C", payment_status="PAID")
    add_debtor(database, external_ref="A", portfolio="other")
    noted(database)

    balances: dict[str, int | None] = {"A": 0, "B": None, "C": None, "unknown": 0}
    changes = database.transact(lambda c: bulk.close(c, "default", balances, classic, NOON))
    again = database.transact(lambda c: bulk.close(c, "default", balances, classic, NOON))

    assert (changes, again) == (bulk.Changes(updated=2, closed=2), bulk.Changes())
    rows = {row["id"]: row for row in debtor_rows(database)}
    assert [rows[one]["payment_status"] for one in sorted(rows)] == ["PAID", "PAID", "PAID", "UNPAID"]
    assert (rows[first]["total_debt_amount"], rows[first]["priority"], rows[first]["version"]) == (0, 0, 2)
    # The policy that is active now could not score the first of them.
    assert rows[first]["policy_id"] != rows[second]["policy_id"]
    assert (rows[second]["total_debt_amount"], rows[second]["version"]) == (500_000, 2)
    assert rows[third]["version"] == 1
    assert noted(database) == {first, second}
    with database.read() as connection:
        history = connection.execute(select(assessments).where(assessments.c.debtor_id == first)).all()
    assert [(entry.version, entry.total_debt_amount, entry.payment_status) for entry in history] == [
        (1, 500_000, "UNPAID"),
        (2, 0, "PAID"),
    ]
