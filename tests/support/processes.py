"""Child processes that never outlive the test run, free ports, and waiting for a condition instead of for a while."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support.nursery import Forked, die_with_parent, nursery

T = TypeVar("T")
STOP_SECONDS = 20
COMMAND_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], T], seconds: float = 10.0, what: str = "the condition") -> T:
    """Return the condition's first true value; fail when there is none in time."""
    give_up_at = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up_at:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def start(command: Sequence[str | Path], **options: Any) -> "subprocess.Popen[Any]":
    """Start a child that the kernel kills when the test run dies, however it dies."""
    # The function makes one system call and takes no lock, so that threads of this process do no harm.
    return subprocess.Popen([str(part) for part in command], preexec_fn=die_with_parent, **options)  # noqa: PLW1509


def stop(process: "subprocess.Popen[Any] | Forked") -> int:
    """Ask a child to end, force it when it does not, and return its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def start_service(
    package: str,
    *arguments: str | Path,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    faults: Path | None = None,
) -> Forked:
    """Start `python -m package arguments` from the nursery; all it prints is appended to `log`."""
    with log.open("ab") as output, open(os.devnull) as nothing:
        files = (nothing.fileno(), output.fileno(), output.fileno())
        return nursery().fork(package, arguments, env or environment(), files=files, cwd=cwd, faults=faults)


@contextlib.contextmanager
def serving(
    package: str, *arguments: str | Path, port: int, log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[Forked]:
    """Run a service from the nursery until it listens, for as long as the block lasts."""
    process = start_service(package, *arguments, log=log, cwd=cwd, env=env)
    try:
        eventually(lambda: _listens(process, port, log), 30, f"{package} on port {port}")
        yield process
    finally:
        stop(process)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run_service(
    package: str, *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, said: str = ""
) -> Done:
    """Run a command of a service to its end, from the nursery; `said` is its standard input."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(said.encode())
        given.seek(0)
        files = (given.fileno(), out.fileno(), err.fileno())
        process = nursery().fork(package, arguments, env or environment(), files=files, cwd=cwd)
        code = process.wait(COMMAND_SECONDS)
        printed = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, err)]
    return Done(code, *printed)


@contextlib.contextmanager
def running(command: Sequence[str | Path], port: int, log: Path, **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Run a server until it listens, for as long as the block lasts; its output goes to `log` and into any failure."""
    with log.open("wb") as output:
        process = start(command, stdout=output, stderr=subprocess.STDOUT, **options)

    try:
        eventually(lambda: _listens(process, port, log), 30, f"{command[0]} on port {port}")
        yield process
    finally:
        stop(process)


def _listens(process: "subprocess.Popen[Any] | Forked", port: int, log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"it ended with {process.returncode}:\n{log.read_text()[-4000:]}")
    return is_listening(port)


def python(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", *(str(argument) for argument in arguments)]


def repository() -> Path:
    return Path(__file__).resolve().parents[2]


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment with the repository importable, for a child."""
    return {**os.environ, "PYTHONPATH": str(repository()), **extra}
