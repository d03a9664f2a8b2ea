"""Files as spreadsheets, accounting systems and databases write them come in, or their message says what to declare."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment.builders import debtor_rows, every_row
from tests.risk_assessment.commands import Done, the_error
from tests.risk_assessment.debtors.csv_files import COLUMNS, Importer, a_row, rejects, text_of
from tests.support.processes import repository

from risk_assessment.debtors.importing.mapping import ImportMapping
from service_kit.database.engine import Database

OWN = "[fields]\n" + "".join(f'{name} = {{ column = "{name}" }}\n' for name in COLUMNS)


def separated(delimiter: str, *rows: dict[str, object]) -> str:
    lines = [COLUMNS, *(tuple(row.values()) for row in rows)]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines)


@pytest.mark.parametrize(
    "content",
    [
        separated("\t", a_row()).replace("\n", "\r\n").encode("utf-16"),
        separated(";", a_row()),
        separated("|", a_row()),
        "sep=;\n" + separated(";", a_row()),
        separated(",", a_row()).replace("_", " ", 7),
        separated(",", a_row()).title().replace("Employed", "EMPLOYED"),
        "Aged receivables,,,,,,,\n,,,,,,,\n" + separated(",", a_row()),
        "\n" + separated(",", a_row()),
        "\n".join(line + ",," for line in separated(",", a_row()).splitlines()),
        separated(",", a_row()) + "\x1a",
        separated(",", a_row(total_debt_amount="5000.0000", monthly_income="2500.", late_payments_count="1.0")),
        separated(",", a_row(employment_status="employed", contract_type=" Permanent\u00a0")),
        separated(",", a_row("\ufeffA-1\u200b", total_debt_amount="\u00a0+05000.0")),
    ],
)
def test_the_same_debtor_comes_in_however_it_is_written(
    imported: Importer, database: Database, content: str | bytes
) -> None:
    assert imported(content)["created"] == 1

    [row] = debtor_rows(database)
    assert (row["external_ref"], row["total_debt_amount"], row["monthly_income"]) == ("A-1", 500_000, 250_000)
    assert (row["late_payments_count"], row["employment_status"]) == (1, "EMPLOYED")
    assert imported(separated(",", a_row(row["external_ref"], name=row["name"])))["unchanged"] == 1


def test_settings_of_the_mapping_say_how_a_file_is_written(imported: Importer, database: Database) -> None:
    rows = [
        a_row("S-1", name="Zoë", total_debt_amount="1.234,50", monthly_income="2.100,00", late_payments_count="1.0"),
        a_row("S-2", total_debt_amount="980,5", monthly_income="0", late_payments_count="3,0"),
        a_row("S-3", total_debt_amount="12.50"),
    ]
    content = "exported today\nref and more\n" + separated(";", *rows)
    settings = 'encoding = "windows-1252"\ndelimiter = ";"\ndecimal = ","\nthousands = "."\nskip_rows = 2\n'

    report = imported(content.encode("cp1252"), mapping=settings + OWN)

    assert (report["created"], report["rejected"]) == (1, 2)
    [row] = debtor_rows(database)
    assert (row["external_ref"], row["total_debt_amount"], row["late_payments_count"]) == ("S-2", 98_050, 3)


def test_numbers_are_compared_and_counted_as_the_file_writes_them(imported: Importer, database: Database) -> None:
    mapping = 'decimal = ","\nthousands = "."\n' + OWN.replace(
        'late_payments_count = { column = "late_payments_count" }',
        'late_payments_count = { count_above = 0, columns = ["late_payments_count", "monthly_income"] }',
    )
    mapping += '[[skip]]\ncolumn = "total_debt_amount"\nat_most = 1000\n'
    rows = [
        a_row("S-1", total_debt_amount="999,99", monthly_income="1,5"),
        a_row("S-2", total_debt_amount="1.000,01", monthly_income="1,5", late_payments_count="0,0"),
    ]

    report = imported(separated(";", *rows), mapping=mapping)

    assert (report["created"], report["skipped"]) == (1, 1)
    assert [row["late_payments_count"] for row in debtor_rows(database)] == [1]


REASONS: list[tuple[dict[str, object], str, str]] = [
    (a_row(name=""), "name", "must not be empty"),
    (a_row(name=" \u00a0 "), "name", "must not be empty"),
    (a_row(name="a\x00b"), "name", "must be one line of text: it has U+0000"),
    (a_row(name="a\nb"), "name", "must be one line of text: it has U+000A"),
    (a_row(name="x" * 201), "name", "must have at most 200 characters"),
    (a_row("x" * 129), "external_ref", "must have at most 128 characters"),
    (a_row(""), "external_ref", "must not be empty"),
    (a_row("\u200b"), "external_ref", "must not be empty"),
    (a_row("1001.0"), "external_ref", "ends in .0, as spreadsheets write whole numbers"),
    (a_row("1.23457E+11"), "external_ref", "is shortened to powers of ten"),
    (a_row("10\ufeff01"), "external_ref", "invisible character inside (U+FEFF"),
    (a_row(total_debt_amount=""), "total_debt_amount", "must not be empty"),
    (a_row(total_debt_amount="1.234,50"), "total_debt_amount", 'set decimal = "," and thousands = "." in the mapping'),
    (a_row(total_debt_amount="1234.560000001"), "total_debt_amount", "must have at most 2 decimal places"),
    (a_row(monthly_income="-1"), "monthly_income", "must not be negative"),
    (a_row(late_payments_count=""), "late_payments_count", "must not be empty"),
    (a_row(late_payments_count="1.5"), "late_payments_count", "must be a whole number"),
    (a_row(late_payments_count="-1"), "late_payments_count", "must be at least 0"),
    (a_row(late_payments_count="100001"), "late_payments_count", "must be at most 100000"),
    (a_row(employment_status=""), "employment_status", "must not be empty"),
    (a_row(employment_status="Angestellt"), "employment_status", "must be one of GOVERNMENT_EMPLOYED, EMPLOYED, RET"),
]


@pytest.mark.parametrize(("row", "column", "reason"), REASONS)
def test_a_reason_says_in_plain_words_what_is_wrong(
    imported: Importer, folder: Path, row: dict[str, object], column: str, reason: str
) -> None:
    imported(text_of(a_row("good"), row))

    [(number, found, said)] = rejects(folder)
    assert (number, found) == ("3", column)
    assert reason in said


def test_everything_wrong_in_a_row_is_said_whether_it_was_read_or_validated(imported: Importer, folder: Path) -> None:
    imported(text_of(a_row("1001.0", name="", total_debt_amount="1,5", late_payments_count="x", contract_type="?")))

    found = {column: reason for _, column, reason in rejects(folder)}
    assert list(found) == ["external_ref", "name", "total_debt_amount", "late_payments_count", "contract_type"]
    assert not any("Field required" in reason or "pattern" in reason for reason in found.values())


def test_bytes_of_another_encoding_are_named_with_the_setting(imported: Importer, folder: Path) -> None:
    content = text_of(a_row("A-1", name="Zoë"), a_row("A-2")).encode("cp1252")

    assert imported(content)["rejected"] == 1

    assert rejects(folder) == [("2", "name", 'is not UTF-8: set encoding in the mapping, such as encoding = "cp1252"')]
    assert imported(content, mapping='encoding = "cp1252"\n' + OWN)["created"] == 1


def test_a_total_is_rejected_and_rows_without_any_value_are_skipped(imported: Importer, folder: Path) -> None:
    content = separated(",", a_row("F-1"), a_row("F-2")) + ",,,,,,,\nTotal,,2000.00,,,,,\n\n"

    report = imported(content)

    assert (report["rows"], report["created"], report["skipped"], report["rejected"]) == (4, 2, 1, 1)
    assert {row for row, _, _ in rejects(folder)} == {"5"}


def test_a_reject_file_names_columns_as_the_file_does(imported: Importer, folder: Path) -> None:
    imported(
        separated(",", a_row(name="")).replace("name", "Full Name", 1), mapping=OWN.replace('"name"', '"full_name"')
    )

    assert rejects(folder) == [("2", "Full Name", "must not be empty")]


def test_codes_of_a_map_are_known_in_any_case_unless_it_matters(imported: Importer, database: Database) -> None:
    meanings = '{ "1" = "EMPLOYED", "Y" = "RETIRED", y = "STUDENT", full = "EMPLOYED" }'
    column = 'column = "employment_status"'
    mapping = OWN.replace(column, f"{column}, map = {meanings}")
    codes = ["1", "Y", "y", "FULL", "-1"]
    rows = [a_row(f"C-{n}", employment_status=code) for n, code in enumerate(codes)]

    assert imported(text_of(*rows), mapping=mapping)["rejected"] == 1

    assert [row["employment_status"] for row in debtor_rows(database)] == ["EMPLOYED", "RETIRED", "STUDENT", "EMPLOYED"]


WRONG_SETTINGS: list[tuple[str, str]] = [
    ('decimal = ";"\n' + OWN, "decimal: must be '.' or ','"),
    ('decimal = ","\nthousands = ","\n' + OWN, "decimal and thousands must differ"),
    ('encoding = "utf-9"\n' + OWN, "encoding: must be one of utf-8"),
    ("skip_rows = -1\n" + OWN, "skip_rows: must be at least 0"),
    ('delimiter = ";;"\n' + OWN, "delimiter: must be one character"),
    ("colour = 1\n" + OWN, "colour: is not a setting of a mapping"),
    ("portfolio = 1\n" + OWN, "portfolio: must be a text"),
    ('portfolio = "x"\n', "fields: is missing"),
    (OWN.replace('{ column = "monthly_income" }', '{ fixed = "lots" }'), "monthly_income must be a plain decimal"),
    (OWN.replace('{ column = "late_payments_count" }', '{ fixed = "-3" }'), "late_payments_count must be at least 0"),
    (OWN.replace('{ column = "contract_type" }', '{ fixed = "PERM" }'), "contract_type must be one of PERMANENT"),
    (
        OWN.replace('{ column = "contract_type" }', '{ column = "contract_type", map = { a = "PERM" } }'),
        "contract_type must be one of PERMANENT",
    ),
    (OWN.replace('{ column = "name" }', '{ column = "name", sum = true }'), "name cannot be added over rows"),
    (OWN.replace('{ column = "monthly_income" }', '{ fixed = "5", sum = true }'), "sum belongs to column"),
]


@pytest.mark.parametrize(("mapping", "reason"), WRONG_SETTINGS)
def test_a_wrong_setting_is_refused_in_plain_words_before_anything_is_written(
    attempt: Callable[..., Done], database: Database, folder: Path, mapping: str, reason: str
) -> None:
    done = attempt(text_of(a_row()), mapping=mapping)

    assert reason in the_error(done)
    assert done.code == 4
    assert every_row(database)["debtors"] == every_row(database)["audit_records"] == []
    assert not (folder / "file.rejects.csv").exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mapping_as_windows_saves_it_is_read(imported: Importer, folder: Path, encoding: str) -> None:
    (folder / "windows.toml").write_bytes(OWN.encode(encoding))

    assert imported(text_of(a_row()), "--mapping", "windows.toml")["created"] == 1


def test_the_mapping_in_the_documents_is_one() -> None:
    text = (repository() / "docs" / "imports.md").read_text(encoding="utf-8")
    example = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0]

    mapping = ImportMapping.model_validate(tomllib.loads(example))

    assert (mapping.decimal, mapping.thousands, mapping.skip_rows, len(mapping.skip)) == (",", ".", 2, 1)


def test_a_workbook_is_refused_by_its_name(attempt: Callable[..., Done], database: Database) -> None:
    done = attempt(b"PK\x03\x04" + b"\0" * 30 + b"xl/workbook.xml")

    assert (done.code, the_error(done)) == (
        4,
        "the file is an Excel workbook (.xlsx), not CSV: save it as CSV (UTF-8) and import that",
    )


def test_a_file_without_a_column_says_what_it_has(attempt: Callable[..., Done]) -> None:
    content = separated(",", a_row()).replace("external_ref", "ExternalRef")

    error = the_error(attempt(content))

    assert error.startswith("the file has no column external_ref; it has ExternalRef, name, ")
    assert error.endswith("; write a mapping (--mapping)")


def test_a_fixed_count_may_be_a_text(imported: Importer, database: Database) -> None:
    fixed: dict[str, Any] = {"mapping": OWN.replace('{ column = "late_payments_count" }', '{ fixed = "3" }')}

    imported(text_of(a_row(total_debt_amount="5000.000")), **fixed)

    assert [row["late_payments_count"] for row in debtor_rows(database)] == [3]
