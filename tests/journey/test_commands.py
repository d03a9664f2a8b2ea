"""`smartrecover demo` and `smartrecover up`, as a newcomer runs them."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.processes import environment, eventually, free_port, is_listening, python, start
from tests.support.system.databases import fill

from smartrecover.console import console_obstacle

NOT_OURS = ("RISK_", "DEBT_", "RECOVERY_", "AWS_")
READY_SECONDS = 90


def newcomers_environment() -> dict[str, str]:
    return {k: v for k, v in environment().items() if not k.startswith(NOT_OURS)}


class Up:
    """A running `smartrecover up`, its lines read as they come."""

    def __init__(self, folder: Path) -> None:
        self.ports = {name: free_port() for name in ("risk", "debt", "sqs", "console")}
        self.folder = folder
        self.process = start(
            self.command(self.ports),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=newcomers_environment(),
            umask=0,
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def command(self, ports: dict[str, int], *options: str) -> list[str]:
        """What starts it, or another one on the same folder."""
        numbers = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
        return python("-m", "smartrecover", "up", "--data-dir", self.folder / "data", *numbers, *options)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip())
        self._new.put(None)

    def until(self, pattern: str, seconds: float = READY_SECONDS) -> str:
        """The next line that the pattern is found in."""
        give_up_at = time.monotonic() + seconds
        while True:
            try:
                line = self._new.get(timeout=max(0.01, give_up_at - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.lines[-40:]))
            self.lines.append(line)
            if re.search(pattern, line):
                return line

    def children(self) -> dict[str, int]:
        """The processes it keeps: the last word of their command, and their process id."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    words = (entry / "cmdline").read_bytes().decode().strip("\0").split("\0")
                    found[" ".join(words[2:4])] = int(entry.name)
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    running.end()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds child processes in /proc")
def test_up_says_ready_keeps_its_processes_alive_works_and_stops_in_order(up: Up, tmp_path: Path) -> None:
    line = up.until(r"^ready ")
    assert f"risk=http://127.0.0.1:{up.ports['risk']}/risk-service" in line
    assert f"debt=http://127.0.0.1:{up.ports['debt']}/debt-service" in line
    # Where the set-up could not fetch the console's scripts, it is left out.
    has_console = console_obstacle({}) is None
    assert (f"console=http://127.0.0.1:{up.ports['console']}" in line) is has_console
    if has_console:
        assert httpx.get(f"http://127.0.0.1:{up.ports['console']}/").status_code == 200
    children = up.children()
    assert {"risk_assessment serve", "risk_assessment dispatch", "debt_processing serve"} < children.keys()
    assert ("recovery_console serve" in children) is has_console

    os.kill(children["debt_processing consume"], signal.SIGKILL)
    up.until(r"^\[consumer\] died \(SIGKILL\)")
    fill(f"sqlite:///{tmp_path / 'data' / 'risk.db'}", 300)
    assert completed_run(up)["debtors_ranked"] > 200  # processed by the consumer that was started again
    up.process.send_signal(signal.SIGTERM)
    up.until(r"^stopped$", 40)
    assert up.process.wait(10) == 0
    assert not any(is_listening(port) for port in up.ports.values())
    assert not [pid for pid in children.values() if Path(f"/proc/{pid}/stat").exists()]


def test_up_takes_no_folder_and_deletes_no_data_that_another_one_uses(up: Up, tmp_path: Path) -> None:
    up.until(r"^ready ")
    fill(f"sqlite:///{tmp_path / 'data' / 'risk.db'}", 300)

    for ports in (up.ports, {name: free_port() for name in up.ports}):
        second: Any = subprocess.run(
            up.command(ports, "--fresh"),
            env=newcomers_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 1
        assert re.search(r"^error: (port \d+ is taken|another smartrecover is using )", second.stderr), second.stderr

    debtors = f"http://127.0.0.1:{up.ports['risk']}/risk-service/debtors"
    assert len(httpx.get(debtors, params={"limit": 300}).json()["items"]) == 300


def open_to_others(folder: Path) -> list[str]:
    """The folder and whatever is in it, at any depth, that more than its owner may use."""
    return [str(path) for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_all_files_are_for_their_owner_alone(up: Up, tmp_path: Path) -> None:
    data = tmp_path / "data"
    up.until(r"^ready ")
    fill(f"sqlite:///{data / 'risk.db'}", 300)
    completed_run(up)

    names = {path.name for path in data.iterdir()}
    assert {f"{name}.db{suffix}" for name in ("risk", "debt") for suffix in ("", "-wal", "-shm")} <= names
    assert open_to_others(data) == []


def test_a_folder_of_an_older_version_becomes_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "risk.db").touch(mode=0o644)
    running = Up(tmp_path)
    try:
        running.until(r"^ready ")
        assert open_to_others(data) == []
    finally:
        running.end()


def completed_run(up: Up) -> dict[str, Any]:
    runs = f"http://127.0.0.1:{up.ports['risk']}/risk-service/runs"
    run_id = httpx.post(runs, json={"batch_size": 50}).json()["id"]

    def completed() -> dict[str, Any] | None:
        run: dict[str, Any] = httpx.get(f"{runs}/{run_id}").json()
        return run if run["state"] == "completed" else None

    return eventually(completed, 60, "a run completed") or {}


def shell_of_work() -> dict[str, str]:
    """A newcomer's shell with a profile of work, which is not there, and proxies that do not answer."""
    proxy = f"http://127.0.0.1:{free_port()}"
    proxies = {name: proxy for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (upper, upper.lower())}
    return newcomers_environment() | proxies | {"AWS_PROFILE": "work", "NO_PROXY": "", "no_proxy": ""}


def test_the_demo_does_the_main_job_and_prints_the_report_in_any_shell(tmp_path: Path) -> None:
    done: Any = subprocess.run(
        python("-m", "smartrecover", "demo", "--debtors", "2000"),
        env=shell_of_work(),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    ranked = re.search(r"([\d,]+) ranked in ([\d,]+) batches", done.stdout)
    assert ranked is not None, done.stdout
    assert f"{ranked[1]} of {ranked[1]}" in done.stdout
    assert "completed" in done.stdout
    assert re.search(r"failed\s+0\b", done.stdout)
    assert done.stderr == "" or "error" not in done.stderr
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing behind"


def test_what_a_demo_keeps_is_for_its_owner_alone(tmp_path: Path) -> None:
    kept = tmp_path / "Q4? 100% books"  # a name that means something else in a URL
    command = python("-m", "smartrecover", "demo", "--debtors", "300", "--data-dir", kept.name)
    subprocess.run(command, env=newcomers_environment(), check=True, timeout=110, cwd=tmp_path, umask=0)

    assert {"risk.db", "debt.db", "demo.log", ".lock"} <= {path.name for path in kept.iterdir()}
    assert open_to_others(kept) == []
