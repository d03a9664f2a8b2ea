"""Real processes without the wait for their imports: one parent has everything imported and forks on request.

A child is a process of its own with its own environment, signals, folder, input and output, and runs the very `main` of
a service. Run as a program, this is the parent: it takes requests from a socket that the test run gave it.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

# What a child would import before it can begin.
IMPORTED = (
    "aioboto3",
    "aiobotocore.config",
    "aiobotocore.httpsession",
    "coverage",
    "uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "risk_assessment.__main__",
    "risk_assessment.app",
    "risk_assessment.worker",
    "debt_processing.__main__",
    "debt_processing.app",
    "debt_processing.worker",
    "moto.server",
    "moto.sqs.urls",
)
MOTO = "moto.server"  # the one that is no package of ours
HERE = Path(__file__).resolve().parents[2]
LONGEST_REQUEST = 65_536
PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies, however it dies."""
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)


@cache
def nursery() -> "Nursery":
    """The nursery of this test run (of this worker, where several share the work)."""
    made = Nursery(Path(tempfile.mkdtemp(prefix="sr-nursery-")) / "nursery.log")
    atexit.register(made.close)
    return made


class Nursery:
    """The parent of processes, seen from the test run."""

    def __init__(self, log: Path) -> None:
        self._busy = threading.Lock()
        self._log = log
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with log.open("wb") as output, theirs, contextlib.ExitStack() as unless_started:
            unless_started.enter_context(ours)
            self._parent = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.support.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_without_coverage() | {"PYTHONPATH": str(HERE)},
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call that takes no lock
            )
            unless_started.pop_all()
        self._socket = ours

    def fork(
        self,
        package: str,
        arguments: Sequence[str | Path],
        env: Mapping[str, str],
        *,
        files: tuple[int, int, int],
        cwd: Path | None = None,
        faults: Path | None = None,
    ) -> "Forked":
        """Run `python -m package` on these descriptors of ours. `faults`: see tests.support.faults.crashing."""
        request = {
            "package": package,
            "arguments": [str(argument) for argument in arguments],
            "env": {**env},
            "cwd": str(cwd or Path.cwd()),
            "faults": str(faults) if faults else None,
        }
        answer = self._ask(request, files)
        return Forked(self, answer["pid"])

    def exit_code(self, process_id: int) -> int | None:
        """The exit code of a child, negative for a signal; None while it lives."""
        code = self._ask({"ended": process_id})["code"]
        return None if code is None else int(code)

    def close(self) -> None:
        """End the parent; the kernel ends its children."""
        self._socket.close()
        self._parent.wait()

    def _ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> dict[str, Any]:
        with self._busy:
            socket.send_fds(self._socket, [json.dumps(request).encode()], files)
            said = self._socket.recv(LONGEST_REQUEST)
        assert said, f"the nursery has ended:\n{self._log.read_text()[-4000:]}"
        answer: dict[str, Any] = json.loads(said)
        return answer


class Forked:
    """One process of the nursery, with what tests use of `subprocess.Popen`."""

    def __init__(self, home: Nursery, process_id: int) -> None:
        self._home = home
        self.pid = process_id
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        if self.returncode is None:
            self.returncode = self._home.exit_code(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        give_up_at = time.monotonic() + (timeout or float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > give_up_at:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, if it still lives."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended since the line above
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self.send_signal(signal.SIGKILL)


def _without_coverage() -> dict[str, str]:
    """Children measure themselves where their environment says so; the parent has nothing to measure."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


# The parent itself


def serve(requests: socket.socket) -> None:
    """Fork what is asked for, until the test run closes the socket."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # a collection in a child would otherwise copy all the parent's memory
    codes: dict[int, int] = {}
    _reap_at_once(codes)
    while True:
        said, files, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 3)
        if not said:
            return
        request = json.loads(said)
        if "ended" in request:
            answer = {"code": codes.get(request["ended"])}
        else:
            answer = {"pid": _fork(request, files, codes)}
            for file in files:
                os.close(file)
        requests.send(json.dumps(answer).encode())


def _reap_at_once(codes: dict[int, int]) -> None:
    """Leave no zombies: the leader lease asks the kernel whether the process of a lease still lives."""

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


def _fork(request: dict[str, Any], files: Sequence[int], codes: dict[int, int]) -> int:
    # A kernel gives process ids again: what an earlier child of this id ended with is not the end of this one.
    # Nothing is reaped in between, so that the code of a child that ends at once is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    process_id = os.fork()
    if process_id:
        codes.pop(process_id, None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    if process_id:
        return process_id
    _be_child(request, files)


def _be_child(request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    code = 70
    try:
        _become_own(request, files)
        code = _run(request)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(request: dict[str, Any]) -> int:
    is_moto = request["package"] == MOTO
    main = importlib.import_module(MOTO if is_moto else f"{request['package']}.__main__").main
    if request["faults"] and not is_moto:
        from tests.support.faults import crashing

        crashing.install(Path(request["faults"]))
    try:
        main(*([request["arguments"]] if is_moto else []))
    except SystemExit as ended:
        return _code(ended.code)
    return 0


def _become_own(request: dict[str, Any], files: Sequence[int]) -> None:
    """Let go of what belongs to the parent: signals, input, output, environment, random numbers, folder."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent()
    for target, source in enumerate(files):
        os.dup2(source, target)
    os.closerange(3, 256)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    random.seed()
    sys.argv = [request["package"], *request["arguments"]]
    if any(name.startswith("COVERAGE_PROCESS") for name in os.environ):
        import coverage

        coverage.process_startup()


def _code(code: object) -> int:
    if code is None or isinstance(code, int):
        return int(code or 0)
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
