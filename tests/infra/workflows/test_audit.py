"""audit.yml looks for known weaknesses in what is locked, and in what a pull request adds."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.infra.workflows.workflows import JOBS, ROOT, steps, triggers, using


def test_the_lock_is_audited_every_week_and_when_it_changes():
    on = triggers("audit.yml")

    assert len(on["schedule"]) == 1
    assert "uv.lock" in on["push"]["paths"]
    assert "uv.lock" in on["pull_request"]["paths"]


def test_the_audit_exports_the_lock_as_this_uv_can():
    [script] = [step["run"] for step in steps("audit.yml:locked") if "uv export" in step.get("run", "")]
    program, *options = shlex.split(script.replace("\\\n", " "))
    given = options[: options.index("--output-file")]
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *given, "--offline"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"^fastapi==", done.stdout, re.MULTILINE)
    assert re.search(r"^pytest==", done.stdout, re.MULTILINE)
    # The audit takes nothing without a hash.
    names = re.findall(r"^[\w.-]+(?:\[.*\])?==", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^[\w.\[\],-]+==.* \\\n +--hash=", done.stdout, re.MULTILINE)) == len(names)


def test_a_pull_request_is_reviewed_for_what_it_adds():
    assert JOBS["audit.yml:review"]["if"] == "github.event_name == 'pull_request'"
    assert using("audit.yml:review", "actions/dependency-review-action")
