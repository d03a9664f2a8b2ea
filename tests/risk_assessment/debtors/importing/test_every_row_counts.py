"""No row is lost: what was read and what was rejected make up the file, or it is refused before the first write."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.risk_assessment.builders import debtor_rows, every_row, row_counts
from tests.risk_assessment.commands import Done, run, the_error
from tests.risk_assessment.debtors.csv_files import COLUMNS, a_row, rejects, text_of

from risk_assessment.debtors.bulk import ScoredRow
from risk_assessment.debtors.loading import BulkLoad
from service_kit.database.engine import Database

Attempt = Callable[..., Done]


def lines_of(count: int, **odd: str) -> str:
    """A file of plain lines, where the lines named `line_N` are other ones."""
    lines = [",".join(COLUMNS), *(",".join(map(str, a_row(f"Q-{n}").values())) for n in range(count))]
    for name, text in odd.items():
        lines[int(name.removeprefix("line_")) - 1] = text
    return "\n".join(lines) + "\n"


def test_an_open_quote_is_refused_with_the_lines_it_swallowed(attempt: Attempt, database: Database) -> None:
    before = every_row(database)

    done = attempt(lines_of(5_000, line_6='Q-4,"Big Boy Pizza,1200.00,900.00,3,EMPLOYED,PERMANENT,RETAIL'))

    assert done.code == 4
    assert the_error(done).startswith("line 6 began a quote that swallowed lines 6-")
    assert every_row(database) == before


def test_a_quote_that_a_later_one_closes_is_refused_too(attempt: Attempt, database: Database) -> None:
    odd = {
        "line_6": 'Q-4,"Big Boy Pizza,1200.00,900.00,3,EMPLOYED,PERMANENT,RETAIL',
        "line_902": 'Q-900,Late",1200.00,900.00,3,EMPLOYED,PERMANENT,RETAIL',
    }

    assert "swallowed lines 6-902" in the_error(attempt(lines_of(2_000, **odd)))
    assert row_counts(database)["debtors"] == 0


def test_a_quote_in_a_column_that_is_not_read_swallows_nothing_either(attempt: Attempt, database: Database) -> None:
    lines = lines_of(50).splitlines()
    content = "\n".join(f"{line},{'note' if not n else 'fine'}" for n, line in enumerate(lines))
    content = content.replace("fine", '"fine', 10).replace('"fine', "fine", 9)  # the tenth
    content = content[: content.rindex("fine")] + 'fine"\n'

    assert "began a quote that swallowed lines 11-51" in the_error(attempt(content))
    assert row_counts(database)["debtors"] == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (text_of(a_row("A-1")), 0),
        (text_of(), 0),
        (text_of(a_row("A-1"), a_row("A-2", name="")), 3),
        (text_of(a_row("A-2", name="")), 4),
        (text_of(a_row("A-1"), a_row("A-1")), 4),
        ("a,b\n1,2\n", 4),
        ("", 4),
    ],
)
def test_the_exit_code_says_whether_all_came_in(attempt: Attempt, content: str, code: int) -> None:
    assert attempt(content).code == code


def test_an_old_reject_file_does_not_survive_a_clean_import(attempt: Attempt, folder: Path) -> None:
    assert attempt(text_of(a_row("A-1"), a_row("A-2", name=""))).code == 3
    assert rejects(folder)

    assert attempt(text_of(a_row("A-1"), a_row("A-2"))).code == 0

    assert not (folder / "file.rejects.csv").exists()


@pytest.mark.parametrize("link", [None, os.link, os.symlink], ids=["itself", "a hard link", "a symbolic link"])
def test_the_input_is_not_its_own_reject_file(
    attempt: Attempt, folder: Path, database: Database, link: Callable[[str, str], None] | None
) -> None:
    (folder / "file.csv").touch()
    if link is not None:
        link("file.csv", "other.csv")
    content = text_of(a_row("A-1", name=""))

    done = attempt(content, "--rejects", "other.csv" if link else "file.csv")

    assert (done.code, "is the file to import" in the_error(done)) == (4, True)
    assert (folder / "file.csv").read_text() == content
    assert every_row(database)["audit_records"] == []


@pytest.mark.parametrize("other", ["map.toml", "some.db"])
def test_another_file_is_not_overwritten_by_rejects(attempt: Attempt, folder: Path, other: str) -> None:
    (folder / other).write_bytes(b"precious")

    assert attempt(text_of(a_row("A-1", name="")), "--rejects", other).code == 4

    assert (folder / other).read_bytes() == b"precious"


def test_a_reject_file_that_cannot_be_made_stops_the_import_before_it_begins(
    attempt: Attempt, database: Database
) -> None:
    rows = [a_row(f"A-{n}") for n in range(2_500)] + [a_row("B-1", name="")]

    done = attempt(text_of(*rows), "--rejects", "nowhere/x.csv")

    assert (done.code, "nowhere/x.csv" in the_error(done)) == (4, True)
    assert every_row(database)["debtors"] == every_row(database)["audit_records"] == []


def test_a_pipe_comes_in(folder: Path, env: dict[str, str], database: Database) -> None:
    os.mkfifo(folder / "pipe")
    content = text_of(*(a_row(f"A-{n}") for n in range(6_000)), a_row("B-1", total_debt_amount="x"))
    writer = threading.Thread(target=(folder / "pipe").write_text, args=(content,))
    writer.start()

    done = run("import-debtors", "pipe", **env)
    writer.join()

    assert done.code == 3, done.err
    assert len(debtor_rows(database)) == 6_000
    assert [row for row, _, _ in rejects(folder, "pipe.rejects.csv")] == ["6002"]


def test_standard_input_comes_in_by_the_name_of_a_hyphen(folder: Path, env: dict[str, str], database: Database) -> None:
    content = text_of(a_row("A-1"), a_row("A-2", name=""))

    done = run("import-debtors", "-", stdin=content, **env)

    assert done.code == 3, done.err
    assert len(debtor_rows(database)) == 1
    assert [row for row, _, _ in rejects(folder, "stdin.rejects.csv")] == ["3"]


def test_a_file_that_grows_while_it_is_read_is_reported(
    attempt: Attempt, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = BulkLoad.load

    def load_and_grow(self: BulkLoad, rows: list[ScoredRow]) -> None:
        load(self, rows)
        with (folder / "file.csv").open("a") as file:
            file.write("more\n")

    monkeypatch.setattr(BulkLoad, "load", load_and_grow)

    done = attempt(text_of(a_row("A-1")))

    assert (done.code, the_error(done)) == (1, "the file changed while it was read: import it again")
