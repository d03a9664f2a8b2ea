"""Several rows of one reference are no debtor, unless the mapping adds them up: this is said before the first write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import debtor_rows, row_counts
from tests.risk_assessment.commands import Done
from tests.risk_assessment.debtors.csv_files import Importer, a_row, rejects, text_of

from risk_assessment.debtors.bulk import CHUNK
from risk_assessment.debtors.importing import repeated_rows
from risk_assessment.debtors.importing.repeated_rows import Several, find_repeated
from service_kit.database.engine import Database

INVOICES = """
portfolio = "invoices"

[fields]
external_ref = { column = "customer" }
name = { template = "Customer {customer}" }
total_debt_amount = { column = "amount", sum = true }
monthly_income = { fixed = "3000" }
late_payments_count = { count_above = 0, columns = ["days_late"], sum = true }
employment_status = { fixed = "EMPLOYED" }
contract_type = { fixed = "PERMANENT" }
industry_sector = { column = "sector" }
"""
FIRST_WINS = INVOICES.replace(", sum = true", "")
HEADER = "customer,amount,days_late,sector\n"


def invoices(*rows: tuple[object, ...]) -> str:
    return HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows)


MANY = [(f"C-{n % 100}", f"{n % 7 + 1}.10", n % 3 - 1, "RETAIL") for n in range(2_586)]


def test_invoices_are_not_taken_for_debtors(attempt: Callable[..., Done], database: Database, folder: Path) -> None:
    done = attempt(invoices(*MANY), mapping=FIRST_WINS)

    assert done.code == 4
    assert done.err.startswith("note: 100 references stand in 2,586 rows: one debtor has one row")
    assert "Set `sum = true` at total_debt_amount in the mapping" in done.err
    assert row_counts(database)["debtors"] == 0
    assert len(rejects(folder)) == 2_586
    assert "give each an external_ref of its own, and all the same person_ref" in done.err
    [row, column, reason] = rejects(folder)[0]
    assert (row, column) == ("2", "customer")
    assert reason.startswith("stands in 26 rows, first in row 2: one debtor has one row, and accounts of one person")


def test_it_is_said_before_the_first_write(
    attempt: Callable[..., Done], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(
        "risk_assessment.debtors.commands._announce",
        lambda _: written.append(sum(row_counts(database).values())),
    )
    before = sum(row_counts(database).values())

    attempt(invoices(*MANY), mapping=FIRST_WINS)

    assert written == [before]


def test_the_rows_of_a_customer_are_added_up_when_the_mapping_says_so(
    imported: Importer, database: Database, folder: Path
) -> None:
    report = imported(invoices(*MANY, ("single", "7.00", 9, "RETAIL")), mapping=INVOICES)

    assert report | {"rows": 2_587, "created": 101, "rejected": 0, "summed": 2_486} == report
    assert not (folder / "file.rejects.csv").exists()
    debtors = {row["external_ref"]: row for row in debtor_rows(database, "invoices")}
    for ref in {row[0] for row in MANY}:
        mine = [row for row in MANY if row[0] == ref]
        assert debtors[ref]["total_debt_amount"] == sum(round(float(row[1]) * 100) for row in mine)
        assert debtors[ref]["late_payments_count"] == sum(row[2] > 0 for row in mine)
        assert debtors[ref]["priority"] == independent.priority(debtors[ref])
    assert debtors["single"]["total_debt_amount"] == 700
    again = imported(invoices(*MANY), mapping=INVOICES)
    assert (again["unchanged"], again["summed"]) == (100, 2_486)


def test_a_credit_reduces_a_sum(imported: Importer, database: Database) -> None:
    rows = [("C-1", "100.00", 1, "RETAIL"), ("C-1", "-30.50", 0, "RETAIL"), ("C-1", "0", 0, "RETAIL")]

    imported(invoices(*rows), mapping=INVOICES)

    assert [row["total_debt_amount"] for row in debtor_rows(database, "invoices")] == [6_950]


NOT_ADDED: list[tuple[list[tuple[object, ...]], str, str]] = [
    ([("C-1", "5", 1, "RETAIL"), ("C-1", "5", 1, "ENERGY")], "sector", "differs between rows 2 and 3"),
    ([("C-1", "9999999999.99", 1, "RETAIL"), ("C-1", "0.01", 1, "RETAIL")], "amount", "more than a debtor can have"),
]


@pytest.mark.parametrize(("rows", "column", "reason"), NOT_ADDED)
def test_rows_that_do_not_make_one_debtor_are_all_rejected(
    imported: Importer, folder: Path, rows: list[tuple[object, ...]], column: str, reason: str
) -> None:
    report = imported(invoices(*rows, ("C-2", "1", 0, "RETAIL")), mapping=INVOICES)

    assert (report["created"], report["rejected"], report["summed"]) == (1, len(rows), 0)
    assert [(row, where) for row, where, _ in rejects(folder)] == [("2", column), ("3", column)]
    assert all(reason in why for _, _, why in rejects(folder))


def test_a_sum_without_one_of_its_rows_would_be_wrong(imported: Importer, folder: Path, database: Database) -> None:
    rows = [
        ("C-1", "5", 1, "RETAIL"),
        ("C-2", "1", 0, "RETAIL"),
        ("C-1", "n/a", 1, "RETAIL"),
        ("C-1", "7", 1, "RETAIL"),
    ]

    report = imported(invoices(*rows), mapping=INVOICES)

    assert (report["created"], report["rejected"]) == (1, 3)
    assert [row["external_ref"] for row in debtor_rows(database, "invoices")] == ["C-2"]
    found = {row: reason for row, _, reason in rejects(folder)}
    assert found["2"] == found["5"] == "row 4 with the same reference was rejected"
    assert "plain decimal number" in found["4"]


def test_rows_that_a_rule_skips_do_not_count(imported: Importer, database: Database) -> None:
    mapping = FIRST_WINS + '[[skip]]\ncolumn = "days_late"\nequals = "paid"\n'
    rows = [("C-1", "5", "paid", "RETAIL"), ("C-1", "7", "1", "RETAIL")]

    assert imported(invoices(*rows), mapping=mapping)["created"] == 1

    assert [row["total_debt_amount"] for row in debtor_rows(database, "invoices")] == [700]


@pytest.mark.parametrize("far", [1, CHUNK + 5])
def test_a_reference_is_found_again_however_far_away_and_however_spelled(
    imported: Importer, folder: Path, far: int
) -> None:
    rows = [a_row("1001"), *(a_row(f"A-{n}") for n in range(far)), a_row("\ufeff1001\u200b "), a_row("01001")]

    report = imported(text_of(*rows))

    assert (report["created"], report["rejected"]) == (far + 1, 2)
    assert [row for row, _, _ in rejects(folder)] == ["2", str(far + 3)]


def test_references_with_one_hash_are_kept_apart_by_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_rows, "hash", len, raising=False)
    batches: list[Any] = [(range(2, 5), ["aa", "bb", "c"]), ([7], ["aa"])]

    assert find_repeated(lambda: batches) == {"aa": Several(2, 2)}
