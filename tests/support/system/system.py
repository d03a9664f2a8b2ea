"""The whole system for a test: SQS, both APIs, dispatchers and consumers as processes to kill and start by name."""

import contextlib
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.support.processes import Done, free_port, run_service
from tests.support.system.processes import Processes

BASE = ("sqs", "risk-api", "debt-api", "dispatcher", "consumer")
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
class System(Processes):
    """A system of its own: databases, queue names and ports that nothing else uses."""

    risk_database_url: str
    debt_database_url: str
    sqs_url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

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
        return {role: f"{role}-{self._suffix}" for role in ("high", "standard", "results", "stops")}

    @property
    def ports(self) -> dict[str, int]:
        """The ports of SQS and of both APIs."""
        return {"risk-api": self.risk_port, "debt-api": self.debt_port, "sqs": getattr(self, "sqs_port", 0)}

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
            "RECOVERY_QUEUE_STOPS": self.queues["stops"],
            "RISK_PORT": str(self.risk_port),
            "DEBT_PORT": str(self.debt_port),
            "RISK_API_URL": self.risk_url,
            "DEBT_API_URL": self.debt_url,
            **self.settings,
            **changes,
        }

    def close(self) -> None:
        """End everything without ceremony."""
        self.http.close()
        super().close()

    # Using it

    def until_ready(self) -> None:
        """Wait until both APIs are ready; asking makes the queues."""
        for address in (f"{self.risk_url}/readyz", f"{self.debt_url}/readyz"):
            self.wait_for(lambda address=address: self._responds(address), 30, f"{address} responding 200")  # type: ignore[misc]

    def _responds(self, address: str) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get(address).status_code == 200
        return False

    def run_command(self, package: str, *arguments: str, **env: str) -> Done:
        """Run a command to its end."""
        return run_service(package, *arguments, cwd=self.folder, env=self.environment(**env))

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


def pause(seconds: float) -> None:
    """Let time pass where the passing of time itself is the fault, such as an outage that lasts."""
    time.sleep(seconds)
