"""`make test-fast` leaves out what starts a process, and says so in one line."""

import re
import subprocess
import sys
from pathlib import Path

from .tree import ROOT

TESTS = """
import subprocess
import sys

def test_this_stays_inside(): pass

def test_this_starts_a_process(): subprocess.run([sys.executable, "-c", ""], check=True)
"""


def test_what_starts_a_process_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(TESTS, encoding="utf-8")

    pytest = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-q", "--no-processes", "--rootdir", str(ROOT)]
    done = subprocess.run([*pytest, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\. +\[100%\]$", done.stdout, re.MULTILINE), done.stdout
    assert "Left out: 1 tests that start another process" in done.stdout
    assert re.search(r"^1 passed, 1 left out in ", done.stdout, re.MULTILINE), done.stdout
