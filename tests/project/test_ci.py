"""`.ci/run` runs what `make` runs, stops at the first failure and closes with pytest's own words."""

import os
import subprocess

import pytest

from .tree import ROOT

SUMMARY = "===== 1 failed, 41 passed in 2.50s ====="


@pytest.fixture
def ci(tmp_path):
    """Runs `.ci/run` with a stand-in for make, which notes what it was asked and fails at one target."""

    def run(*, fails_at: str = "nothing") -> tuple[subprocess.CompletedProcess[str], list[str]]:
        make = tmp_path / "make"
        make.write_text(
            f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n[ "$1" = test ] && echo "{SUMMARY}"\n[ "$1" != {fails_at} ]\n'
        )
        make.chmod(0o755)
        done = subprocess.run(
            [ROOT / ".ci/run"],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, (tmp_path / "asked").read_text().splitlines()

    return run


def test_it_tests_checks_and_runs_the_demo(ci):
    done, asked = ci()

    assert asked == ["test", "check", "same-bytes", "faults SECONDS=60", "demo DEBTORS=5000"]
    assert done.returncode == 0
    assert done.stdout.splitlines()[-2:] == [SUMMARY, "OK"]


@pytest.mark.parametrize("target", ["test", "check", "same-bytes", "faults", "demo"])
def test_it_stops_at_the_first_failure_and_still_shows_the_tests(ci, target):
    done, asked = ci(fails_at=target)

    assert done.returncode != 0
    assert asked[-1].startswith(target)
    assert done.stdout.splitlines()[-2] == SUMMARY
    assert done.stdout.splitlines()[-1].startswith("FAILED")
