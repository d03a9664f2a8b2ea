"""A file that is the whole portfolio says who is gone: they are listed, and closed when asked and when it is sure."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.risk_assessment.builders import add_debtor, change_debtor, debtor_rows, every_row
from tests.risk_assessment.commands import Done, the_error
from tests.risk_assessment.debtors.csv_files import Importer, a_row, text_of

from risk_assessment.debtors.bulk import CHUNK
from risk_assessment.tables import audit_records, debtors, stops
from service_kit.database.engine import Database

Attempt = Callable[..., Done]
FULL = text_of(a_row("A-1"), a_row("A-2"), a_row("A-3"), a_row("A-4"))
PART = text_of(a_row("A-1"), a_row("A-3"))
TEST_ROWS = (
    "[fields]\n"
    + "".join(f'{name} = {{ column = "{name}" }}\n' for name in FULL.splitlines()[0].split(","))
    + '[[skip]]\ncolumn = "name"\nequals = "Test"\n'
)


def open_ones(database: Database) -> list[str]:
    return [row["external_ref"] for row in debtor_rows(database, "default") if row["payment_status"] != "PAID"]


def listed(folder: Path) -> list[str]:
    header, *lines = (folder / "file.missing.csv").read_text().splitlines()
    assert header == "debtor_id,external_ref"
    return [line.partition(",")[2] for line in lines]


def test_who_is_gone_is_listed_and_stays_open(imported: Importer, database: Database, folder: Path) -> None:
    imported(FULL)
    before = debtor_rows(database)

    report = imported(PART, "--full")

    assert (report["missing"], report["missing_file"], report["closed"]) == (2, "file.missing.csv", 0)
    assert listed(folder) == ["A-2", "A-4"]
    assert debtor_rows(database) == before


def test_a_part_of_a_portfolio_says_nothing_of_the_others(imported: Importer, folder: Path) -> None:
    imported(FULL)

    assert "missing" not in imported(PART)
    assert not (folder / "file.missing.csv").exists()


def test_who_is_gone_is_closed_when_asked(imported: Importer, database: Database, folder: Path) -> None:
    imported(FULL)

    report = imported(PART, "--close-missing")

    assert (report["missing"], report["closed"], report["updated"], report["unchanged"]) == (2, 2, 0, 2)
    rows = {row["external_ref"]: row for row in debtor_rows(database)}
    for gone in (rows["A-2"], rows["A-4"]):
        assert (gone["payment_status"], gone["total_debt_amount"], gone["version"]) == ("PAID", 0, 2)
    assert rows["A-1"]["version"] == rows["A-3"]["version"] == 1
    with database.read() as connection:
        noted = set(connection.execute(select(stops.c.debtor_id)).scalars())
        record = connection.execute(select(audit_records).order_by(audit_records.c.id.desc()).limit(1)).one()
    assert noted == {rows["A-2"]["id"], rows["A-4"]["id"]}
    assert (record.action, json.loads(record.detail)["closed"]) == ("portfolio.imported", 2)
    again = imported(PART, "--close-missing")
    assert (again["missing"], again["missing_file"], again["closed"]) == (0, None, 0)
    assert not (folder / "file.missing.csv").exists()


def test_who_comes_back_is_open_again(imported: Importer, database: Database) -> None:
    imported(FULL)
    imported(PART, "--close-missing")

    imported(FULL, "--close-missing")

    assert open_ones(database) == ["A-1", "A-2", "A-3", "A-4"]


def test_only_open_debtors_with_a_reference_can_be_gone(imported: Importer, database: Database) -> None:
    imported(FULL)
    imported(FULL, "--portfolio", "other")
    paid = debtor_rows(database)[1]["id"]
    change_debtor(database, paid, payment_status="PAID")
    change_debtor(database, debtor_rows(database)[2]["id"], external_ref=None)
    before = debtor_rows(database, "other")

    report = imported(text_of(a_row("A-1")), "--close-missing")

    assert (report["missing"], report["closed"]) == (1, 1)
    assert open_ones(database) == ["A-1", None]
    assert debtor_rows(database, "other") == before


def test_who_was_created_after_the_import_began_is_not_gone(imported: Importer, database: Database) -> None:
    imported(FULL)
    newest = add_debtor(database, external_ref="A-5")
    with database.write() as connection:
        late = debtors.update().where(debtors.c.id == newest)
        connection.execute(late.values(created_at=datetime(2999, 1, 1, tzinfo=UTC)))

    assert imported(FULL, "--full")["missing"] == 0


def test_a_rejected_row_is_there(imported: Importer, database: Database) -> None:
    imported(FULL)

    rows = [a_row("A-1"), a_row("A-2", name=""), a_row("A-3"), a_row("A-3")]
    report = imported(text_of(*rows), "--close-missing")

    assert (report["rejected"], report["missing"], report["closed"]) == (3, 1, 1)
    assert open_ones(database) == ["A-1", "A-2", "A-3"]


UNREADABLE = {
    "no reference": text_of(a_row("A-1"), a_row("")),
    "a number": text_of(a_row("A-1"), a_row("1002.0")),
    "too few columns": text_of(a_row("A-1")) + "A-2,Alex\n",
    "no text": text_of(a_row("A-1"), a_row("A-X")).encode().replace(b"A-X", b"A-\xff"),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=list(UNREADABLE))
def test_no_debtor_is_closed_while_a_row_may_be_of_any(
    attempt: Attempt, imported: Importer, database: Database, folder: Path, content: str | bytes
) -> None:
    imported(FULL)
    before = debtor_rows(database)

    done = attempt(content, "--close-missing")

    assert done.code == 3
    assert "note: no missing debtor was closed: 1 rejected rows have no reference that can be read" in done.err
    assert debtor_rows(database) == before
    assert listed(folder) == ["A-2", "A-3", "A-4"]


def test_a_row_left_out_is_there_and_needs_no_reference(imported: Importer, database: Database) -> None:
    imported(FULL)
    rows = [a_row("A-1"), a_row("A-2", name="Test"), a_row("", name="Test")]

    report = imported(text_of(*rows), "--close-missing", mapping=TEST_ROWS)

    assert (report["skipped"], report["missing"], report["closed"]) == (2, 2, 2)
    assert open_ones(database) == ["A-1", "A-2"]


def test_a_file_without_rows_closes_no_debtor(attempt: Attempt, imported: Importer, database: Database) -> None:
    imported(FULL)

    done = attempt(text_of(), "--close-missing")

    assert (done.code, the_error(done)) == (
        4,
        "the file has no rows, so it is not the whole portfolio: no debtor was closed",
    )
    assert len(open_ones(database)) == 4


def test_the_list_never_replaces_another_file(attempt: Attempt, folder: Path, database: Database) -> None:
    (folder / "mine.csv").write_text("precious\n")
    before = every_row(database)

    done = attempt(FULL, "--missing", "mine.csv")

    assert (done.code, the_error(done)) == (4, "mine.csv exists and is no list of missing debtors: name another one")
    assert every_row(database) == before
    assert (folder / "mine.csv").read_text() == "precious\n"


def test_thousands_may_be_gone(imported: Importer, database: Database, folder: Path) -> None:
    rows = [a_row(f"A-{n}") for n in range(2 * CHUNK + 5)]
    imported(text_of(*rows))

    report = imported(text_of(*rows[::2]), "--close-missing")

    assert (report["missing"], report["closed"], report["unchanged"]) == (CHUNK + 2, CHUNK + 2, CHUNK + 3)
    assert sorted(listed(folder)) == sorted(str(row["external_ref"]) for row in rows[1::2])
    assert sorted(open_ones(database)) == sorted(str(row["external_ref"]) for row in rows[::2])
