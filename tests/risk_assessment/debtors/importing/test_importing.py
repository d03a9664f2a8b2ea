"""Portfolios come in from CSV: every row is accounted for, and the same file again changes nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.risk_assessment import independent
from tests.risk_assessment.builders import change_debtor, debtor_rows, every_row, row_counts
from tests.risk_assessment.debtors.csv_files import COLUMNS, Importer, a_row, text_of
from tests.support.servers import MariaDb

from recovery_core.scoring.scorer import Score, Scorer
from risk_assessment.debtors.bulk import CHUNK
from risk_assessment.tables import assessments, debtors
from service_kit.database.engine import Database


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


@pytest.fixture
def unusual_server(database: Database, mariadb: MariaDb) -> Iterator[None]:
    """A server whose administrator has set other SQL modes for everyone."""
    if database.dialect == "mysql":
        mariadb.execute("SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
    yield
    mariadb.execute("SET GLOBAL sql_mode = DEFAULT")


@pytest.mark.usefixtures("unusual_server")
def test_quotes_and_backslashes_come_in_as_they_are(imported: Importer, database: Database) -> None:
    name = 'O\'Neil \\ "x" %s :a ; --'
    content = text_of(a_row("O'Neil\\1", name=name.replace('"', '""')))

    assert imported(content)["created"] == 1
    assert imported(content)["unchanged"] == 1

    [stored] = debtor_rows(database, "default")
    assert (stored["external_ref"], stored["name"]) == ("O'Neil\\1", name)


def test_the_same_file_again_changes_nothing(imported: Importer, database: Database) -> None:
    content = text_of(a_row("A-1"), a_row("A-2"), a_row("B-1"), a_row("B-1", name="Twice"), a_row("A-3", name=""))
    first = imported(content)
    before = kept(database)

    second = imported(content)

    assert (first["created"], first["rejected"]) == (2, 3)
    assert (second["created"], second["updated"], second["unchanged"], second["rejected"]) == (0, 0, 2, 3)
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


def test_what_a_file_does_not_contain_stays_as_it_is(imported: Importer, database: Database) -> None:
    imported(text_of(a_row("A-1"), a_row("A-2")))
    paid = debtor_rows(database)[0]["id"]
    change_debtor(database, paid, payment_status="PAID", family_situation="MARRIED_DUAL_INCOME")

    report = imported(text_of(a_row("A-1"), a_row("A-2")))
    updated = imported(text_of(a_row("A-1", late_payments_count=5), a_row("A-2")))

    assert (report["unchanged"], updated["updated"]) == (2, 1)
    row = debtor_rows(database)[0]
    assert (row["payment_status"], row["family_situation"]) == ("PAID", "MARRIED_DUAL_INCOME")
    assert row["late_payments_count"] == 5


def test_a_column_that_is_there_but_blank_counts(imported: Importer, database: Database) -> None:
    columns = (*COLUMNS, "payment_status", "family_situation")
    filled = {"payment_status": "PARTIAL", "family_situation": "DIVORCED_NO_DEPENDENTS"}
    imported(text_of(a_row() | filled, columns=columns))
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


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The facts that were scored, one entry a call."""
    calls: list[tuple[Any, ...]] = []
    score = Scorer.score

    def counted(scorer: Scorer, facts: Sequence[Any]) -> Score:
        calls.append(tuple(facts))
        return score(scorer, facts)

    monkeypatch.setattr(Scorer, "score", counted)
    return calls


def test_each_row_is_scored_once_whatever_becomes_of_it(imported: Importer, scored: list[tuple[Any, ...]]) -> None:
    rows = [a_row(f"A-{n}", late_payments_count=n) for n in range(2 * CHUNK + 1)]

    assert imported(text_of(*rows))["created"] == len(rows)
    assert scored == [
        (500_000, 250_000, n, "EMPLOYED", "PERMANENT", "TECHNOLOGY", None, None) for n in range(len(rows))
    ]

    scored.clear()
    rows[7] |= {"name": "Only a name"}
    rows[9] |= {"late_payments_count": 77_777}
    rows += [a_row("B-2"), a_row("B-2", name="Twice")]
    rows.append(a_row("B-1", contract_type="NONE"))  # not even a debtor
    report = imported(text_of(*rows))
    assert (report["updated"], report["unchanged"], report["rejected"]) == (2, len(rows) - 5, 3)
    assert len(scored) == len(rows) - 3


def test_a_row_is_scored_again_only_when_its_debtor_keeps_another_fact(
    imported: Importer, database: Database, scored: list[tuple[Any, ...]]
) -> None:
    content = text_of(a_row("A-1"), a_row("A-2"), a_row("A-3"))
    imported(content)
    first, second, _ = debtor_rows(database)
    change_debtor(database, first["id"], payment_status="PAID")
    change_debtor(database, second["id"], family_situation="MARRIED_DUAL_INCOME")
    scored.clear()

    imported(content)

    assert [facts[-2] for facts in scored] == [None, None, None, "MARRIED_DUAL_INCOME"]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf%s", b"%s"], ids=["with a byte order mark", "without"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_files_as_spreadsheets_write_them_come_in(imported: Importer, content: bytes, newline: bytes) -> None:
    text = text_of(a_row("A-1"), a_row("A-2")).encode().replace(b"\n", newline)

    assert imported(content % text)["created"] == 2


def test_deleted_debtors_come_in_again(imported: Importer, database: Database) -> None:
    imported(text_of(a_row("A-1"), a_row("A-2")))
    [first, second] = debtor_rows(database)
    with database.write() as connection:
        connection.execute(debtors.delete().where(debtors.c.id == second["id"]))

    assert imported(text_of(a_row("A-1"), a_row("A-2")))["created"] == 1

    [kept_one, new_one] = debtor_rows(database)
    assert kept_one["id"] == first["id"]
    assert new_one["id"] > second["id"]
    assert row_counts(database)["assessments"] == 3
