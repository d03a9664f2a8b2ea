"""Bring an image to ECS: migrate the databases, then change who receives, then who sends, then the console.

The order is that of docs/operations.md, Upgrade. When a migration fails, no service is touched. When a service does not
come up, those that were changed are put back, the last first; the databases stay migrated, since the old version works
with them. Needs the `aws` command and Python, nothing else.

Exit codes: 0 done; 1 failed, and everything runs as before; 2 failed, and a person must look.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

# A new consumer reads messages of the old version; an old consumer may not read those of the new one.
RECEIVER = ("consumer",)
SENDERS = ("dispatcher", "risk-api", "debt-api")
# A new console may ask what only new APIs answer. Not every installation has one.
CONSOLE = ("console",)
ORDER = (RECEIVER, SENDERS, CONSOLE)
# Which task migrates, and the service in whose network it runs.
MIGRATIONS = ("migrate-risk=dispatcher", "migrate-debt=consumer")

IMAGE = re.compile(r"(?P<repository>[^@\s]+)@sha256:[0-9a-f]{64}")
# What ECS returns about a task definition and does not accept back.
SHOWN_ONLY = {
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
}
# A deployment that was just made may be missing from the first answers.
MISSED_POLLS = 3


class DeployError(Exception):
    """The image could not be brought there; the text says why."""


class Ecs:
    """One cluster, spoken to by the `aws` command."""

    def __init__(self, cluster: str, poll_seconds: float) -> None:
        self.cluster = cluster
        self._poll_seconds = poll_seconds
        self._aws = shutil.which("aws") or ""
        if not self._aws:
            raise DeployError("the command `aws` is not here")

    def call(self, command: str, request: Json, may_miss: tuple[str, ...] = ()) -> Json:
        """One call; DeployError with the complaint of `aws` when it fails. What is in `may_miss` need not be there."""
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            [self._aws, "ecs", command, "--output", "json", "--cli-input-json", json.dumps(request)],
            env={"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "8", **os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DeployError(f"aws ecs {command}: {done.stderr.strip() or f'exit code {done.returncode}'}")
        answer: Json = json.loads(done.stdout)
        if failures := [one for one in answer.get("failures") or [] if not _may_miss(one, may_miss)]:
            raise DeployError(f"aws ecs {command}: {json.dumps(failures)}")
        return answer

    def polls(self, minutes: float) -> Iterator[None]:
        """Come round at once and then every few seconds, until the time is over."""
        end = time.monotonic() + minutes * 60
        yield
        while time.monotonic() < end:
            time.sleep(self._poll_seconds)
            yield

    # --- task definitions ---

    def register(self, definition: str, image: str) -> str:
        """Make a revision of a task definition that differs in the image alone, and return its ARN."""
        described = self.call("describe-task-definition", {"taskDefinition": definition, "include": ["TAGS"]})
        request = {key: value for key, value in described["taskDefinition"].items() if key not in SHOWN_ONLY}
        request |= {"tags": described["tags"]} if described.get("tags") else {}
        swap_image(request, image)
        arn: str = self.call("register-task-definition", request)["taskDefinition"]["taskDefinitionArn"]
        return arn

    # --- tasks ---

    def run(self, definition: str, network: Json, minutes: float) -> None:
        """Run a task to its end; DeployError unless every container of it ends with 0."""
        request = {
            "cluster": self.cluster,
            "taskDefinition": definition,
            "launchType": "FARGATE",
            "networkConfiguration": network,
            "propagateTags": "TASK_DEFINITION",
        }
        task = self.call("run-task", request)["tasks"][0]["taskArn"]
        for _ in self.polls(minutes):
            state = self.call("describe-tasks", {"cluster": self.cluster, "tasks": [task]})["tasks"][0]
            if state["lastStatus"] == "STOPPED":
                codes = {container["name"]: container.get("exitCode") for container in state["containers"]}
                if not codes or any(code != 0 for code in codes.values()):
                    raise DeployError(f"{task} ended with {codes}: {state.get('stoppedReason', 'no reason given')}")
                return
        # Not stopped: half a migration is worse than a slow one.
        raise DeployError(f"{task} is still running after {minutes:g} minutes and was left alone")

    # --- services ---

    def services(self, names: tuple[str, ...], others: tuple[str, ...] = ()) -> dict[str, Json]:
        """What ECS knows of these services, each of which must be there, and of those of the others that are there."""
        answer = self.call("describe-services", {"cluster": self.cluster, "services": [*names, *others]}, others)
        found = {service["serviceName"]: service for service in answer["services"] if service["status"] == "ACTIVE"}
        if missing := set(names) - set(found):
            raise DeployError(f"not in {self.cluster}: {', '.join(sorted(missing))}")
        return found

    def change(self, name: str, definition: str) -> str:
        """Give a service a task definition and return the id of the deployment that this begins."""
        request = {"cluster": self.cluster, "service": name, "taskDefinition": definition}
        deployments = self.call("update-service", request)["service"]["deployments"]
        return next(str(deployment["id"]) for deployment in deployments if deployment["status"] == "PRIMARY")

    def settle(self, begun: dict[str, str], minutes: float) -> None:
        """Wait until each of these deployments is complete and the only one of its service."""
        waiting, missed = dict(begun), dict.fromkeys(begun, 0)
        for _ in self.polls(minutes):
            for name, service in self.services(tuple(waiting)).items():
                found = [one for one in service["deployments"] if one["id"] == waiting[name]]
                missed[name] = 0 if found else missed[name] + 1
                if missed[name] == MISSED_POLLS:
                    raise DeployError(f"{name}: the deployment was replaced by another")
                if found and found[0].get("rolloutState") == "FAILED":
                    raise DeployError(f"{name}: {found[0].get('rolloutStateReason', 'the deployment failed')}")
                if found and found[0].get("rolloutState") == "COMPLETED" and len(service["deployments"]) == 1:
                    say(f"{name} is stable")
                    del waiting[name]
            if not waiting:
                return
        raise DeployError(f"not stable after {minutes:g} minutes: {', '.join(sorted(waiting))}")


def _may_miss(failure: Json, names: tuple[str, ...]) -> bool:
    return failure.get("reason") == "MISSING" and str(failure.get("arn")).rpartition("/")[2] in names


def swap_image(definition: Json, image: str) -> None:
    """Put the image into the containers that come from its repository; there must be one."""
    repository = repository_of(image)
    ours = [one for one in definition["containerDefinitions"] if repository_of(one["image"]) == repository]
    if not ours:
        raise DeployError(f"no container of {definition['family']} comes from {repository}")
    for container in ours:
        container["image"] = image


def repository_of(image: str) -> str:
    """An image's name without tag and digest."""
    return re.sub(r":[^:/]+$", "", image.partition("@")[0])


def deploy(ecs: Ecs, image: str, prefix: str, options: argparse.Namespace) -> int:
    """Do all of it, and return the exit code."""
    before = ecs.services(RECEIVER + SENDERS, CONSOLE)
    old = {name: str(service["taskDefinition"]) for name, service in before.items()}
    new = {name: ecs.register(definition, image) for name, definition in old.items()}

    for migration in options.migrate or MIGRATIONS:
        task, _, service = migration.partition("=")
        if service not in before:
            raise DeployError(f"{migration}: {service or 'nothing'} is no service whose network could be used")
        say(f"{task} begins")
        definition = ecs.register(f"{prefix}-{task}", image)
        ecs.run(definition, before[service]["networkConfiguration"], options.migrate_minutes)
        say(f"{task} ended with 0")

    changed: list[str] = []
    try:
        for group in ORDER:
            names = tuple(name for name in group if name in before)
            if names:
                change(ecs, names, new, options.settle_minutes, changed)
    except DeployError as error:
        say(f"FAILED: {error}")
        return put_back(ecs, old, changed, options.settle_minutes)
    say(f"{ecs.cluster} runs {image}")
    return 0


def change(ecs: Ecs, names: tuple[str, ...], definitions: dict[str, str], minutes: float, changed: list[str]) -> None:
    """Give these services their task definitions, noting each in `changed` before it is touched, and wait for them."""
    begun = {}
    for name in names:
        say(f"{name} gets {definitions[name]}")
        changed.append(name)
        begun[name] = ecs.change(name, definitions[name])
    ecs.settle(begun, minutes)


def put_back(ecs: Ecs, old: dict[str, str], changed: list[str], minutes: float) -> int:
    """Give the changed services back what they had, the last first, and return the exit code."""
    try:
        for group in reversed(ORDER):
            names = tuple(name for name in group if name in changed)
            if names:
                change(ecs, names, old, minutes, [])
    except DeployError as error:
        # The old consumer must not meet new senders, so it is not put back before they are.
        say(f"PUTTING BACK FAILED: {error}. Look at {ecs.cluster}; before, it ran {json.dumps(old)}")
        return 2
    say("everything runs as before")
    return 1


def say(text: str) -> None:
    """A line for the log, at once."""
    print(text, flush=True)


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--environment", required=True, help="the installation, such as production")
    parser.add_argument("--image", required=True, help="repository@sha256:…, never a tag")
    parser.add_argument(
        "--cluster", help="default: smartrecover-ENVIRONMENT, which is also what task families begin with"
    )
    parser.add_argument(
        "--migrate",
        action="append",
        metavar="TASK=SERVICE",
        help=f"a task that migrates, and the service whose network it uses; default: {' and '.join(MIGRATIONS)}",
    )
    parser.add_argument("--migrate-minutes", type=float, default=15, help="how long one migration may take")
    parser.add_argument("--settle-minutes", type=float, default=10, help="how long services may take to be stable")
    parser.add_argument("--poll-seconds", type=float, default=10)
    options = parser.parse_args(words)
    if not IMAGE.fullmatch(options.image):
        parser.error("--image must be named by its digest: repository@sha256: and 64 hexadecimal digits")
    return options


def main(words: list[str]) -> int:
    """Return the exit code that the module's docstring explains."""
    options = arguments(words)
    prefix = f"smartrecover-{options.environment}"
    try:
        return deploy(Ecs(options.cluster or prefix, options.poll_seconds), options.image, prefix, options)
    except DeployError as error:
        say(f"FAILED, and no service was changed: {error}")
        return 1
    except KeyboardInterrupt:
        # Each step leaves a mixture that works: new consumers understand old senders.
        say("INTERRUPTED: services are left as they are; run it again, or with the image before")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
