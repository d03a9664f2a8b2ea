"""The header is found where it is clear which line it is, and what is there instead is said otherwise."""

import re
from pathlib import Path

import pytest

from service_kit.csv_files.header import Style
from service_kit.csv_files.kinds import ImportRefusedError

from .tables import a_table, records_of

ROW = [["A-1", "5"]]


@pytest.mark.parametrize(
    "content",
    [
        "ref,amount\nA-1,5\n",
        "ref;amount\nA-1;5\n",
        "ref\tamount\nA-1\t5\n",
        "ref|amount\nA-1|5\n",
        "sep=;\nref;amount\nA-1;5\n",
        '"sep=:"\nref:amount\nA-1:5\n',
        "REF,Amount\nA-1,5\n",
        " ref , amount \nA-1,5\n",
        "\nref,amount\nA-1,5\n",
        "Aged receivables as of today,\n,\nref,amount\nA-1,5\n",
        'A "quoted" title\n"and an open one\nref,amount\nA-1,5\n',
        "ref,amount,,\nA-1,5,,\n",
        "ref,amount\nA-1,5,,,\n",
        "\ufeffref,amount\nA-1,5\n",
        "ref,amount\n\n   \nA-1,5\n\x1a",
    ],
)
def test_harmless_variants_are_taken(tmp_path: Path, content: str) -> None:
    assert [record for _, record in records_of(tmp_path, content)] == ROW


def test_rows_are_counted_from_the_top_of_the_file(tmp_path: Path) -> None:
    content = "A title\n\nref,amount\nA-1,5\n\nA-2,6\n"

    assert records_of(tmp_path, content) == [(4, ["A-1", "5"]), (6, ["A-2", "6"])]


def test_lines_above_the_header_may_be_declared(tmp_path: Path) -> None:
    content = "ref,amount\nthe line above shows how the table would look,\nref,amount\nA-1,5\n"

    assert records_of(tmp_path, content, Style(skip_rows=2)) == [(4, ["A-1", "5"])]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("late_count", "LATE COUNT"),
        ("late_count", "Late-Count"),
        ("Late Count", "late_count"),
        ("late_count", "late.count"),
        ("STRASSE", "straße"),
    ],
)
def test_case_and_blanks_in_a_name_do_not_matter(tmp_path: Path, name: str, header: str) -> None:
    with a_table(tmp_path, f"ref,{header}\n", ("ref", name)) as table:
        assert table.header.place_of(name) == 1


@pytest.mark.parametrize(("name", "header"), [("+30", "-30"), ("amount", "amounts"), ("a_b", "ab"), ("", "_")])
def test_what_may_mean_something_else_is_not_taken(tmp_path: Path, name: str, header: str) -> None:
    with pytest.raises(ImportRefusedError, match="no column"), a_table(tmp_path, f"ref,{header}\n", ("ref", name)):
        pass


def test_a_name_that_two_columns_could_have_is_refused_unless_one_has_it(tmp_path: Path) -> None:
    with a_table(tmp_path, "ref,Amount,amount\n") as table:
        assert table.header.place_of("amount") == 2
    with (
        pytest.raises(ImportRefusedError, match="several that could be meant: Amount, AMOUNT"),
        a_table(tmp_path, "ref,Amount,AMOUNT\n"),
    ):
        pass
    with (
        pytest.raises(ImportRefusedError, match="several columns named amount"),
        a_table(tmp_path, "ref,amount,amount\n"),
    ):
        pass
    with a_table(tmp_path, "ref,amount,note,note\n") as table:
        assert table.header.width == 4


REFUSED = [
    ("Account;Owes\nA-1;5\n", Style(), "no column ref, amount; it has Account, Owes"),
    ("ref,Owes\nA-1,5\n", Style(), "no column amount; it has ref, Owes"),
    ("ref,amount\nA-1,5\n", Style(delimiter=";"), 'separated by ",": set delimiter = ","'),
    ("ref\tamount\n", Style(delimiter=";"), r'set delimiter = "\t"'),
    ("A-1,Ada Lind,5\nA-2,Bo Berg,6\n", Style(), "line 1 seems to hold values"),
    ("Größe,Betrag\n".encode("cp1252"), Style(), 'not UTF-8: set encoding in the mapping, such as encoding = "cp1252"'),
    ("a title\nref,amount\n", Style(skip_rows=0), "no column ref, amount; it has a title"),
    ("ref,amount\n", Style(skip_rows=1), "no line after skip_rows"),
    ("ref\x00\x1b[2J,b\n", Style(), "it has ref??[2J, b"),
    ("\n\n \n", Style(), "the file is empty"),
    (b"\xef\xbb\xbf", Style(), "the file is empty"),
    ('"ref,amount\nA-1,5\n', Style(), "a quote that line 1 begins is not closed"),
    (",".join(f"x{n}" for n in range(100)) + "\n", Style(), "x19 and 80 more"),
]


@pytest.mark.parametrize(("content", "style", "reason"), REFUSED)
def test_a_file_without_the_columns_says_what_it_has(
    tmp_path: Path, content: str | bytes, style: Style, reason: str
) -> None:
    with pytest.raises(ImportRefusedError, match=re.escape(reason)), a_table(tmp_path, content, style=style):
        pass


def test_a_file_that_begins_with_persons_does_not_quote_them(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError) as refused, a_table(tmp_path, "A-1,Ada Lind,5\n"):
        pass
    assert "Lind" not in str(refused.value)
