"""The four processes of the product, everything they said to the queues, and their refusals."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.contracts.personal_data.recorder import Recording
from tests.support.processes import Done, environment, run_service


@dataclass
class System:
    """The four processes, their input and their output."""

    risk: httpx.Client
    debt: httpx.Client
    settings: dict[str, str]
    folder: Path
    sqs: Recording
    metrics_ports: tuple[int, ...]
    problems: list[str] = field(default_factory=list)

    def refused(self, response: httpx.Response) -> None:
        """Keep the response of a request that could not succeed."""
        assert response.is_error, response.text
        assert response.headers["content-type"] == "application/problem+json"
        self.problems.append(f"{response.request.method} {response.status_code} {response.headers} {response.text}")

    def command(self, package: str, *arguments: str) -> Done:
        return run_service(package, *arguments, cwd=self.folder, env=environment(**self.settings))


def messages(system: System) -> list[dict[str, Any]]:
    """The bodies of all messages that were sent to the queues."""
    found = []
    decoder = json.JSONDecoder()
    for said in system.sqs.said:
        for part in bytes(said).decode(errors="replace").split("\r\n\r\n")[1:]:
            try:
                request, _ = decoder.raw_decode(part)
            except ValueError:
                continue
            for entry in request.get("Entries", ()):
                if entry.get("MessageBody", "").startswith("{"):
                    found.append(json.loads(entry["MessageBody"]))
    return found
