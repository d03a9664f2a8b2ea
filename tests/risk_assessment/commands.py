"""`risk-assessment` commands, run inside this process for speed or as real child processes."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import environment, python
from typer.testing import CliRunner

from risk_assessment.__main__ import app

SECONDS = 60


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(*arguments: Any, **env: str) -> Done:
    """Run a command in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)
    unhandled = result.exception is not None and not isinstance(result.exception, SystemExit)
    assert not unhandled, f"{result.exception!r}\n{result.output}"
    return Done(result.exit_code, result.stdout, result.stderr)


def run_child(folder: Path, *arguments: Any, **env: str) -> Done:
    """Run a command as a process of its own."""
    command = python("-m", "risk_assessment", *arguments)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder, env=environment(**env)
    )
    return Done(done.returncode, done.stdout, done.stderr)


def the_error(done: Done) -> str:
    """The one clear line with which a command failed."""
    assert done.code != 0, done.out
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.err + done.out
    return lines[0].removeprefix("error: ")
