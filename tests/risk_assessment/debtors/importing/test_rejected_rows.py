"""Bad rows and files are listed or refused with row, column and reason, and the rest comes in."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import debtor_rows, row_counts
from tests.risk_assessment.commands import Done, run, run_child, the_error
from tests.risk_assessment.debtors.csv_files import COLUMNS, Importer, a_row, rejects, text_of

from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.importing.rows import row_types
from risk_assessment.debtors.schemas import DebtorPut
from risk_assessment.fields import ExternalRef
from service_kit.database.engine import Database

BAD_ROWS: list[tuple[dict[str, object], str]] = [
    (a_row(total_debt_amount="-"), "total_debt_amount"),
    (a_row(total_debt_amount="-0.005"), "total_debt_amount"),
    (a_row(total_debt_amount="--5"), "total_debt_amount"),
    (a_row(monthly_income="-5"), "monthly_income"),
    (a_row(total_debt_amount="1.234"), "total_debt_amount"),
    (a_row(total_debt_amount="1,000.00"), "total_debt_amount"),
    (a_row(total_debt_amount="NaN"), "total_debt_amount"),
    (a_row(total_debt_amount=""), "total_debt_amount"),
    (a_row(monthly_income="lots"), "monthly_income"),
    (a_row(monthly_income="1e3"), "monthly_income"),
    (a_row(late_payments_count="-1"), "late_payments_count"),
    (a_row(late_payments_count="1.5"), "late_payments_count"),
    (a_row(late_payments_count="٣"), "late_payments_count"),
    (a_row(late_payments_count="9" * 30), "late_payments_count"),
    (a_row(late_payments_count="True"), "late_payments_count"),
    (a_row(employment_status="PIRATE"), "employment_status"),
    (a_row(employment_status="EMPLOYED."), "employment_status"),
    (a_row(contract_type=""), "contract_type"),
    (a_row(industry_sector="SPACE"), "industry_sector"),
    (a_row(name=""), "name"),
    (a_row(name="   "), "name"),
    (a_row(name="a\x00b"), "name"),
    (a_row(name="a\nb"), "name"),
    (a_row(name="x" * 201), "name"),
    (a_row(name="x" * 100_000), "name"),
    (a_row(""), "external_ref"),
    (a_row("x" * 129), "external_ref"),
]


def test_bad_rows_are_listed_with_row_column_and_reason(imported: Importer, database: Database, folder: Path) -> None:
    rows = [a_row("good-1")]
    for number, (row, _) in enumerate(BAD_ROWS):
        rows.append(row | ({"external_ref": f"B-{number}"} if row["external_ref"] == "A-1" else {}))
        rows.append(a_row(f"good-{number + 2}"))

    report = imported(text_of(*rows))

    assert (report["rejected"], report["created"]) == (len(BAD_ROWS), len(BAD_ROWS) + 1)
    assert report["reject_file"] == "file.rejects.csv"
    listed = rejects(folder)
    # The header is row 1 and the first good one row 2, as a spreadsheet counts them.
    assert [(row, column) for row, column, _ in listed] == [
        (str(3 + 2 * number), column) for number, (_, column) in enumerate(BAD_ROWS)
    ]
    assert all(reason for _, _, reason in listed)
    assert "must be one of GOVERNMENT_EMPLOYED, EMPLOYED" in next(
        reason for _, column, reason in listed if column == "employment_status"
    )
    assert not any("PIRATE" in reason for _, _, reason in listed)
    assert len(debtor_rows(database)) == len(BAD_ROWS) + 1


def test_everything_wrong_in_a_row_is_listed(imported: Importer, folder: Path) -> None:
    report = imported(text_of(a_row(name="", total_debt_amount="x", contract_type="?")))

    assert (report["rows"], report["rejected"]) == (1, 1)
    assert {column for _, column, _ in rejects(folder)} == {"name", "total_debt_amount", "contract_type"}


def test_no_row_of_a_reference_that_has_several_comes_in(imported: Importer, folder: Path) -> None:
    rows = [a_row("A-1"), a_row("a-1"), a_row("A-1", name="Other"), a_row(" A-1 ")]

    report = imported(text_of(*rows))

    assert (report["created"], report["rejected"]) == (1, 3)
    assert [(row, column) for row, column, _ in rejects(folder)] == [(row, "external_ref") for row in "245"]
    assert {reason for _, _, reason in rejects(folder)} == {
        "stands in 3 rows, first in row 2: one debtor has one row, and accounts of one person share a person_ref"
    }


def test_rows_that_are_no_table_rows_are_refused_and_the_rest_comes_in(imported: Importer, folder: Path) -> None:
    lines = text_of(a_row("A-1"), a_row("A-2"), a_row("A-3")).splitlines()
    lines.insert(2, "too,few")
    lines.insert(4, lines[1] + ",one more")
    lines.insert(5, '"A-9"broken,' + lines[1].partition(",")[2])
    lines += ["", "   ", lines[1].replace("A-1", "A-4")]

    report = imported("\r\n".join(lines) + "\r\n")

    assert (report["created"], report["rejected"]) == (4, 3)
    assert [row for row, _, _ in rejects(folder)] == ["3", "5", "6"]


def test_an_open_quote_spoils_its_record_alone_or_says_so(imported: Importer, folder: Path) -> None:
    content = text_of(a_row("A-1"), a_row("A-2")) + '"A-3,Open'

    report = imported(content)

    assert (report["created"], report["rejected"]) == (2, 1)
    assert "not CSV" in rejects(folder)[0][2]


def test_a_huge_field_spoils_its_row_alone(imported: Importer, folder: Path) -> None:
    report = imported(text_of(a_row("A-1"), a_row("A-2", name="x" * 3_000_000), a_row("A-3")))

    assert (report["created"], report["rejected"]) == (2, 1)
    assert rejects(folder)[0][0] == "3"


def test_bytes_that_are_no_text_spoil_their_row_alone(imported: Importer, folder: Path) -> None:
    content = text_of(a_row("A-1"), a_row("A-2", name="JosXX"), a_row("A-3")).encode().replace(b"XX", b"\xe9\xff")

    report = imported(content)

    assert (report["created"], report["rejected"]) == (2, 1)
    assert [(row, column) for row, column, _ in rejects(folder)] == [("3", "name")]


def test_an_empty_file_and_one_without_rows_differ(attempt: Callable[..., Done], imported: Importer) -> None:
    assert the_error(attempt("")) == "the file is empty"
    assert imported(text_of())["rows"] == 0


REFUSED_FILES: list[tuple[str, str | bytes, str]] = [
    ("no header", "a,b,c\n1,2,3\n", "external_ref"),
    ("a column missing", text_of(columns=COLUMNS[:-1]), "industry_sector"),
    ("a column twice", ",".join((*COLUMNS, "name")) + "\n", "several columns named name"),
    ("UTF-16 cut off", text_of(a_row()).encode("utf-16")[:-1], "not utf-16 throughout"),
    ("UTF-16 without a mark", text_of(a_row()).encode("utf-16-le"), 'set encoding = "utf-16-le"'),
    ("not text", bytes(range(256)) * 50, "binary data"),
    ("bytes that are no text twice in the header", b"\xff,\xff\n", "column"),
    ("an open quote in the header", '"external_ref,name', "not CSV"),
]


@pytest.mark.parametrize(
    ("content", "reason"), [case[1:] for case in REFUSED_FILES], ids=[case[0] for case in REFUSED_FILES]
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    attempt: Callable[..., Done], database: Database, content: str | bytes, reason: str
) -> None:
    assert reason in the_error(attempt(content))

    assert row_counts(database)["debtors"] == 0


def test_a_file_that_is_not_there_is_named(env: dict[str, str], folder: Path) -> None:
    assert (
        the_error(run("import-debtors", "nowhere.csv", **env)) == "cannot read nowhere.csv: No such file or directory"
    )
    assert "cannot read" in the_error(run("import-debtors", str(folder), **env))


def test_a_reject_file_that_cannot_be_written_is_named(attempt: Callable[..., Done]) -> None:
    assert "no/such/file" in the_error(attempt(text_of(a_row(name="")), "--rejects", "no/such/file"))


def test_what_the_active_policy_cannot_judge_is_refused(imported: Importer, database: Database, folder: Path) -> None:
    columns = (*COLUMNS, "family_situation")
    rows = [
        a_row("A-1", family_situation="SINGLE_NO_DEPENDENTS"),
        a_row("A-2", family_situation=""),
        a_row("A-3", family_situation="COMPLICATED"),
    ]

    report = imported(text_of(*rows, columns=columns), RISK_POLICY="classic")

    assert (report["created"], report["rejected"]) == (1, 2)
    assert [(row, column) for row, column, _ in rejects(folder)] == [
        ("3", "family_situation"),
        ("4", "family_situation"),
    ]
    [row] = debtor_rows(database)
    assert row["total_score"] == independent.score(row, "classic")


def test_a_bad_portfolio_name_is_refused(attempt: Callable[..., Done]) -> None:
    done = attempt(text_of(a_row()), "--portfolio", "a b")

    assert (done.code, the_error(done).startswith("portfolio: ")) == (2, True)


def test_rows_are_validated_as_the_api_validates_debtors() -> None:
    """Each field has the same type; only the reference, which a client of the API may omit, is required in a file."""
    types = get_type_hints(DebtorPut, include_extras=True) | {"external_ref": ExternalRef, "attributes": str | None}

    assert row_types(frozenset()) == tuple(types[name] for name in DebtorRow._fields)
    needed = {name for name, _ in types.items() if name not in ("person_ref", "family_situation", "attributes")}
    strict = dict(zip(DebtorRow._fields, row_types(frozenset(needed)), strict=True))
    assert {name for name, kind in strict.items() if type(None) in get_args(kind)} == {
        "person_ref",
        "family_situation",
        "attributes",
    }


@pytest.mark.parametrize("was_there", [False, True])
def test_the_reject_file_is_for_its_owner_alone(folder: Path, env: dict[str, str], was_there: bool) -> None:
    file = folder / "file.rejects.csv"
    if was_there:
        file.touch()
        file.chmod(0o644)

    (folder / "file.csv").write_text(text_of(a_row(total_debt_amount="much")))
    done = run_child(folder, "import-debtors", "file.csv", **env)

    assert done.code == 4, done.err
    assert file.stat().st_mode & 0o777 == 0o600
