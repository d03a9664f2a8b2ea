"""Real processes without the wait for their imports: one parent has everything imported and forks on request.

A child is a process of its own with its own environment, signals and log, and runs the very `main` of a service. Run as
a program, this is the parent: it reads requests from its standard input and answers on its standard output.
"""

import gc
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import _die_with_parent, environment, python, start, stop

# What a child would import before it can begin.
IMPORTED = (
    "aioboto3",
    "aiobotocore.config",
    "aiobotocore.httpsession",
    "uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "risk_assessment.__main__",
    "risk_assessment.app",
    "risk_assessment.dispatching",
    "debt_processing.__main__",
    "debt_processing.app",
    "debt_processing.consuming",
    "debt_processing.redriving",
    "moto.server",
    "moto.sqs.urls",
)


class Nursery:
    """The parent of processes, seen from the test run."""

    def __init__(self, log: Path) -> None:
        self._busy = threading.Lock()
        with log.open("wb") as errors:
            self._parent = start(
                python("-m", "tests.support.system_nursery"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=_without_coverage(environment()),
            )
        self._log = log

    def fork(
        self,
        module: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        faults: Path | None = None,
    ) -> "Forked":
        """Run a module's `main`. With `faults`, as tests.support.crashing says."""
        request = {"module": module, "arguments": [*arguments], "env": {**env}, "log": str(log)}
        answer = self._ask(request | {"faults": str(faults) if faults else None})
        return Forked(self, answer["pid"])

    def exit_code(self, process_id: int) -> int | None:
        """The exit code of a child, negative for a signal; None while it lives."""
        code = self._ask({"ended": process_id})["code"]
        return None if code is None else int(code)

    def close(self) -> None:
        """End the parent; the kernel ends its children."""
        if self._parent.stdin is not None:
            self._parent.stdin.close()
        stop(self._parent)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._busy:
            assert self._parent.stdin is not None
            assert self._parent.stdout is not None
            self._parent.stdin.write(json.dumps(request) + "\n")
            self._parent.stdin.flush()
            line = self._parent.stdout.readline()
        assert line, f"the nursery has ended:\n{self._log.read_text()[-4000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer


class Forked:
    """One process of the nursery, to be signalled and waited for."""

    def __init__(self, nursery: Nursery, process_id: int) -> None:
        self._nursery = nursery
        self.pid = process_id
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        if self._code is None:
            self._code = self._nursery.exit_code(self.pid)
        return self._code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still lives."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _without_coverage(env: Mapping[str, str]) -> dict[str, str]:
    """Measuring would double the time; the services' own tests and the local runner's count what they cover."""
    return {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}


# The parent itself


def serve() -> None:
    """Fork what is asked for, until the standard input ends."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # a collection in a child would otherwise copy all the parent's memory
    codes: dict[int, int] = {}
    _reap_at_once(codes)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"code": codes.get(request["ended"])} if "ended" in request else {"pid": _fork(request)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _reap_at_once(codes: dict[int, int]) -> None:
    """Leave no dead child about: whether a process of a lease still lives is asked of the kernel."""

    def reap(*_: object) -> None:
        try:
            while True:
                process_id, status = os.waitpid(-1, os.WNOHANG)
                if process_id == 0:
                    return
                codes[process_id] = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return

    signal.signal(signal.SIGCHLD, reap)


def _fork(request: dict[str, Any]) -> int:
    process_id = os.fork()
    if process_id:
        return process_id
    code = 70
    try:
        code = _child(request)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _child(request: dict[str, Any]) -> int:
    _become_own(request)
    module = importlib.import_module(request["module"])
    if request["faults"]:
        from tests.support import crashing

        crashing.install(Path(request["faults"]))
    try:
        module.main(*([request["arguments"]] if request["module"] == "moto.server" else []))
    except SystemExit as ended:
        return _code(ended.code)
    return 0


def _become_own(request: dict[str, Any]) -> None:
    """Let go of what belongs to the parent: signals, input, output, environment, random numbers, folder."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    _die_with_parent()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, 256)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(Path(request["log"]).parent)
    random.seed()
    sys.argv = [request["module"], *request["arguments"]]


def _code(code: object) -> int:
    if code is None or isinstance(code, int):
        return int(code or 0)
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve()
