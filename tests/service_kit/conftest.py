"""The kit's own fixtures."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service_kit.programs import Process, Starter
from tests.support.processes import environment, python, repository, start, stop


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    """Start one of the demo programs; its log is `tmp_path / "log"`."""
    started: list[Process] = []

    def run(program: str, *arguments: str) -> Process:
        command = python(repository() / "tests" / "support" / program, *arguments)
        with (tmp_path / "log").open("wb") as log:
            started.append(start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment()))
        return started[-1]

    yield run
    for process in started:
        stop(process)
        process.stdin.close()
        process.stdout.close()
