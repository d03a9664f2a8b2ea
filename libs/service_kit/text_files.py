"""Reads small text files as people and their editors save them, on Windows too: with marks, in UTF-16, with CRLF."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path


def encoding_of(content: bytes) -> str:
    """Return the encoding of a text: UTF-16 with a mark, or UTF-8 with or without. Raises ValueError for any other."""
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8: save the file as UTF-8") from None
    if "\0" in text:
        raise ValueError("contains NUL characters: save the file as UTF-8")
    return encoding


def read_secret(file: Path) -> str:
    """Return the one secret that a file holds, without the white space around it.

    Raises ValueError, which never shows it, when the file cannot be read, is empty or has several lines.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    secret = content.decode(encoding_of(content)).strip()
    if not secret or len(secret.splitlines()) > 1:
        raise ValueError("the file must hold one line")
    return secret
