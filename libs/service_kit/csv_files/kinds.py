"""What a file is by its first bytes: text in some encoding, or something else that is refused by name."""

import codecs
import re

UNPACK = "unpack it and import the CSV in it"
SAVE_AS_CSV = "save it as CSV (UTF-8) and import that"
ENCODINGS = (
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1257",
    "cp437",
    "cp850",
    "cp852",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-5",
    "iso-8859-7",
    "iso-8859-9",
    "iso-8859-15",
    "mac-roman",
    "shift_jis",
    "cp932",
    "gb18030",
    "big5",
    "euc-kr",
)
"""The encodings of files, by the names that messages give them. Other spellings of the same ones are accepted."""

_CANONICAL = {codecs.lookup(name).name: name for name in ENCODINGS} | {codecs.lookup("utf-8-sig").name: "utf-8"}

# The first bytes, what such a file is, and what to do with it.
_MARKS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls) or another Office document", SAVE_AS_CSV),
    (b"%PDF-", "a PDF", "export the table as CSV where it was made"),
    (b"{\\rtf", "an RTF document", SAVE_AS_CSV),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (b"PAR1", "a Parquet file", "export the table as CSV"),
    (b"\x89PNG", "an image", "a picture of a table has no rows"),
    (b"\xff\xd8\xff", "an image", "a picture of a table has no rows"),
    (codecs.BOM_UTF32_LE, "UTF-32", "save it as CSV in UTF-8"),
    (codecs.BOM_UTF32_BE, "UTF-32", "save it as CSV in UTF-8"),
)
_ZIPS: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"opendocument\.spreadsheet"), "an OpenDocument spreadsheet (.ods)", SAVE_AS_CSV),
    (re.compile(rb"xl/|\[Content_Types\]\.xml|_rels/\.rels"), "an Excel workbook (.xlsx)", SAVE_AS_CSV),
    (re.compile(rb"Index/Document\.iwa"), "a Numbers spreadsheet", SAVE_AS_CSV),
)
_WEB_PAGE = re.compile(rb"<!doctype\s+html|<html|<head|<body|<table|<meta|<script", re.IGNORECASE)
_XML = re.compile(rb"<\?xml|<(?=.*(?:</|/>))", re.DOTALL)
_JSON = re.compile(rb'\{\s*("|\})|\[\s*[\[{"\]]')
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1a"))

_BOMS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class ImportRefusedError(ValueError):
    """The file or its mapping cannot be used at all; nothing was imported."""


def encoding_named(name: str) -> str:
    """Return our name of an encoding, whatever its spelling. Raises ValueError listing the known ones."""
    try:
        return _CANONICAL[codecs.lookup(name).name]
    except (LookupError, ValueError):
        raise ValueError(f"must be one of {', '.join(ENCODINGS)}") from None


def refuse_other_kinds(head: bytes) -> None:
    """Raise ImportRefusedError, which says what the file is and what to do, unless it begins like a text."""
    if not head:
        raise ImportRefusedError("the file is empty")
    found = _other_kind(head)
    if found is not None:
        kind, advice = found
        raise ImportRefusedError(f"the file is {kind}, not CSV: {advice}")


def encoding_of(head: bytes, declared: str | None) -> str:
    """Return the encoding of a file: that of its byte order mark, the declared one, or UTF-8.

    Raises ImportRefusedError for UTF-16 that has no mark.
    """
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if declared in (None, "utf-8"):
        _refuse_unmarked_utf16(head)
        return "utf-8"
    return declared


def refuse_utf8_read_otherwise(head: bytes, encoding: str) -> None:
    """Raise ImportRefusedError for a file that is UTF-8 and declared as something else."""
    # A sequence of bytes that is UTF-8 by chance, and not ASCII, does not occur in texts of another encoding.
    if not encoding.startswith("utf") and not head.isascii() and _is_utf8(head):
        raise ImportRefusedError(f'the file is UTF-8 and the mapping says {encoding}: set encoding = "utf-8"')


def decode_text(content: bytes) -> str:
    """Return the text of a small file by its byte order mark, else as UTF-8. Raises UnicodeDecodeError."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.decode(encoding)
    return content.decode("utf-8")


def _other_kind(head: bytes) -> tuple[str, str] | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        names = [(kind, advice) for pattern, kind, advice in _ZIPS if pattern.search(head)]
        return names[0] if names else ("a zip archive", UNPACK)
    marked = next(((kind, advice) for mark, kind, advice in _MARKS if head.startswith(mark)), None)
    return marked or _other_text(head)


def _other_text(head: bytes) -> tuple[str, str] | None:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"<") and _WEB_PAGE.search(start[:1_000]):
        return "a web page", "the download may have met a login page; download the CSV itself"
    if _XML.match(start):
        return "XML", "export the table as CSV"
    if _JSON.match(start):
        return "JSON", "export the table as CSV"
    return ("binary data", "export the table as CSV") if _is_binary(head) else None


def _is_binary(head: bytes) -> bool:
    """Return whether much of it is control characters; the NULs of UTF-16 are judged elsewhere."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    without_nul = head.replace(b"\0", b"")
    controls = len(without_nul) - len(without_nul.translate(None, _CONTROLS))
    return controls > 8 and controls * 20 > len(without_nul)


def _refuse_unmarked_utf16(head: bytes) -> None:
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 > len(head):  # half of each second byte
        order = "utf-16-le" if odd > even else "utf-16-be"
        raise ImportRefusedError(f'the file is UTF-16 without a byte order mark: set encoding = "{order}"')


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
