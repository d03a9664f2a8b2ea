"""A cluster as a stand-in for AWS has it: services, deployments and tasks in a file, and what was asked."""

import json
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "infra/deploy/ecs.py"
NAMES = runpy.run_path(str(SCRIPT))

REPOSITORY = "registry.example:5000/smartrecover-trial"
IMAGE = f"{REPOSITORY}@sha256:{'a' * 64}"
SERVICES = (*NAMES["RECEIVER"], *NAMES["SENDERS"])
AWS = Path(__file__).with_name("aws_stand_in.py").read_text(encoding="utf-8")


def definition(name: str) -> dict[str, Any]:
    return {
        "family": f"smartrecover-trial-{name}",
        "cpu": "256",
        "memory": "512",
        "volumes": [{"name": "tmp"}],
        "runtimePlatform": {"cpuArchitecture": "X86_64"},
        "tags": [{"key": "Project", "value": "smartrecover"}],
        "containerDefinitions": [{"name": name, "image": f"{REPOSITORY}:1.0.0", "command": [name]}],
    }


def arn(name: str, revision: int = 1) -> str:
    return f"arn:task-definition/smartrecover-trial-{name}:{revision}"


def service(name: str) -> dict[str, Any]:
    first = {"id": f"first-{name}", "status": "PRIMARY", "taskDefinition": arn(name), "rolloutState": "COMPLETED"}
    return {
        "serviceName": name,
        "status": "ACTIVE",
        "taskDefinition": arn(name),
        "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["inside"], "securityGroups": [f"group-of-{name}"]}
        },
        "deployments": [first],
    }


@dataclass
class Cloud:
    """The stand-in, and what it was asked."""

    folder: Path

    def wish(self, **wishes: Any) -> None:
        """How it shall behave: broken, never, replaced (services); exits, endless (tasks); refused (commands)."""
        state = self.state()
        state["wishes"] |= wishes
        self.write(state)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    def write(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "FAKE_AWS": str(self.folder)}

    def command(self, *options: str) -> list[str]:
        described = ("--environment", "trial", "--image", IMAGE, "--poll-seconds", "0")
        return [sys.executable, "-IS", str(SCRIPT), *described, *options]  # no package of ours or others

    def deploy(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), env=self.environment(), capture_output=True, text=True, check=False
        )

    def asked(self, *commands: str) -> list[tuple[str, dict[str, Any]]]:
        lines = (self.folder / "asked").read_text().splitlines() if (self.folder / "asked").exists() else []
        return [(command, request) for command, request in map(json.loads, lines) if command in commands]

    def steps(self) -> list[str]:
        """What was run and changed, in this order."""
        done = self.asked("run-task", "update-service")
        return [
            request["taskDefinition"].removeprefix("arn:task-definition/smartrecover-trial-") for _, request in done
        ]

    def running(self) -> dict[str, str]:
        return {name: service["taskDefinition"] for name, service in self.state()["services"].items()}


def a_cloud(folder: Path, *others: str) -> Cloud:
    """A cluster in which everything runs its first version; with other services, if they are named."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "aws").write_text(f"#!{sys.executable} -IS\n{AWS}")
    (programs / "aws").chmod(0o755)
    services = (*SERVICES, *others)
    tasks = (*services, *(migration.partition("=")[0] for migration in NAMES["MIGRATIONS"]))
    wishes: dict[str, Any] = {"exits": {}} | {
        kind: [] for kind in ("broken", "never", "replaced", "endless", "refused")
    }
    made = Cloud(folder)
    made.write(
        {
            "services": {name: service(name) for name in services},
            "definitions": {arn(name): definition(name) for name in tasks},
            "looks": {},
            "wishes": wishes,
        }
    )
    return made
