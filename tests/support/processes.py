"""Child processes that never outlive the test run, free ports, and waiting for a condition instead of for a while."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PR_SET_PDEATHSIG = 1
STOP_SECONDS = 20
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


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
    return subprocess.Popen([str(part) for part in command], preexec_fn=_die_with_parent, **options)  # noqa: PLW1509


def _die_with_parent() -> None:
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(process: "subprocess.Popen[Any]") -> int:
    """Ask a child to end, force it when it does not, and return its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextlib.contextmanager
def running(command: Sequence[str | Path], port: int, log: Path, **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Run a server until it listens, for as long as the block lasts; its output goes to `log` and into any failure."""
    with log.open("wb") as output:
        process = start(command, stdout=output, stderr=subprocess.STDOUT, **options)

    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        return is_listening(port)

    try:
        eventually(ready, 30, f"{command[0]} on port {port}")
        yield process
    finally:
        stop(process)


def python(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", *(str(argument) for argument in arguments)]


def repository() -> Path:
    return Path(__file__).resolve().parents[2]


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment with the repository importable, for a child."""
    return {**os.environ, "PYTHONPATH": str(repository()), **extra}
