"""Every line of a file is a record, a reason, or swallowed by a quote that is named: none is lost without a word."""

import re
from pathlib import Path

import pytest

from service_kit.csv_files import table
from service_kit.csv_files.header import Style
from service_kit.csv_files.kinds import ImportRefusedError

from .tables import a_table, records_of

HEADER = "ref,note,amount\n"


def rows(start: int, end: int) -> str:
    return "".join(f"A-{n},fine,{n}\n" for n in range(start, end))


@pytest.mark.parametrize("count", [1, 500, 5_000])
def test_records_keep_their_row_numbers_however_many_there_are(tmp_path: Path, count: int) -> None:
    found = records_of(tmp_path, HEADER + rows(0, count))

    assert found == [(n + 2, [f"A-{n}", "fine", str(n)]) for n in range(count)]


def test_row_numbers_go_on_after_lines_that_are_read_one_by_one(tmp_path: Path) -> None:
    content = HEADER + rows(0, 600) + 'B-1,"two\nlines",7\n\n' + rows(600, 900) + "too,few\n" + rows(900, 1_000)

    found = records_of(tmp_path, content)

    assert found[600] == (602, ["B-1", "two\nlines", "7"])
    assert found[601] == (604, ["A-600", "fine", "600"])
    assert found[901] == (904, "the row has 2 columns, the header 3")
    assert found[-1] == (1_004, ["A-999", "fine", "999"])
    assert len(found) == 1_002


@pytest.mark.parametrize("before", [0, 4, 700])
@pytest.mark.parametrize("after", [1, 3, 2_000])
def test_a_quote_that_is_never_closed_is_named_with_what_it_swallowed(tmp_path: Path, before: int, after: int) -> None:
    content = HEADER + rows(0, before) + 'B-1,"open,7\n' + rows(0, after)

    with pytest.raises(ImportRefusedError) as refused:
        records_of(tmp_path, content)

    first = before + 2
    assert str(refused.value).startswith(f"line {first} began a quote that swallowed lines {first}-{first + after}:")


SWALLOWING = [
    ("a later quote in its middle", 'B-1,"open,7\n' + rows(0, 5) + 'B-2,"late,8\n', "lines 2-8"),
    ("a later quote that closes it", 'B-1,"open,7\n' + rows(0, 5) + 'B-2,late",8\n', "lines 2-8"),
    ("the very next line closes it", 'B-1,"open,7\nB-2,late",8\n', "lines 2-3"),
    ("after a text of two lines", 'B-1,"two\nlines",7\nB-2,"open,7\nB-3,late",8\n', "lines 4-5"),
    ("in a column behind", 'B-1,"two\nlines",7\nB-1,fine,"7\nB-2,fine,8\nB-3,fine,9"\n', "lines 4-6"),
]


@pytest.mark.parametrize(("content", "lines"), [case[1:] for case in SWALLOWING], ids=[case[0] for case in SWALLOWING])
def test_a_quote_that_closes_later_has_swallowed_rows_too(tmp_path: Path, content: str, lines: str) -> None:
    with pytest.raises(ImportRefusedError, match=f"swallowed {lines}:"):
        records_of(tmp_path, HEADER + content)


def test_the_quote_is_found_in_a_record_that_had_another_before(tmp_path: Path) -> None:
    content = 'ref,note,more,amount\nB-1,"two\nlines ""quoted""","open,7\nB-2,a,b,8\n'

    with pytest.raises(ImportRefusedError, match="line 3 began a quote that swallowed lines 3-4:"):
        records_of(tmp_path, content)


def test_texts_of_several_lines_are_texts(tmp_path: Path) -> None:
    content = HEADER + 'B-1,"called, twice,\nno answer, again\n\n",7\nB-2,"a ""b""\r\nc",8\n'

    assert records_of(tmp_path, content) == [
        (2, ["B-1", "called, twice,\nno answer, again\n\n", "7"]),
        (3, ["B-2", 'a "b"\r\nc', "8"]),
    ]


def test_a_text_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_RECORD_LINES", 50)

    with pytest.raises(ImportRefusedError, match="line 2 began a quote that swallowed lines 2-62:"):
        records_of(tmp_path, HEADER + 'B-1,"' + "a line\n" * 60 + '",7\n')


REASONS = [
    ('"B-1"x,fine,7\n', "a quote is closed in the middle of its cell"),
    ('B-1,"open,7', "a quote is not closed"),
    (f"B-1,{'x' * 140_000},7\n", "a cell has more than 131,072 characters"),
    ("B-1,fine,7,8\n", "the row has 4 columns, the header 3"),
    ("B-1\n", "the row has 1 columns, the header 3"),
]


@pytest.mark.parametrize(("line", "reason"), REASONS, ids=[reason for _, reason in REASONS])
def test_a_line_that_is_no_row_is_one_reason(tmp_path: Path, line: str, reason: str) -> None:
    good, bad = records_of(tmp_path, HEADER + rows(0, 1) + line)

    assert good == (2, ["A-0", "fine", "0"])
    assert bad[0] == 3
    assert reason in bad[1]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings_of_other_systems_are_read(tmp_path: Path, newline: str, encoding: str) -> None:
    content = (HEADER + "A-1,Größe,5\n").replace("\n", newline).encode(encoding)

    assert records_of(tmp_path, content) == [(2, ["A-1", "Größe", "5"])]


def test_a_declared_encoding_that_the_file_contradicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match=re.escape("the file is UTF-8 and the mapping says cp1252")):
        records_of(tmp_path, HEADER + "A-1,Größe,5\n", Style(encoding="cp1252"))


def test_utf16_that_ends_within_a_character_is_refused(tmp_path: Path) -> None:
    content = (HEADER + "A-1,x,5\n").encode("utf-16")[:-1]

    with pytest.raises(ImportRefusedError, match="not utf-16 throughout"):
        records_of(tmp_path, content)


def test_a_header_of_thousands_of_columns_is_found(tmp_path: Path) -> None:
    many = ",".join(f"column number {n}" for n in range(16_000))
    with a_table(tmp_path, f"ref,{many},amount\n") as found:
        assert found.header.place_of("amount") == 16_001
