"""The same bytes on both kinds of database, and whatever the process is: hash seed, time zone, locale, numpy.

`make same-bytes` compares with the same hashes on the other Pythons of the machine; CI runs all tests on 3.11 and 3.13.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.risk_assessment.same_bytes.making import everything, golden, hashes
from tests.support.processes import environment, repository

from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

PROCESSES = {
    "seed 0, UTC, C": (["--without-numpy"], {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"}),
    "seed 1, a zone behind": ([], {"PYTHONHASHSEED": "1", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8"}),
    "any seed, a zone ahead, no UTF-8": (
        ["--without-numpy"],
        {"PYTHONHASHSEED": "random", "TZ": "Pacific/Apia", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}
        | {"PYTHONUTF8": "0"},
    ),
}


def test_both_kinds_of_database_make_the_golden_bytes(database_url: str) -> None:
    upgrade(database_url, "risk_assessment")  # a fresh one: ids begin at 1
    database = Database(database_url)
    made = everything(database)
    database.dispose()

    assert hashes(made) == golden()
    everyone = b"".join(made.values()).decode()
    for reason in ("PAID", "HOLD_DISPUTE", "HOLD_VULNERABLE", "COVERED", "FILTERED", "LIMIT", "CAPACITY_AGENT_CALL"):
        assert f'"{reason}"' in everyone, reason
    assert made["own replay own-2"].startswith(b'["own-2", "identical"')
    assert b'"missing"' in made["own explanations own-2"]
    assert b'"zero_denominator"' in made["own explanations own-2"]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_makes_them_whatever_surrounds_it(process: str, tmp_path: Path) -> None:
    options, variables = PROCESSES[process]
    command = [sys.executable, "-m", "tests.risk_assessment.same_bytes.making", f"sqlite:///{tmp_path / 'made.db'}"]

    done = subprocess.run(
        [*command, *options],
        cwd=repository(),
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["made"].endswith("without numpy" if options else "with numpy")
    assert found["hashes"] == golden()
