"""A mapping file brings in the columns of other systems, and a wrong one is refused in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.risk_assessment.builders import debtor_rows, row_counts
from tests.risk_assessment.commands import Done, the_error
from tests.risk_assessment.debtors.csv_files import Importer, a_row, rejects, text_of

from service_kit.database.engine import Database

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


def test_a_mapping_brings_in_columns_of_other_names(imported: Importer, database: Database, folder: Path) -> None:
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


def test_a_mapped_file_again_changes_nothing_and_may_go_to_another_portfolio(
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
    ("mapping", "reason"), [case[1:] for case in REFUSED_MAPPINGS], ids=[case[0] for case in REFUSED_MAPPINGS]
)
def test_a_mapping_that_cannot_be_used_is_refused_in_one_line(
    attempt: Callable[..., Done], database: Database, mapping: str, reason: str
) -> None:
    assert reason in the_error(attempt(THEIRS, mapping=mapping))

    assert row_counts(database)["debtors"] == 0


def test_a_mapping_that_is_not_there_is_named(attempt: Callable[..., Done]) -> None:
    assert "no.toml" in the_error(attempt(text_of(a_row()), "--mapping", "no.toml"))
