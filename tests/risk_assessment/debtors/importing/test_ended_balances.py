"""Files bring balances to their end: who owes 0 or has a credit, or is PAID, is closed, also in rows left out."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.risk_assessment.builders import change_debtor, debtor_rows, row_counts
from tests.risk_assessment.debtors.csv_files import COLUMNS, Importer, a_row, rejects, text_of

from risk_assessment.tables import stops
from service_kit.database.engine import Database

ALL = (*COLUMNS, "payment_status")
MAPPING = "[fields]\n" + "".join(f'{name} = {{ column = "{name}" }}\n' for name in ALL)
WITHOUT_PAID = MAPPING + '[[skip]]\ncolumn = "total_debt_amount"\nat_most = 0\n'
OWN_STATUS = MAPPING + '[[skip]]\ncolumn = "payment_status"\nequals = "PAID"\n'


def a_full_row(ref: str, debt: str = "5000.00", status: str = "UNPAID", **more: object) -> dict[str, object]:
    return a_row(ref, total_debt_amount=debt, **more) | {"payment_status": status}


def a_file(*rows: dict[str, object]) -> str:
    return text_of(*rows, columns=ALL)


def balances(database: Database) -> dict[str, tuple[int, str]]:
    return {row["external_ref"]: (row["total_debt_amount"], row["payment_status"]) for row in debtor_rows(database)}


def noted(database: Database) -> set[str]:
    refs = {row["id"]: row["external_ref"] for row in debtor_rows(database)}
    with database.read() as connection:
        return {refs[debtor_id] for debtor_id in connection.execute(select(stops.c.debtor_id)).scalars()}


THREE = a_file(a_full_row("B1"), a_full_row("B2"), a_full_row("B3"))
ENDED = a_file(a_full_row("B1", "0.00", "PAID"), a_full_row("B2", "-12.00"), a_full_row("B3"))


@pytest.mark.parametrize("mapping", [None, MAPPING, WITHOUT_PAID], ids=["no mapping", "a mapping", "a rule that skips"])
def test_who_owes_nothing_any_more_is_closed(imported: Importer, database: Database, mapping: str | None) -> None:
    imported(THREE, mapping=mapping)

    report = imported(ENDED, mapping=mapping)

    assert (report["updated"], report["unchanged"], report["skipped"], report["closed"]) == (2, 1, 0, 2)
    assert balances(database) == {"B1": (0, "PAID"), "B2": (0, "PAID"), "B3": (500_000, "UNPAID")}
    assert {row["priority"] for row in debtor_rows(database)[:2]} == {0}
    assert noted(database) == {"B1", "B2"}
    before = debtor_rows(database)
    again = imported(ENDED, mapping=mapping)
    assert (again["updated"], again["closed"]) == (0, 0)
    assert debtor_rows(database) == before


def test_who_is_paid_with_a_debt_left_keeps_it(imported: Importer, database: Database) -> None:
    imported(THREE)

    assert imported(a_file(a_full_row("B1", "7.00", "PAID")))["closed"] == 1

    assert balances(database)["B1"] == (700, "PAID")


@pytest.mark.parametrize("debt", ["0", "0.00", "-0", "-12.00", "-12"])
def test_an_unknown_debtor_who_owes_nothing_is_skipped(imported: Importer, database: Database, debt: str) -> None:
    report = imported(a_file(a_full_row("B1", debt), a_full_row("B2")))

    assert (report["created"], report["skipped"], report["rejected"], report["closed"]) == (1, 1, 0, 0)
    assert list(balances(database)) == ["B2"]


def test_amounts_in_other_styles_may_be_credits_too(imported: Importer, database: Database) -> None:
    mapping = 'decimal = ","\nthousands = "."\n' + MAPPING
    first = [a_full_row(ref, "1.234,50", monthly_income="2500") for ref in ("B1", "B2")]
    imported(a_file(*first), mapping=mapping)

    second = [a_full_row("B1", "-1.234,50", monthly_income="1"), a_full_row("B2", " -0,5 ", monthly_income="1")]
    imported(a_file(*second), mapping=mapping)

    assert balances(database) == {"B1": (0, "PAID"), "B2": (0, "PAID")}


def test_who_owes_again_is_open_again(imported: Importer, database: Database) -> None:
    imported(THREE)
    imported(ENDED)

    without_status = imported(text_of(a_row("B1", total_debt_amount="9.00")))
    with_status = imported(a_file(a_full_row("B2", "8.00", "PARTIAL")))

    assert (without_status["updated"], with_status["updated"]) == (1, 1)
    assert balances(database) == {"B1": (900, "UNPAID"), "B2": (800, "PARTIAL"), "B3": (500_000, "UNPAID")}


def test_without_a_column_for_it_a_status_stays_but_for_a_balance_of_0(imported: Importer, database: Database) -> None:
    imported(THREE)
    ids = {row["external_ref"]: row["id"] for row in debtor_rows(database)}
    change_debtor(database, ids["B1"], payment_status="PAID")
    change_debtor(database, ids["B2"], payment_status="PARTIAL")

    imported(text_of(a_row("B1", total_debt_amount="4.00"), a_row("B2"), a_row("B3", total_debt_amount="0")))

    assert balances(database) == {"B1": (400, "PAID"), "B2": (500_000, "PARTIAL"), "B3": (0, "PAID")}


def test_a_rule_that_leaves_out_paid_rows_loses_no_payment(imported: Importer, database: Database) -> None:
    imported(THREE, mapping=OWN_STATUS)
    rows = [
        a_full_row("B1", "7.00", "PAID"),
        a_full_row("B2", "n/a", "PAID", name="", contract_type="?"),  # nothing else of it is read
        a_full_row("B9", "5.00", "PAID"),
    ]

    report = imported(a_file(*rows), mapping=OWN_STATUS)

    assert (report["updated"], report["skipped"], report["closed"]) == (2, 1, 2)
    assert balances(database) == {"B1": (700, "PAID"), "B2": (500_000, "PAID"), "B3": (500_000, "UNPAID")}


def test_a_row_left_out_for_another_reason_closes_no_debtor(imported: Importer, database: Database) -> None:
    mapping = MAPPING + '[[skip]]\ncolumn = "name"\nequals = "Test"\n'
    imported(THREE, mapping=mapping)
    before = debtor_rows(database)

    report = imported(a_file(a_full_row("B1", "9.00", name="Test")), mapping=mapping)

    assert (report["skipped"], report["closed"]) == (1, 0)
    assert debtor_rows(database) == before


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_with_a_debt_keeps_open_whatever_the_rows_left_out_say(
    imported: Importer, database: Database, order: int
) -> None:
    imported(THREE, mapping=WITHOUT_PAID)
    rows = [a_full_row("B1", "-12.00"), a_full_row("B1", "3.00"), a_full_row("B2", "0"), a_full_row("B2", "-1")]

    report = imported(a_file(*rows[::order]), mapping=WITHOUT_PAID)

    assert (report["updated"], report["skipped"], report["closed"]) == (2, 2, 1)
    assert balances(database) == {"B1": (300, "UNPAID"), "B2": (0, "PAID"), "B3": (500_000, "UNPAID")}


def test_a_rejected_row_closes_no_debtor(imported: Importer, database: Database, folder: Path) -> None:
    imported(THREE, mapping=WITHOUT_PAID)
    rows = [a_full_row("B1", "0"), a_full_row("B1", "3.00", contract_type="?")]

    report = imported(a_file(*rows), mapping=WITHOUT_PAID)

    assert (report["rejected"], report["skipped"], report["closed"]) == (1, 1, 0)
    assert balances(database)["B1"] == (500_000, "UNPAID")
    assert rejects(folder)[0][:2] == ("3", "contract_type")


SUMMED = MAPPING.replace('"total_debt_amount" }', '"total_debt_amount", sum = true }')


@pytest.mark.parametrize("amounts", [("5", "-5"), ("5", "-9"), ("0", "0")])
def test_rows_that_add_up_to_nothing_close_their_debtor(
    imported: Importer, database: Database, amounts: tuple[str, str]
) -> None:
    imported(THREE, mapping=SUMMED)
    rows: list[dict[str, Any]] = [a_full_row(ref, amount) for ref in ("B1", "B9") for amount in amounts]

    report = imported(a_file(*rows), mapping=SUMMED)

    assert (report["updated"], report["skipped"], report["summed"], report["closed"]) == (1, 1, 2, 1)
    assert balances(database)["B1"] == (0, "PAID")
    assert row_counts(database)["debtors"] == 3


def test_persons_come_in_from_a_column_or_a_template(imported: Importer, database: Database, folder: Path) -> None:
    columns = (*COLUMNS, "person_ref")
    people = [" P-1 ", "P-1\u200b", "", "1001.0", "x" * 129]
    rows = [a_row(f"A-{n}") | {"person_ref": person} for n, person in enumerate(people)]

    report = imported(text_of(*rows, columns=columns))

    assert (report["created"], report["rejected"]) == (3, 2)
    assert [(row, column) for row, column, _ in rejects(folder)] == [("5", "person_ref"), ("6", "person_ref")]
    first, second, third = (row["person_id"] for row in debtor_rows(database))
    assert first == second != third is None
    status = 'payment_status = { column = "payment_status" }'
    mapping = MAPPING.replace(status, 'person_ref = { template = "K {name}" }')
    imported(text_of(a_row("A-0"), a_row("A-1"), a_row("A-2")), mapping=mapping)
    assert len({row["person_id"] for row in debtor_rows(database)} - {first, None}) == 1
    assert imported(text_of(a_row("A-0"), a_row("A-1")))["unchanged"] == 2  # a file without them
