"""`risk-assessment` commands, run inside this process for speed or as real child processes."""

from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.processes import Done, environment, run_service
from typer.testing import CliRunner

from risk_assessment.__main__ import app


def run(*arguments: Any, stdin: str | None = None, **env: str) -> Done:
    """Run a command in this process, whose logs stay as they are."""
    with mock.patch("service_kit.cli.configure"):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env=env)
    unhandled = result.exception is not None and not isinstance(result.exception, SystemExit)
    assert not unhandled, f"{result.exception!r}\n{result.output}"
    return Done(result.exit_code, result.stdout, result.stderr)


def run_child(folder: Path, *arguments: Any, **env: str) -> Done:
    """Run a command as a process of its own."""
    return run_service("risk_assessment", *map(str, arguments), cwd=folder, env=environment(**env))


def the_error(done: Done) -> str:
    """The one clear line with which a command failed."""
    assert done.code != 0, done.out
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.err + done.out
    return lines[0].removeprefix("error: ")
