"""The project's prose keeps to plain words: those of an older dialect do not come back."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import ROOT, files, text_of

# What to write instead: return, say which, report; every user, whoever -> who; again; other service, dependency.
DIALECT = re.compile(
    r"\b(tell|tells|told|telling|whoever|whom|nobody|somebody|anybody|anew|neighbours?"
    r"|(?:can|could|to) be had)\b",
    re.IGNORECASE,
)
IN_NAMES = re.compile(
    r"(?:^|_)(tells|told|telling|whoever|whom|nobody|somebody|anybody|anew|neighbours?)(?:_|$)", re.IGNORECASE
)
MIGRATIONS = "/migrations/versions/"  # never edited once they have been published
OLD_NEWS = {"CHANGELOG.md"}
THIS = Path(__file__).resolve().relative_to(ROOT)

NOT_OURS = {"LICENSE", "uv.lock"}

PYTHON = [path for path in files() if path.suffix == ".py" and MIGRATIONS not in str(path) and path != THIS]
OTHERS = [path for path in files() if path.suffix != ".py" and str(path) not in OLD_NEWS | NOT_OURS and text_of(path)]


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names in a Python file with their line numbers."""
    source = (ROOT / path).read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments and all texts of a Python file, docstrings among them, with their line numbers."""
    source = (ROOT / path).read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_code_is_written_in_plain_words(path: Path) -> None:
    assert [(line, found) for line, text in prose(path) for found in DIALECT.findall(text)] == []
    assert [(line, name) for line, name in names(path) if IN_NAMES.search(name)] == []


@pytest.mark.parametrize("path", OTHERS, ids=str)
def test_documents_and_configurations_are_written_in_plain_words(path: Path) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert [(number, found) for number, line in enumerate(lines, 1) for found in DIALECT.findall(line)] == []


@pytest.mark.parametrize("text", ["Told in the log.", "whoever calls", "score it anew", "none can be had"])
def test_the_dialect_is_recognized(text: str) -> None:
    assert DIALECT.search(text)


def test_ordinary_words_pass() -> None:
    assert not DIALECT.search("Retry the request; the response has a total, and who called is in the audit record.")
