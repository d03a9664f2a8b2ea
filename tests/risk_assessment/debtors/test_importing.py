"""Portfolios come in from CSV: every row is accounted for, and the same file again changes nothing."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import select
from tests.risk_assessment import independent
from tests.risk_assessment.builders import change_debtor, debtor_rows, every_row, row_counts
from tests.risk_assessment.commands import Done, run, the_error

from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.importing import _ROW
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.fields import ExternalRef
from risk_assessment.tables import assessments, debtors
from service_kit.database.engine import Database

COLUMNS = (
    "external_ref",
    "name",
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
)
Importer = Callable[..., dict[str, Any]]


def a_row(ref: object = "A-1", **changes: object) -> dict[str, object]:
    values = (ref, "Alex Example", "5000.00", "2500.00", 1, "EMPLOYED", "PERMANENT", "TECHNOLOGY")
    return dict(zip(COLUMNS, values, strict=True)) | changes


def text_of(*rows: dict[str, object], columns: tuple[str, ...] = COLUMNS) -> str:
    lines = [",".join(columns)]
    lines += [",".join(f'"{row[column]}"' for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def env(database: Database) -> dict[str, str]:
    return {"RISK_DATABASE_URL": database.engine.url.render_as_string(hide_password=False)}


@pytest.fixture
def attempt(folder: Path, env: dict[str, str]) -> Callable[..., Done]:
    """Import a file whose content is given as text or bytes."""

    def run_import(content: str | bytes, *options: object, mapping: str | None = None, **more: str) -> Done:
        (folder / "file.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        if mapping is not None:
            (folder / "map.toml").write_text(mapping)
            options = (*options, "--mapping", "map.toml")
        return run("import-debtors", "file.csv", *options, **env, **more)

    return run_import


@pytest.fixture
def imported(attempt: Callable[..., Done]) -> Importer:
    """Import a file and return the report."""

    def run_import(content: str | bytes, *options: object, **more: Any) -> dict[str, Any]:
        done = attempt(content, "--json", *options, **more)
        assert done.code == 0, done.err
        report: dict[str, Any] = json.loads(done.out)
        counted = ("created", "updated", "unchanged", "skipped", "rejected")
        assert sum(report[name] for name in counted) == report["rows"]
        return report

    return run_import


def rejects(folder: Path, name: str = "file.rejects.csv") -> list[tuple[str, str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "column", "reason"]
    return [(row, column, reason) for row, column, reason in rows]


def kept(database: Database) -> dict[str, Any]:
    return {name: rows for name, rows in every_row(database).items() if name != "audit_records"}


def test_a_file_with_our_own_columns_comes_in(imported: Importer, database: Database, folder: Path) -> None:
    rows = [a_row(f"A-{n}", late_payments_count=n, name=f"Zoë, {n} 🙂") for n in range(4)]

    report = imported(text_of(*rows))

    assert (report["rows"], report["created"], report["portfolio"]) == (4, 4, "default")
    assert report["reject_file"] is None
    assert not (folder / "file.rejects.csv").exists()
    stored = debtor_rows(database, "default")
    assert [row["name"] for row in stored] == [f"Zoë, {n} 🙂" for n in range(4)]
    for n, row in enumerate(stored):
        assert (row["external_ref"], row["late_payments_count"], row["version"]) == (f"A-{n}", n, 1)
        assert (row["total_debt_amount"], row["monthly_income"]) == (500_000, 250_000)
        assert (row["payment_status"], row["family_situation"]) == ("UNPAID", None)
        assert row["priority"] == independent.priority(row)
        assert row["risk_level"] == independent.level(row["total_score"])
    with database.read() as connection:
        history = connection.execute(select(assessments)).all()
    assert {(entry.debtor_id, entry.version, entry.priority) for entry in history} == {
        (row["id"], 1, row["priority"]) for row in stored
    }


def test_the_same_file_again_changes_nothing(imported: Importer, database: Database) -> None:
    content = text_of(a_row("A-1"), a_row("A-2"), a_row("A-2", name="Twice"), a_row("A-3", name=""))
    first = imported(content)
    before = kept(database)

    second = imported(content)

    assert (first["created"], first["rejected"]) == (2, 2)
    assert (second["created"], second["updated"], second["unchanged"], second["rejected"]) == (0, 0, 2, 2)
    assert kept(database) == before


def test_a_changed_row_updates_its_debtor_and_adds_to_its_history(imported: Importer, database: Database) -> None:
    imported(text_of(a_row("A-1"), a_row("A-2"), a_row("A-3")))
    before = {row["external_ref"]: row for row in debtor_rows(database)}

    report = imported(text_of(a_row("A-3"), a_row("A-2", late_payments_count=9, name="Bo"), a_row("A-4")))

    assert (report["created"], report["updated"], report["unchanged"]) == (1, 1, 1)
    after = {row["external_ref"]: row for row in debtor_rows(database)}
    assert (after["A-1"], after["A-3"]) == (before["A-1"], before["A-3"])
    changed = after["A-2"]
    assert (changed["version"], changed["name"], changed["late_payments_count"]) == (2, "Bo", 9)
    assert changed["total_score"] == independent.score(changed) > before["A-2"]["total_score"]
    assert changed["priority"] == independent.priority(changed)
    assert changed["updated_at"] > before["A-2"]["updated_at"]
    assert changed["created_at"] == before["A-2"]["created_at"]
    with database.read() as connection:
        history = connection.execute(select(assessments).where(assessments.c.debtor_id == changed["id"])).all()
    assert [entry.late_payments_count for entry in history] == [1, 9]


def test_what_a_file_does_not_tell_stays_as_it_is(imported: Importer, database: Database) -> None:
    imported(text_of(a_row("A-1"), a_row("A-2")))
    paid = debtor_rows(database)[0]["id"]
    change_debtor(database, paid, payment_status="PAID", family_situation="MARRIED_DUAL_INCOME")

    report = imported(text_of(a_row("A-1"), a_row("A-2")))
    updated = imported(text_of(a_row("A-1", late_payments_count=5), a_row("A-2")))

    assert (report["unchanged"], updated["updated"]) == (2, 1)
    row = debtor_rows(database)[0]
    assert (row["payment_status"], row["family_situation"]) == ("PAID", "MARRIED_DUAL_INCOME")
    assert row["late_payments_count"] == 5


def test_a_column_that_is_there_but_blank_is_told(imported: Importer, database: Database) -> None:
    columns = (*COLUMNS, "payment_status", "family_situation")
    told = {"payment_status": "PARTIAL", "family_situation": "DIVORCED_NO_DEPENDENTS"}
    imported(text_of(a_row() | told, columns=columns))
    blank = {"payment_status": "", "family_situation": ""}

    assert imported(text_of(a_row() | blank, columns=columns))["updated"] == 1

    [row] = debtor_rows(database)
    assert (row["payment_status"], row["family_situation"]) == ("UNPAID", None)


def test_thousands_of_rows_come_in_and_are_known_again(imported: Importer, database: Database) -> None:
    rows = [a_row(f"A-{n}", total_debt_amount=f"{n + 1}.50") for n in range(4_500)]

    assert imported(text_of(*rows))["created"] == 4_500
    rows[7] |= {"name": "Changed"}
    rows[4_400] |= {"name": "Changed"}
    again = imported(text_of(*rows))

    assert (again["updated"], again["unchanged"]) == (2, 4_498)
    assert row_counts(database)["assessments"] == 4_502
    assert [row["external_ref"] for row in debtor_rows(database) if row["version"] == 2] == ["A-7", "A-4400"]


BAD_ROWS: list[tuple[dict[str, object], str]] = [
    (a_row(total_debt_amount="0"), "total_debt_amount"),
    (a_row(total_debt_amount="-5"), "total_debt_amount"),
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
    (a_row(employment_status="employed"), "employment_status"),
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
    assert "'GOVERNMENT_EMPLOYED'" in next(reason for _, column, reason in listed if column == "employment_status")
    assert not any("PIRATE" in reason for _, _, reason in listed)
    assert len(debtor_rows(database)) == len(BAD_ROWS) + 1


def test_everything_wrong_in_a_row_is_listed(imported: Importer, folder: Path) -> None:
    report = imported(text_of(a_row(name="", total_debt_amount="x", contract_type="?")))

    assert (report["rows"], report["rejected"]) == (1, 1)
    assert {column for _, column, _ in rejects(folder)} == {"name", "total_debt_amount", "contract_type"}


def test_a_reference_that_comes_twice_is_refused_the_second_time(imported: Importer, folder: Path) -> None:
    rows = [a_row("A-1"), a_row("a-1"), a_row("A-1", name="Other"), a_row(" A-1 ")]

    report = imported(text_of(*rows))

    assert (report["created"], report["rejected"]) == (2, 2)
    assert [(row, column) for row, column, _ in rejects(folder)] == [("4", "external_ref"), ("5", "external_ref")]
    assert all("row 2" in reason for _, _, reason in rejects(folder))


def test_rows_that_are_no_table_rows_are_refused_and_the_rest_comes_in(imported: Importer, folder: Path) -> None:
    lines = text_of(a_row("A-1"), a_row("A-2"), a_row("A-3")).splitlines()
    lines.insert(2, "too,few")
    lines.insert(4, lines[1] + ",one more")
    lines.insert(5, '"A-9"broken,' + lines[1].partition(",")[2])
    lines += ["", "   ", lines[1].replace("A-1", "A-4")]

    report = imported("\r\n".join(lines) + "\r\n")

    assert (report["created"], report["rejected"]) == (4, 4)
    assert [row for row, _, _ in rejects(folder)] == ["3", "5", "6", "9"]


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


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf%s", b"%s"], ids=["with a byte order mark", "without"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_files_as_spreadsheets_write_them_come_in(imported: Importer, content: bytes, newline: bytes) -> None:
    text = text_of(a_row("A-1"), a_row("A-2")).encode().replace(b"\n", newline)

    assert imported(content % text)["created"] == 2


def test_an_empty_file_and_one_without_rows_differ(attempt: Callable[..., Done], imported: Importer) -> None:
    assert the_error(attempt("")) == "the file is empty"
    assert imported(text_of())["rows"] == 0


REFUSED_FILES: list[tuple[str, str | bytes, str]] = [
    ("no header", "a,b,c\n1,2,3\n", "external_ref"),
    ("a column missing", text_of(columns=COLUMNS[:-1]), "industry_sector"),
    ("a column twice", ",".join((*COLUMNS, "name")) + "\n", "several columns named name"),
    ("UTF-16", text_of(a_row()).encode("utf-16"), "no column"),
    ("not text", bytes(range(256)) * 50, "column"),
    ("bytes that are no text twice in the header", b"\xff,\xff\n", "column"),
    ("an open quote in the header", '"external_ref,name', "not CSV"),
]


@pytest.mark.parametrize(
    ("content", "told"), [case[1:] for case in REFUSED_FILES], ids=[case[0] for case in REFUSED_FILES]
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    attempt: Callable[..., Done], database: Database, content: str | bytes, told: str
) -> None:
    assert told in the_error(attempt(content))

    assert row_counts(database)["debtors"] == 0


def test_a_file_that_is_not_there_is_named(env: dict[str, str], folder: Path) -> None:
    assert (
        the_error(run("import-debtors", "nowhere.csv", **env)) == "cannot read nowhere.csv: No such file or directory"
    )
    assert "cannot read" in the_error(run("import-debtors", str(folder), **env))


def test_a_reject_file_that_cannot_be_written_is_named(attempt: Callable[..., Done]) -> None:
    assert "no/such/file" in the_error(attempt(text_of(a_row(name="")), "--rejects", "no/such/file"))


MAPPING = """
portfolio = "theirs"
delimiter = ";"
encoding = "latin-1"

[fields]
external_ref = { column = "No" }
name = { template = "Client {No} of {Town}" }
total_debt_amount = { column = "Owes" }
monthly_income = { fixed = "0" }
late_payments_count = { count_above = 0, columns = ["Jan", "Feb", "Mar"] }
employment_status = { column = "Job", map = { y = "EMPLOYED", n = "UNEMPLOYED" } }
contract_type = { fixed = "TEMPORARY" }
industry_sector = { fixed = "RETAIL" }

[[skip]]
column = "Owes"
at_most = 0

[[skip]]
column = "Town"
equals = "Nowhere"
"""
THEIRS = """No;Town;Owes;Jan;Feb;Mar;Job;Whatever
1;Köln;10.50;1;0;-1;y;x
2;Nowhere;10.50;1;0;-1;y;x
3;Ulm;0;1;0;-1;y;x
4;Ulm;-7.25;1;0;-1;y;x
5;Ulm;20;2;3;1;n;x
6;Ulm;20;late;3;1;n;x
7;Ulm;20;0;0;0;?;x
8;Ulm;lots;0;0;0;y;x
9;Ulm;5;0;NaN;0;y;x
"""


def test_a_mapping_brings_in_somebody_elses_columns(imported: Importer, database: Database, folder: Path) -> None:
    report = imported(THEIRS.encode("latin-1"), mapping=MAPPING)

    assert report | {"portfolio": "theirs", "rows": 9, "created": 2, "skipped": 3, "rejected": 4} == report
    first, second = debtor_rows(database, "theirs")
    assert (first["external_ref"], first["name"], first["total_debt_amount"]) == ("1", "Client 1 of Köln", 1_050)
    assert (first["monthly_income"], first["late_payments_count"], first["employment_status"]) == (0, 1, "EMPLOYED")
    assert (second["late_payments_count"], second["employment_status"]) == (3, "UNEMPLOYED")
    assert {row["contract_type"] for row in (first, second)} == {"TEMPORARY"}
    listed = rejects(folder)
    assert [(row, column) for row, column, _ in listed] == [
        ("7", "late_payments_count"),
        ("8", "Job"),
        ("9", "Owes"),
        ("10", "late_payments_count"),
    ]
    assert "Jan is not a number" in listed[0][2]
    assert "knows only y, n" in listed[1][2]


def test_a_mapped_file_again_changes_nothing_and_goes_elsewhere_when_told(
    imported: Importer, database: Database
) -> None:
    imported(THEIRS.encode("latin-1"), mapping=MAPPING)

    assert imported(THEIRS.encode("latin-1"), mapping=MAPPING)["unchanged"] == 2
    assert imported(THEIRS.encode("latin-1"), "--portfolio", "ours", mapping=MAPPING)["created"] == 2

    assert len(debtor_rows(database, "ours")) == len(debtor_rows(database, "theirs")) == 2


def with_field(line: str) -> str:
    """The mapping with another line for its first field."""
    return MAPPING.replace('external_ref = { column = "No" }', line)


REFUSED_MAPPINGS: list[tuple[str, str, str]] = [
    ("not TOML", "fields = ", "map.toml is not TOML"),
    ("empty", "", "fields"),
    ("a field unknown", with_field('surname = { column = "No" }'), "unknown fields: surname"),
    ("a field missing", with_field(""), "external_ref"),
    ("two sources", with_field('external_ref = { column = "No", fixed = "1" }'), "exactly one of"),
    ("no source", with_field("external_ref = {}"), "exactly one of"),
    ("an unknown source", with_field('external_ref = { from = "No" }'), "from"),
    ("columns without count", with_field('external_ref = { column = "No", columns = ["No"] }'), "belong together"),
    ("a map without column", with_field('external_ref = { fixed = "1", map = { a = "b" } }'), "map belongs to column"),
    ("a column unknown", with_field('external_ref = { column = "Number" }'), "no column Number"),
    ("a place unknown", with_field('external_ref = { template = "{Number}" }'), "no column Number"),
    ("a place without a name", with_field('external_ref = { template = "{}" }'), "{COLUMN}"),
    ("a place inside of a column", with_field('external_ref = { template = "{No.x}" }'), "no column No.x"),
    ("an open place", with_field('external_ref = { template = "{No" }'), "{COLUMN}"),
    ("a place with a format", with_field('external_ref = { template = "{No:>9999999999}" }'), "no column No:>9"),
    ("a skip without condition", MAPPING + '[[skip]]\ncolumn = "Town"\n', "at_most, equals"),
    ("a skip of no column", MAPPING + '[[skip]]\ncolumn = "City"\nequals = "x"\n', "no column City"),
    ("a long delimiter", MAPPING.replace('";"', '";;"'), "delimiter"),
    ("a delimiter that cannot be", MAPPING.replace('";"', '"\\""'), "delimiter"),
    ("an unknown encoding", MAPPING.replace("latin-1", "latin-7"), "encoding"),
    ("a bad portfolio", MAPPING.replace('"theirs"', '"a b"'), "portfolio"),
]


@pytest.mark.parametrize(
    ("mapping", "told"), [case[1:] for case in REFUSED_MAPPINGS], ids=[case[0] for case in REFUSED_MAPPINGS]
)
def test_a_mapping_that_cannot_be_used_is_refused_in_one_line(
    attempt: Callable[..., Done], database: Database, mapping: str, told: str
) -> None:
    assert told in the_error(attempt(THEIRS, mapping=mapping))

    assert row_counts(database)["debtors"] == 0


def test_a_mapping_that_is_not_there_is_named(attempt: Callable[..., Done]) -> None:
    assert "no.toml" in the_error(attempt(text_of(a_row()), "--mapping", "no.toml"))


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


def test_deleted_debtors_come_in_anew(imported: Importer, database: Database) -> None:
    imported(text_of(a_row("A-1"), a_row("A-2")))
    [first, second] = debtor_rows(database)
    with database.write() as connection:
        connection.execute(debtors.delete().where(debtors.c.id == second["id"]))

    assert imported(text_of(a_row("A-1"), a_row("A-2")))["created"] == 1

    [kept_one, new_one] = debtor_rows(database)
    assert kept_one["id"] == first["id"]
    assert new_one["id"] > second["id"]
    assert row_counts(database)["assessments"] == 3


def test_rows_are_validated_as_the_api_validates_debtors() -> None:
    """Field by field the same types; only a reference, which an API's client may leave out, a file must give."""
    types = get_type_hints(DebtorIn, include_extras=True) | {"external_ref": ExternalRef}

    assert get_args(_ROW) == tuple(types[name] for name in DebtorRow._fields)
