"""Make says what it can do, and the documents name nothing that it cannot."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import ROOT, markdown_files

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
WORDS_AFTER_MAKE = re.compile(r"(?:^\s*(?:\$ )?|`|&& )make(?: -\w+)* ([a-z][a-z-]*)", re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def make(*arguments: str) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def make_commands(text: str) -> set[str]:
    return {word for code in CODE.findall(text) for word in WORDS_AFTER_MAKE.findall(code)}


def test_bare_make_lists_every_target_with_a_word():
    listed = dict(re.findall(r"^  ([\w-]+) +(\S.*)$", make(), re.MULTILINE))

    assert set(listed) == TARGETS


def test_every_target_of_the_design_is_there():
    assert {"help", "setup", "demo", "up", "test", "check", "format", "bench", "clean"} <= TARGETS


IN_CONTAINERS = {target for target in TARGETS if target.endswith("-compose")}


@pytest.mark.parametrize("target", sorted(TARGETS - IN_CONTAINERS - {"help", "setup", "clean"}))
def test_a_target_makes_the_environment_first(target):
    assert "infra/setup.sh" in make("--dry-run", target)


def test_clean_keeps_the_data():
    assert " .smartrecover" not in make("--dry-run", "clean")


def test_the_demo_takes_a_number_of_debtors():
    assert "smartrecover demo --debtors 50000" in make("--dry-run", "demo")
    assert "smartrecover demo --debtors 7" in make("--dry-run", "demo", "DEBTORS=7")


def test_make_commands_are_found_in_code_only():
    text = "make it so\n```\nmake test   all\n$ make demo DEBTORS=5\n```\nand `make up`, `cd x && make check`"

    assert make_commands(text) == {"test", "demo", "up", "check"}


@pytest.mark.parametrize("document", markdown_files(), ids=str)
def test_a_document_names_only_targets_that_exist(document):
    assert make_commands((ROOT / document).read_text(encoding="utf-8")) <= TARGETS


TWO_TESTS = """
import subprocess
import sys

def test_this_stays_inside(): pass

def test_this_starts_a_process(): subprocess.run([sys.executable, "-c", ""], check=True)
"""


def test_the_fast_tests_leave_out_what_starts_a_process_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(TWO_TESTS, encoding="utf-8")

    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-q", "--no-processes", "--rootdir", str(ROOT)]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\. +\[100%\]$", done.stdout, re.MULTILINE), done.stdout
    assert "Left out: 1 tests that start another process" in done.stdout
    assert re.search(r"^1 passed, 1 left out in ", done.stdout, re.MULTILINE), done.stdout
