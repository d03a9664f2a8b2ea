"""The whole system for a test: SQS, both APIs, dispatchers and consumers as processes to kill and start by name."""

import contextlib
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx
from tests.support.crashing import Faults
from tests.support.nursery import Forked
from tests.support.processes import Done, eventually, free_port, is_listening, run_service, start_service

from risk_assessment.debtors import bulk
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.policies.registry import load_registry
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

T = TypeVar("T")

BASE = ("sqs", "risk-api", "debt-api", "dispatcher", "consumer")
STOP_SECONDS = 20.0  # what an operator is promised
OVER = ("completed", "cancelled", "failed")
NOT_OURS = ("COVERAGE_", "RISK_", "DEBT_", "RECOVERY_", "AWS_")
QUICK = {
    "RISK_RESEND_AFTER_SECONDS": "1.5",
    "RISK_MAX_OUTSTANDING": "20",
    "RECOVERY_VISIBILITY_SECONDS": "1",
    "RECOVERY_CREATE_QUEUES": "true",
    "DEBT_WAIT_SECONDS": "1",
    "DEBT_RETRY_SECONDS": "0",
    "DEBT_PREFETCH": "6",
}


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


@dataclass
class System:
    """A system of its own: databases, queue names and ports that nothing else uses."""

    folder: Path
    risk_database_url: str
    debt_database_url: str
    sqs_url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.risk_port, self.debt_port = free_port(), free_port()
        self.risk_url = f"http://127.0.0.1:{self.risk_port}"
        self.debt_url = f"http://127.0.0.1:{self.debt_port}"
        if self.sqs_url is None:
            self.sqs_port = free_port()
            self.sqs_url = f"http://127.0.0.1:{self.sqs_port}"
            self._add("sqs", "moto.server", "-H", "127.0.0.1", "-p", str(self.sqs_port))
        self._suffix = uuid.uuid4().hex[:8]
        self._add("risk-api", "risk_assessment", "serve")
        self._add("debt-api", "debt_processing", "serve")
        self._add("dispatcher", "risk_assessment", "dispatch")
        self._add("consumer", "debt_processing", "consume")
        self.http = httpx.Client(timeout=30)

    # What it is made of

    @property
    def queues(self) -> dict[str, str]:
        """The queue of each lane, and of the results."""
        return {role: f"{role}-{self._suffix}" for role in ("high", "standard", "results")}

    def environment(self, **changes: str) -> dict[str, str]:
        """The environment of every process of this system."""
        given = {k: v for k, v in os.environ.items() if not k.startswith(NOT_OURS)}
        return {
            **given,
            **QUICK,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RISK_DATABASE_URL": self.risk_database_url,
            "DEBT_DATABASE_URL": self.debt_database_url,
            "AWS_ENDPOINT_URL_SQS": str(self.sqs_url),
            "RECOVERY_QUEUE_HIGH": self.queues["high"],
            "RECOVERY_QUEUE_STANDARD": self.queues["standard"],
            "RECOVERY_QUEUE_RESULTS": self.queues["results"],
            "RISK_PORT": str(self.risk_port),
            "DEBT_PORT": str(self.debt_port),
            "RISK_API_URL": self.risk_url,
            "DEBT_API_URL": self.debt_url,
            **self.settings,
            **changes,
        }

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

    # Processes

    def start(self, *names: str, wait: bool = True) -> None:
        """Start these processes, or all that do not run; wait until they listen, or say that they have started."""
        chosen = names or [name for name in self.processes if not self.is_running(name)]
        before = {name: self._starts(name) for name in chosen}
        for name in chosen:
            assert not self.is_running(name), f"{name} runs already"
            process = self.processes[name]
            process.running = start_service(
                process.package,
                *process.arguments,
                log=process.log,
                cwd=self.folder,
                env=self.environment(**process.env),
                faults=process.faults.path,
            )
        for name in chosen if wait else ():
            self._until_up(name, before[name])

    def _starts(self, name: str) -> int:
        return sum(self.log(name).count(said) for said in ('"risk.dispatcher.started"', '"debt.consumer.started"'))

    def _until_up(self, name: str, starts: int) -> None:
        ports = {"risk-api": self.risk_port, "debt-api": self.debt_port, "sqs": getattr(self, "sqs_port", 0)}
        if name in ports:
            eventually(lambda: self._listens(name, ports[name]), 30, f"{name} listening")
        else:
            eventually(lambda: self._starts(name) > starts or not self.is_running(name), 30, f"{name} started")

    def until_ready(self) -> None:
        """Wait until both APIs are ready; asking makes the queues."""
        for address in (f"{self.risk_url}/readyz", f"{self.debt_url}/readyz"):
            self.wait_for(lambda address=address: self._responds(address), 30, f"{address} responding 200")  # type: ignore[misc]

    def _responds(self, address: str) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get(address).status_code == 200
        return False

    def _listens(self, name: str, port: int) -> bool:
        assert self.is_running(name), f"{name} ended with {self.exit_code(name)}:\n{self.log(name)[-3000:]}"
        return is_listening(port)

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

    def restart(self, *names: str) -> None:
        """Kill and start these."""
        self.kill(*names)
        self.start(*names)

    def revive(self) -> None:
        """Start what has died, or is just dying."""
        self.start()

    def close(self) -> None:
        """End everything without ceremony."""
        self.http.close()
        for process in self.processes.values():
            if process.running is not None:
                process.running.send_signal(signal.SIGCONT)
                process.running.kill()

    def log(self, name: str) -> str:
        """What a process of this name has said in all its lives."""
        path = self.processes[name].log
        return path.read_text(errors="replace") if path.exists() else ""

    def run_command(self, package: str, *arguments: str, **env: str) -> Done:
        """Run a command to its end."""
        return run_service(package, *arguments, cwd=self.folder, env=self.environment(**env))

    # Using it

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

    def start_run(self, **options: Any) -> dict[str, Any]:
        """Ask for a run until it is accepted, starting the API again when it dies: the key makes repeats harmless."""
        key = {"Idempotency-Key": uuid.uuid4().hex}

        def ask() -> dict[str, Any] | None:
            with contextlib.suppress(httpx.TransportError):
                response = self.http.post(f"{self.risk_url}/risk-service/runs", json=options, headers=key)
                if response.status_code == 202:
                    run: dict[str, Any] = response.json()
                    return run
                assert response.status_code in (502, 503, 504), response.text
            if not self.is_running("risk-api"):
                self.start("risk-api")
            return None

        return self.wait_for(ask, 20, "a run accepted") or {}

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as the risk API shows it."""
        response = self.http.get(f"{self.risk_url}/risk-service/runs/{run_id}")
        assert response.status_code == 200, response.text
        shown: dict[str, Any] = response.json()
        return shown

    def report(self, run_id: str) -> dict[str, Any]:
        """The report as the debt API shows it."""
        response = self.http.get(f"{self.debt_url}/debt-service/runs/{run_id}")
        assert response.status_code == 200, response.text
        shown: dict[str, Any] = response.json()
        return shown

    def wait_until_over(self, run_id: str, seconds: float = 40) -> dict[str, Any]:
        """The run once it is completed, cancelled or failed."""

        def over() -> dict[str, Any] | None:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                run = self.run(run_id)
                return run if run["state"] in OVER else None
            return None

        return self.wait_for(over, seconds, f"run {run_id} over", every=0.1) or {}


class Queues:
    """The queues of a system, seen past all services: what is in them, and putting things there."""

    def __init__(self, system: System) -> None:
        self._names = system.queues
        self._client = boto3.client(
            "sqs",
            region_name="eu-west-1",
            endpoint_url=system.sqs_url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def address(self, role: str) -> str:
        """The address of a queue by its role: high, standard, results, or one of these with -dlq."""
        base, dead, _ = role.partition("-dlq")
        address: str = self._client.get_queue_url(QueueName=self._names[base] + dead)["QueueUrl"]
        return address

    def send(self, role: str, *bodies: str) -> None:
        """Send messages, in this order."""
        address = self.address(role)
        for body in bodies:
            self._client.send_message(QueueUrl=address, MessageBody=body)

    def depth(self, role: str) -> tuple[int, int]:
        """How many messages wait, and how many are hidden because they were received."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._client.get_queue_attributes(QueueUrl=self.address(role), AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def is_empty(self, *roles: str) -> bool:
        """Return whether nothing waits and nothing is hidden."""
        return all(self.depth(role) == (0, 0) for role in roles)

    def take(self, role: str, *, hide: int = 30, most: int = 1_000) -> list[dict[str, Any]]:
        """Receive what waits: body, receive count and attributes of each message."""
        address, taken = self.address(role), []
        while len(taken) < most:
            response = self._client.receive_message(
                QueueUrl=address,
                MaxNumberOfMessages=min(10, most - len(taken)),
                VisibilityTimeout=hide,
                AttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=["All"],
            )
            if not response.get("Messages"):
                break
            taken += response["Messages"]
        return taken

    def drain(self, role: str) -> list[dict[str, Any]]:
        """Take everything that waits out of a queue for good."""
        taken = self.take(role)
        for message in taken:
            self._client.delete_message(QueueUrl=self.address(role), ReceiptHandle=message["ReceiptHandle"])
        return taken


@dataclass(frozen=True)
class Templates:
    """Migrated SQLite files with a portfolio in them, made once and copied for each system."""

    folder: Path

    def copy_to(self, folder: Path, debtors: int) -> tuple[str, str]:
        """The URLs of both databases of a new system, its portfolio `default` filled."""
        template = self.folder / str(debtors)
        if not template.exists():
            _make_template(template, debtors)
        for name in ("risk.db", "debt.db"):
            shutil.copyfile(template / name, folder / name)
        return f"sqlite:///{folder / 'risk.db'}", f"sqlite:///{folder / 'debt.db'}"


def _make_template(folder: Path, debtors: int) -> None:
    folder.mkdir(parents=True)
    migrate(f"sqlite:///{folder / 'risk.db'}", f"sqlite:///{folder / 'debt.db'}")
    fill(f"sqlite:///{folder / 'risk.db'}", debtors)


def migrate(risk_database_url: str, debt_database_url: str) -> None:
    """Bring two fresh databases up to date."""
    upgrade(risk_database_url, "risk_assessment")
    upgrade(debt_database_url, "debt_processing")


def fill(risk_database_url: str, debtors: int, name: str = "default", seed: int = 1) -> None:
    """Put invented debtors into a portfolio."""
    database = Database(risk_database_url)
    try:
        scorer = bulk.bulk_scorer(database, load_registry("standard", None), name, utc_now())
        scored = ((row, scorer.score(row)) for row in generate(debtors, Distribution.BALANCED, seed))
        while chunk := list(islice(scored, bulk.CHUNK)):
            _upsert(database, name, chunk, scorer)
    finally:
        database.dispose()


def _upsert(database: Database, name: str, rows: list[bulk.ScoredRow], scorer: bulk.BulkScorer) -> None:
    database.transact(lambda connection: bulk.upsert(connection, name, rows, scorer))


@contextlib.contextmanager
def running_system(system: System, *names: str) -> Iterator[System]:
    """Run a system's processes, or only some of them, for as long as the block lasts."""
    try:
        system.start(*names)
        yield system
    finally:
        system.close()


def pause(seconds: float) -> None:
    """Let time pass where the passing of time itself is the fault, such as an outage that lasts."""
    time.sleep(seconds)
