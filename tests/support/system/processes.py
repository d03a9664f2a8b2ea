"""Named processes of a system, to start, signal and kill, each with a log of its own."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.support.faults.crashing import Faults
from tests.support.nursery import Forked
from tests.support.processes import eventually, is_listening, start_service

T = TypeVar("T")

STOP_SECONDS = 20.0  # what an operator is promised


@dataclass
class Process:
    """One process of a system: how it is started, and the one that runs now."""

    name: str
    package: str
    arguments: tuple[str, ...]
    env: dict[str, str]
    log: Path
    faults: Faults
    running: Forked | None = None
    starts_before: int = 0
    """How often it had said that it started, before it was last started."""


@dataclass
class Processes(ABC):
    """Processes that belong together and share a folder; a subclass says which they are."""

    folder: Path
    processes: dict[str, Process] = field(default_factory=dict, init=False)

    @abstractmethod
    def environment(self, **changes: str) -> dict[str, str]:
        """The environment of every process."""

    @property
    @abstractmethod
    def ports(self) -> dict[str, int]:
        """The port of each process that listens; the others say in their logs that they have started."""

    # Which there are

    def another(self, name: str, like: str, **env: str) -> None:
        """Describe one more process like one there is; `start` starts it."""
        model = self.processes[like]
        self._add(name, model.package, *model.arguments, **env)

    def drop(self, name: str) -> None:
        """Kill a process for good and forget it."""
        if self.is_running(name):
            self.kill(name)
        del self.processes[name]

    def _add(self, name: str, package: str, *arguments: str, **env: str) -> None:
        log, faults = self.folder / f"{name}.log", Faults(self.folder / f"{name}.faults")
        self.processes[name] = Process(name, package, arguments, env, log, faults)

    # Starting

    def start(self, *names: str, wait: bool = True) -> None:
        """Start these processes, or all that do not run; wait until they listen, or say that they have started."""
        chosen = names or [name for name in self.processes if not self.is_running(name)]
        for name in chosen:
            assert not self.is_running(name), f"{name} runs already"
            process = self.processes[name]
            process.starts_before = self._starts(name)
            process.running = start_service(
                process.package,
                *process.arguments,
                log=process.log,
                cwd=self.folder,
                env=self.environment(**process.env),
                faults=process.faults.path,
            )
        for name in chosen if wait else ():
            self._until_up(name)

    def _starts(self, name: str) -> int:
        return sum(self.log(name).count(said) for said in ('"risk.dispatcher.started"', '"debt.consumer.started"'))

    def _until_up(self, name: str) -> None:
        if name in self.ports:
            eventually(lambda: self._listens(name, self.ports[name]), 30, f"{name} listening")
        else:
            eventually(lambda: self.is_up(name) or not self.is_running(name), 30, f"{name} started")

    def is_up(self, name: str) -> bool:
        """Return whether a process has come so far that it ends in order when it is asked to stop."""
        if name in self.ports:
            return self.is_running(name) and is_listening(self.ports[name])
        return self.is_running(name) and self._starts(name) > self.processes[name].starts_before

    def _listens(self, name: str, port: int) -> bool:
        assert self.is_running(name), f"{name} ended with {self.exit_code(name)}:\n{self.log(name)[-3000:]}"
        return is_listening(port)

    def revive(self) -> None:
        """Start what has died, or is just dying."""
        self.start()

    # Ending

    def is_running(self, name: str) -> bool:
        running = self.processes[name].running
        return running is not None and running.poll() is None

    def exit_code(self, name: str) -> int | None:
        running = self.processes[name].running
        return None if running is None else running.poll()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        running = self.processes[name].running
        assert running is not None, f"{name} was never started"
        running.send_signal(number)

    def kill(self, *names: str) -> None:
        """SIGKILL these, all at once, and wait until they are gone."""
        for name in names:
            self.signal(name, signal.SIGKILL)  # ends a frozen process too
        for name in names:
            self.wait_for(lambda name=name: not self.is_running(name), 10, f"{name} killed")  # type: ignore[misc]

    def stop(self, name: str) -> int:
        """SIGTERM, and the exit code; fails when the process takes longer than an operator is promised."""
        self.signal(name, signal.SIGTERM)
        self.wait_for(lambda: not self.is_running(name), STOP_SECONDS, f"{name} stopped")
        code = self.exit_code(name)
        assert code is not None
        return code

    def close(self) -> None:
        """End everything without ceremony."""
        for process in self.processes.values():
            if process.running is not None:
                process.running.send_signal(signal.SIGCONT)
                process.running.kill()

    # What they say

    def log(self, name: str) -> str:
        """What a process of this name has said in all its lives."""
        path = self.processes[name].log
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, condition: Callable[[], T], seconds: float, what: str, every: float = 0.05) -> T:
        """The condition's first true value; on failure the ends of all logs are shown."""
        give_up_at = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > give_up_at:
                raise AssertionError(f"{what}: not within {seconds} s\n{self.ends_of_logs()}")
            time.sleep(every)

    def ends_of_logs(self) -> str:
        """What each process said last, without requests that went well."""
        return "\n".join(f"--- {name}\n" + "\n".join(self.events(name)[-15:]) for name in self.processes)

    def events(self, name: str, containing: str = "") -> list[str]:
        """The lines of a process's log, without requests that went well."""
        return [line for line in self.log(name).splitlines() if containing in line and '"status": 20' not in line]
