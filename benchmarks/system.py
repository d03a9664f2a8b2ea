"""The whole system as `smartrecover up` starts it: a local SQS, both APIs, a dispatcher and consumers as processes.

Each system has databases and ports of its own. Nothing of the surrounding shell's settings reaches it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.support.processes import running, start, stop
from tests.support.servers import MariaDb, find_mariadb, mariadb_server

from benchmarks.machine import has_mysqlclient
from benchmarks.measure import Usage, usage
from smartrecover.stack import Command, Stack, free_port

SQLITE, PYMYSQL, MYSQLCLIENT = "sqlite", "mariadb", "mariadb+mysqlclient"
READY_SECONDS = 60.0
POLL_SECONDS = 0.2
CONSUMER = "consumer"
_UNDER_WAY = ("accepted", "planning", "publishing", "published")
_OURS = ("RISK_", "DEBT_", "RECOVERY_", "AWS_")
_SERVER_SETTINGS = ("SET GLOBAL innodb_buffer_pool_size = 1 << 30", "SET GLOBAL innodb_log_file_size = 512 << 20")


class NotMeasurableError(Exception):
    """The system did not do what was to be measured; the text says what it did instead."""


def databases() -> tuple[str, ...]:
    """The databases that can be measured here."""
    if find_mariadb() is None:
        return (SQLITE,)
    return (SQLITE, PYMYSQL, MYSQLCLIENT) if has_mysqlclient() else (SQLITE, PYMYSQL)


@contextmanager
def databases_of(database: str, folder: Path) -> Iterator["Databases"]:
    """Two empty databases of that kind, for as long as the block lasts."""
    if database == SQLITE:
        yield Databases(f"sqlite:///{folder / 'risk.db'}", f"sqlite:///{folder / 'debt.db'}")
        return
    program = find_mariadb()
    if program is None:
        raise NotMeasurableError("there is no MariaDB or MySQL server on this machine")
    with mariadb_server(program) as server:
        server.execute(*_SERVER_SETTINGS, "CREATE DATABASE risk", "CREATE DATABASE debt")
        yield Databases(_url(server, database, "risk"), _url(server, database, "debt"), server.process_id)


def _url(server: MariaDb, database: str, name: str) -> str:
    driver = "mysqldb" if database == MYSQLCLIENT else "pymysql"
    return server.url(name).replace("+pymysql", f"+{driver}")


@dataclass(frozen=True, slots=True)
class Databases:
    """Where both services' databases are, and the process that serves them, if one does."""

    risk: str
    debt: str
    process_id: int | None = None

    @property
    def urls(self) -> dict[str, str]:
        """By the variables that name them."""
        return {"RISK_DATABASE_URL": self.risk, "DEBT_DATABASE_URL": self.debt}


@dataclass(slots=True)
class System:
    """A running system and what its processes have used."""

    stack: Stack
    environment: Mapping[str, str]
    folder: Path
    process_ids: dict[str, int] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[Any]"] = field(default_factory=dict)

    def command(self, *arguments: str) -> str:
        """Run a command of the risk service and return what it prints. Raises NotMeasurableError when it fails."""
        return risk_command(self.environment, self.folder, *arguments)

    def generate(self, debtors: int, portfolio: str) -> None:
        """Fill a portfolio with invented debtors, the same ones each time."""
        self.command("generate-debtors", "--count", str(debtors), "--portfolio", portfolio)

    def hold(self, debtors: int, percent: int, portfolio: str) -> None:
        """Put so many of the generated debtors on hold, evenly spread, by a file as people would."""
        file = self.folder / "holds.csv"
        rows = (f"{debtor_id},DISPUTE,2020-01-01T00:00:00Z,a letter" for debtor_id in range(1, debtors + 1))
        chosen = [row for number, row in enumerate(rows) if number * percent % 100 < percent]
        file.write_text("\n".join(["debtor_id,kind,from,reason", *chosen, ""]))
        self.command("import-holds", str(file), "--portfolio", portfolio)

    def run(self, portfolio: str, batch_size: int) -> dict[str, Any]:
        """Start a run over a portfolio, wait until it is completed, and return it as the API shows it."""
        return self.wait_for(self.start_run(portfolio, batch_size), "completed")

    def start_run(self, portfolio: str, batch_size: int) -> str:
        """Start a run and return its id."""
        wishes = {"portfolio": portfolio, "batch_size": batch_size}
        response = httpx.post(self._runs, json=wishes, timeout=60)
        if response.status_code != 202:
            raise NotMeasurableError(f"POST /runs returned {response.status_code}: {response.text}")
        run_id: str = response.json()["id"]
        return run_id

    def wait_for(self, run_id: str, state: str, patience: float = 600.0) -> dict[str, Any]:
        """Wait until a run has come to a state, and return it as the API shows it."""
        give_up_at = time.monotonic() + patience
        with httpx.Client(timeout=60) as client:
            while True:
                run: dict[str, Any] = client.get(f"{self._runs}/{run_id}").json()
                if run["state"] == state and not run["error"]:
                    return run
                if run["state"] not in _UNDER_WAY or time.monotonic() > give_up_at:
                    raise NotMeasurableError(f"the run is {run['state']} and not {state}: {run['error']}")
                time.sleep(POLL_SECONDS)

    @contextmanager
    def consumers(self, count: int) -> Iterator[None]:
        """Run so many consumers, for as long as the block lasts."""
        [command] = [command for command in self.stack.services() if command.name == CONSUMER]
        with ExitStack() as cleanup:
            for number in range(1, count + 1):
                name = CONSUMER if number == 1 else f"{CONSUMER}-{number}"
                started = cleanup.enter_context(_child(Command(name, command.arguments), self.environment, self.folder))
                self.processes[name] = started
                cleanup.callback(self.processes.pop, name)
            yield

    @property
    def _runs(self) -> str:
        return f"{self.stack.risk_url}/risk-service/runs"

    def usage(self) -> dict[str, Usage]:
        """What each process has used so far."""
        ids = {name: process.pid for name, process in self.processes.items()}
        return {name: usage(process_id) for name, process_id in (ids | self.process_ids).items()}


@contextmanager
def running_system(
    folder: Path, database: str, *, consumers: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[System]:
    """Start a system on empty databases, ready to work; `settings` are environment variables of its processes."""
    stack = Stack(folder, free_port(), free_port(), free_port())
    with ExitStack() as cleanup:
        found = cleanup.enter_context(databases_of(database, folder))
        environment = stack.environment({**neutral_environment(), **found.urls, **(settings or {})})
        system = System(stack, environment, folder)
        if found.process_id is not None:
            system.process_ids["database"] = found.process_id
        for command in stack.migrations():
            _run(command, environment, folder)
        sqs = running(stack.sqs().arguments, stack.sqs_port, folder / "sqs.log", cwd=folder)
        system.processes["sqs"] = cleanup.enter_context(sqs)
        for command in stack.services():
            if command.name != CONSUMER:
                system.processes[command.name] = cleanup.enter_context(_child(command, environment, folder))
        cleanup.enter_context(system.consumers(consumers))
        for url in (f"{stack.risk_url}/readyz", f"{stack.debt_url}/readyz"):
            _wait_for(url, system)
        yield system


def neutral_environment() -> dict[str, str]:
    """This process's environment without settings of ours: a shell's or a .env file's must not decide the figures."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


@contextmanager
def _child(command: Command, environment: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[Any]"]:
    with (folder / f"{command.name}.log").open("wb") as log:
        process = start(command.arguments, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        stop(process)


def risk_command(environment: Mapping[str, str], folder: Path, *arguments: str) -> str:
    """Run a command of the risk service and return what it prints. Raises NotMeasurableError when it fails."""
    return _run(Command("risk-assessment", (sys.executable, "-m", "risk_assessment", *arguments)), environment, folder)


def _run(command: Command, environment: Mapping[str, str], folder: Path) -> str:
    done = subprocess.run(command.arguments, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMeasurableError(f"{command.name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _wait_for(url: str, system: System) -> None:
    give_up_at = time.monotonic() + READY_SECONDS
    while True:
        for name, process in system.processes.items():
            if process.poll() is not None:
                raise NotMeasurableError(f"{name} ended: {(system.folder / f'{name}.log').read_text()[-500:]}")
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > give_up_at:
            raise NotMeasurableError(f"{url} was not ready within {READY_SECONDS:g} s")
        time.sleep(0.1)
