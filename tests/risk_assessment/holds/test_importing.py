"""Holds come in from CSV row by row, once, and what cannot come in is listed with row, column and reason."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from tests.risk_assessment.builders import NOON, add_debtor
from tests.risk_assessment.commands import Done, run, the_error
from tests.risk_assessment.holds.conftest import Importer

from recovery_core.holds import ALL_ACTIONS, mask_of
from risk_assessment.tables import audit_records, debtors, hold_ends, holds, persons, portfolios, stops
from service_kit.database.engine import Database

HEADER = "portfolio,external_ref,person_ref,kind,from,until,reason,source"


@pytest.fixture
def debtor(database: Database) -> int:
    return add_debtor(database, portfolio="book", external_ref="ACC-1")


def stored(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(holds).order_by(holds.c.number))]


def noted(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(stops.c.debtor_id).order_by(stops.c.debtor_id)).scalars())


def forget_notes(database: Database) -> None:
    with database.write() as connection:
        connection.execute(delete(stops))


def in_zone(database: Database, zone: str) -> None:
    with database.write() as connection:
        connection.execute(delete(portfolios))
        values = {"time_zone": zone, "jurisdiction": "none", "attributes": "{}", "created_at": NOON, "updated_at": NOON}
        connection.execute(insert(portfolios).values(name="book", **values))


def text_of(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows, ""])


def rejects(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "file.rejects.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "column", "reason"]
    return [(row, column, reason) for row, column, reason in rows]


ROWS = (
    "book,ACC-1,,DISPUTE,2026-03-01,2026-03-31,Letter of 1 March,crm",
    "book,,P-1,bankruptcy,2026-03-01T10:00:00+01:00,,Case 17,court",
    "book,ACC-1,,Time-Barred,2026-03-01,,Too old,",
)


def test_rows_become_holds_of_debtors_and_persons(
    imported: Importer, database: Database, debtor: int, folder: Path
) -> None:
    in_zone(database, "Europe/Berlin")

    report = imported(text_of(*ROWS))

    assert report == {"rows": 3, "created": 3, "unchanged": 0, "skipped": 0, "rejected": 0, "reject_file": None}
    assert not (folder / "file.rejects.csv").exists()
    with database.read() as connection:
        person = connection.execute(select(persons.c.id)).scalar_one()
    first, second, third = stored(database)
    wanted = {"debtor_id": debtor, "person_id": None, "portfolio": "book", "kind": "DISPUTE", "blocked": ALL_ACTIONS}
    assert first | wanted == first
    assert (first["reason"], first["source"], third["source"]) == ("Letter of 1 March", "crm", None)
    # A date is a whole day of the portfolio, and its clocks go forward on 29 March.
    assert (first["starts_at"], first["ends_at"]) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 31, 22, tzinfo=UTC),
    )
    assert (second["debtor_id"], second["person_id"], second["kind"]) == (None, person, "BANKRUPTCY")
    assert (second["starts_at"], second["ends_at"]) == (datetime(2026, 3, 1, 9, tzinfo=UTC), None)
    assert third["blocked"] == mask_of(["LEGAL_REVIEW"])
    assert len({row["id"] for row in (first, second, third)}) == 3


def test_the_same_file_again_changes_nothing(imported: Importer, database: Database, debtor: int) -> None:
    imported(text_of(*ROWS))
    before = stored(database)
    with database.write() as connection:
        end = {"ended_at": NOON, "reason": "Answered", "ended_by": "x", "recorded_at": NOON}
        connection.execute(insert(hold_ends).values(hold_number=before[0]["number"], **end))
    in_zone(database, "Asia/Tokyo")
    forget_notes(database)

    report = imported(text_of(*ROWS))

    assert (report["created"], report["unchanged"]) == (0, 3)
    assert stored(database) == before
    assert noted(database) == []


def test_a_row_is_recognized_by_target_kind_times_and_source(
    imported: Importer, database: Database, debtor: int
) -> None:
    header = f"debtor_id,{HEADER}"
    row = f"{debtor},,,,DISPUTE,2026-03-01T10:00:00Z,,First,crm"
    same = [row, f"{debtor},book,,,dispute,2026-03-01T11:00:00+01:00,,Other words,crm", f",book,ACC-1{row[8:]}"]
    same[2] = ",book,ACC-1,,DISPUTE,2026-03-01 10:00:00Z,,First,crm"
    others = [
        f"{debtor},,,,FRAUD_REVIEW,2026-03-01T10:00:00Z,,First,crm",
        f"{debtor},,,,DISPUTE,2026-03-01T10:00:01Z,,First,crm",
        f"{debtor},,,,DISPUTE,2026-03-01T10:00:00Z,2026-03-05,First,crm",
        f"{debtor},,,,DISPUTE,2026-03-01T10:00:00Z,,First,",
        ",book,,P-1,DISPUTE,2026-03-01T10:00:00Z,,First,crm",
    ]

    report = imported(text_of(*same, *others, header=header))

    assert (report["created"], report["unchanged"]) == (1 + len(others), len(same) - 1)
    assert stored(database)[0]["reason"] == "First"


BAD_ROWS: list[tuple[str, str]] = [
    ("book,ACC-1,,GRUDGE,2026-03-01,,Why,", "kind"),
    ("book,ACC-1,,,2026-03-01,,Why,", "kind"),
    ("book,ACC-1,,DISPUTE,,,Why,", "from"),
    ("book,ACC-1,,DISPUTE,01/03/2026,,Why,", "from"),
    ("book,ACC-1,,DISPUTE,2026-02-30,,Why,", "from"),
    ("book,ACC-1,,DISPUTE,2026-03-01T10:00:00,,Why,", "from"),
    ("book,ACC-1,,DISPUTE,1200-03-01,,Why,", "from"),
    ("book,ACC-1,,DISPUTE,2026-03-01,soon,Why,", "until"),
    ("book,ACC-1,,DISPUTE,2026-03-02,2026-03-01,Why,", "until"),
    ("book,ACC-1,,DISPUTE,2026-03-02,9999-12-31,Why,", "until"),
    ("book,ACC-1,,DISPUTE,2026-03-01,,,", "reason"),
    (f"book,ACC-1,,DISPUTE,2026-03-01,,{'x' * 1_001},", "reason"),
    ('book,ACC-1,,DISPUTE,2026-03-01,,"one\ntwo",', "reason"),
    ("book,ACC-1,,DISPUTE,2026-03-01,,a\x07b,", "reason"),
    (f"book,ACC-1,,DISPUTE,2026-03-01,,Why,{'x' * 201}", "source"),
    ("book,ACC-2,,DISPUTE,2026-03-01,,Why,", "external_ref"),
    ("book,1.2E+11,,DISPUTE,2026-03-01,,Why,", "external_ref"),
    ("book,ACC-1,P-1,DISPUTE,2026-03-01,,Why,", "external_ref"),
    ("book,,,DISPUTE,2026-03-01,,Why,", "external_ref"),
    (f"book,,{'x' * 129},DISPUTE,2026-03-01,,Why,", "person_ref"),
    ("nook,,P-1,DISPUTE,2026-03-01,,Why,", "portfolio"),
    (",,P-1,DISPUTE,2026-03-01,,Why,", "portfolio"),
    ("b/k,,P-1,DISPUTE,2026-03-01,,Why,", "portfolio"),
]


def test_bad_rows_are_listed_in_order_with_row_column_and_reason(
    imported: Importer, database: Database, debtor: int, folder: Path
) -> None:
    good = "book,ACC-1,,DISPUTE,2026-03-{day:02},,Why,"
    rows = [line for day, (row, _) in enumerate(BAD_ROWS, 1) for line in (good.format(day=day), row)]

    report = imported(text_of(*rows))

    assert (report["created"], report["rejected"]) == (len(BAD_ROWS), len(BAD_ROWS))
    assert report["reject_file"] == "file.rejects.csv"
    listed = rejects(folder)
    # The header is row 1 and the first good one row 2, as a spreadsheet counts them.
    assert [(row, column) for row, column, _ in listed] == [
        (str(3 + 2 * number), column) for number, (_, column) in enumerate(BAD_ROWS)
    ]
    assert all(reason and "GRUDGE" not in reason for _, _, reason in listed)
    assert len(stored(database)) == len(BAD_ROWS)


def test_everything_wrong_in_a_row_is_listed(imported: Importer, debtor: int, folder: Path) -> None:
    report = imported(text_of("book,ACC-1,P-1,GRUDGE,soon,later,,"))

    assert report["rejected"] == 1
    assert {column for _, column, _ in rejects(folder)} == {"external_ref", "kind", "from", "until", "reason"}


def test_a_debtor_is_found_by_its_id_within_the_portfolio_that_is_named(
    imported: Importer, database: Database, debtor: int, folder: Path
) -> None:
    other = add_debtor(database, portfolio="other")
    header = "Debtor ID,kind,from,reason"
    rows = [f"{one},DISPUTE,2026-03-01,Why" for one in (debtor, other, 10**12, "7.0", "0", -1)]

    report = imported(text_of(*rows, header=header), "--portfolio", "book")

    assert (report["created"], report["rejected"]) == (1, 5)
    assert [(row, column) for row, column, _ in rejects(folder)] == [(str(row), "Debtor ID") for row in range(3, 8)]
    assert imported(text_of(*rows[:2], header=header))["created"] == 1


def test_rows_without_a_portfolio_are_of_the_one_that_was_named(
    imported: Importer, database: Database, debtor: int
) -> None:
    imported(text_of("ACC-1;DISPUTE;2026-03-01;Why", header="external_ref;kind;from;reason"), "--portfolio", "book")

    assert [row["debtor_id"] for row in stored(database)] == [debtor]


def test_files_of_spreadsheets_come_in(imported: Importer, database: Database, debtor: int) -> None:
    text = (
        "\t".join(HEADER.split(","))
        + "\r\nbook\tACC-1\t\tDISPUTE\t2026-03-01\t\tSchrieb: »nein«\t\r\n\t\t\t\t\t\t\t\r\n"
    )

    report = imported(text.encode("utf-16"))

    assert (report["created"], report["skipped"]) == (1, 1)
    assert stored(database)[0]["reason"] == "Schrieb: »nein«"


def test_another_encoding_is_named_by_an_option(
    imported: Importer, database: Database, debtor: int, folder: Path
) -> None:
    content = text_of("book,ACC-1,,DISPUTE,2026-03-01,,Münze,").encode("cp1252")

    assert imported(content)["rejected"] == 1
    assert rejects(folder) == [("2", "reason", 'is not UTF-8: set encoding, such as encoding = "cp1252"')]
    assert imported(content, "--encoding", "cp1252")["created"] == 1
    assert stored(database)[0]["reason"] == "Münze"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "no column kind, from, reason"),
        ("kind,from,reason\nDISPUTE,2026-03-01,Why\n", "no column debtor_id, external_ref or person_ref"),
        (text_of('book,ACC-1,,DISPUTE,2026-03-01,,"Why,', *ROWS), "swallowed lines"),
        (b"PK\x03\x04 xl/workbook.xml", "Excel workbook"),
    ],
)
def test_a_file_that_is_none_is_refused_and_nothing_comes_in(
    attempt: Callable[..., Done], database: Database, debtor: int, content: str | bytes, said: str
) -> None:
    done = attempt(content)

    assert (done.code, said in the_error(done)) == (4, True), done.err
    assert stored(database) == []


def test_a_file_or_an_option_that_makes_no_sense_is_named(folder: Path, env: dict[str, str]) -> None:
    assert run("import-holds", "missing.csv", **env).code == 4
    assert run("import-holds", "x.csv", "--portfolio", "b/k", **env).code == 2
    assert run("import-holds", "x.csv", "--encoding", "klingon", **env).code == 2


def test_stops_are_noted_for_debtors_and_for_every_debtor_of_a_person(
    imported: Importer, database: Database, debtor: int
) -> None:
    others = [add_debtor(database, portfolio="book") for _ in range(3)]
    imported(text_of(ROWS[1]))
    with database.write() as connection:
        person = connection.execute(select(persons.c.id)).scalar_one()
        connection.execute(update(debtors).where(debtors.c.id.in_(others[:2])).values(person_id=person))
    forget_notes(database)

    imported(text_of(ROWS[0], "book,,P-1,DECEASED,2026-03-02,,Letter,"))

    assert noted(database) == [debtor, *others[:2]]


def test_an_import_leaves_one_audit_record_with_what_came_in(
    imported: Importer, database: Database, debtor: int
) -> None:
    imported(text_of(*ROWS))

    with database.read() as connection:
        record = connection.execute(select(audit_records).where(audit_records.c.action == "hold.imported")).one()
    assert (record.subject, record.detail) == ("portfolio:*", '{"created":3,"unchanged":0}')
    assert {row["recorded_by"] for row in stored(database)} == {record.actor}


def test_many_rows_come_in_chunk_by_chunk(imported: Importer, database: Database, debtor: int) -> None:
    rows = [f"book,,P-{number},DISPUTE,2026-03-01,,Why," for number in range(2_300)]

    report = imported(text_of(*rows, "book,,P-1,GRUDGE,2026-03-01,,Why,", *ROWS))

    assert (report["rows"], report["created"], report["rejected"]) == (2_304, 2_303, 1)
    assert imported(text_of(*rows))["unchanged"] == 2_300
