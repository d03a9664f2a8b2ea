"""Nothing grows beyond what a reader takes in at once: modules, classes and folders."""

import ast
from collections import Counter

from .tree import ROOT, files

MAX_LINES = 300
MAX_CLASS_LINES = 160
MAX_FILES = 12
HISTORY = "migrations/versions"
"""Folders that only ever grow: one file for each change that was published."""

PYTHON = [path for path in files() if path.suffix == ".py"]


def test_no_module_is_too_long() -> None:
    lines = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in PYTHON}

    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_no_class_is_too_long() -> None:
    found = {
        f"{path}::{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in PYTHON
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }

    assert {name: count for name, count in found.items() if count > MAX_CLASS_LINES} == {}


def test_no_folder_has_too_many_files() -> None:
    loose = Counter(str(path.parent) for path in PYTHON if path.name != "__init__.py")

    assert {one: count for one, count in loose.items() if count > MAX_FILES and not one.endswith(HISTORY)} == {}
