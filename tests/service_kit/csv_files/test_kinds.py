"""What is no CSV is refused by its name, with what to do."""

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from service_kit.csv_files.kinds import ImportRefusedError, decode_text, encoding_named, encoding_of, refuse_other_kinds

TABLE = b"ref,amount\nA-1,5\n"


def a_zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


def an_ods() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    return buffer.getvalue()


OTHERS: list[tuple[bytes, str]] = [
    (gzip.compress(TABLE), "a gzip archive"),
    (bz2.compress(TABLE), "a bzip2 archive"),
    (lzma.compress(TABLE), "an xz archive"),
    (a_zip("table.csv"), "a zip archive"),
    (a_zip(), "a zip archive"),
    (a_zip("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx)"),
    (an_ods(), "an OpenDocument spreadsheet (.ods)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "an old Excel workbook (.xls)"),
    (b"%PDF-1.7\n", "a PDF"),
    (b"<!DOCTYPE html><html><body>Log in</body></html>", "a web page"),
    (b"\n  <html>\n", "a web page"),
    (b'\xef\xbb\xbf<?xml version="1.0"?><rows/>', "XML"),
    (b'[{"ref": "A-1"}]', "JSON"),
    (b'{"items": []}', "JSON"),
    ("ref,amount\n".encode("utf-32"), "UTF-32"),
    (b"SQLite format 3\x00" + bytes(80), "an SQLite database"),
    (b"PAR1" + bytes(80), "a Parquet file"),
    (bytes(range(256)) * 3, "binary data"),
]


@pytest.mark.parametrize(("content", "kind"), OTHERS, ids=[kind for _, kind in OTHERS])
def test_another_kind_of_file_is_named(content: bytes, kind: str) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        refuse_other_kinds(content)

    assert str(refused.value).startswith(f"the file is {kind}")
    assert ", not CSV: " in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [TABLE, b"<DATE>;<AMOUNT>\n", b"{id},amount\n", b"[ref],amount\n", b"PKW,amount\n", "ref,Größe\n".encode("utf-16")],
)
def test_a_text_is_not_taken_for_something_else(content: bytes) -> None:
    refuse_other_kinds(content)


@pytest.mark.parametrize(
    ("content", "declared", "encoding"),
    [
        (TABLE, None, "utf-8"),
        (b"\xef\xbb\xbf" + TABLE, None, "utf-8-sig"),
        (b"\xef\xbb\xbf" + TABLE, "cp1252", "utf-8-sig"),
        (TABLE.decode().encode("utf-16"), None, "utf-16"),
        (TABLE.decode().encode("utf-16"), "utf-16-le", "utf-16"),
        (TABLE, "cp1252", "cp1252"),
        (TABLE.decode().encode("utf-16-be"), "utf-16-be", "utf-16-be"),
    ],
)
def test_a_byte_order_mark_decides_on_the_encoding(content: bytes, declared: str | None, encoding: str) -> None:
    assert encoding_of(content, declared) == encoding


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_named(order: str) -> None:
    with pytest.raises(ImportRefusedError, match=f'set encoding = "{order}"'):
        encoding_of(TABLE.decode().encode(order), None)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("UTF-8", "utf-8"), ("utf-8-sig", "utf-8"), ("windows-1252", "cp1252"), ("latin-1", "iso-8859-1")],
)
def test_an_encoding_may_be_spelled_in_any_way(name: str, ours: str) -> None:
    assert encoding_named(name) == ours


@pytest.mark.parametrize("name", ["", "utf-9", "rot13", "base64", "latin-7", "\x00"])
def test_what_is_no_encoding_of_a_file_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ValueError, match=r"must be one of utf-8, .*cp1252"):
        encoding_named(name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_small_text_is_decoded_by_its_mark(encoding: str) -> None:
    assert decode_text("größer".encode(encoding)) == "größer"
