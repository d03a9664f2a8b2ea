"""Deployment to ECS: in the order that is safe, stopped by a failed migration, put back when a service fails.

No AWS: a stand-in for the `aws` command keeps services, deployments and tasks in a file, and notes what was asked.
"""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import eventually

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infra/deploy/ecs.py"
REGISTRY = ROOT / "infra/deploy/registry.sh"
NAMES = runpy.run_path(str(SCRIPT))

REPOSITORY = "registry.example:5000/smartrecover-trial"
IMAGE = f"{REPOSITORY}@sha256:{'a' * 64}"
SERVICES = (*NAMES["RECEIVER"], *NAMES["SENDERS"])

# What `aws ecs` does, as far as the script sees. It reads how it shall behave from the state's "wishes".
AWS = r'''
import json, os, sys
from pathlib import Path

folder = Path(os.environ["FAKE_AWS"])
state = json.loads((folder / "state.json").read_text())
wishes = state["wishes"]
group, command, *rest = sys.argv[1:]
assert group == "ecs" and rest[:3] == ["--output", "json", "--cli-input-json"], sys.argv
asked = json.loads(rest[3])
with (folder / "asked").open("a") as file:
    file.write(json.dumps([command, asked]) + "\n")


def refuse(text):
    print(f"An error occurred (ClientException): {text}", file=sys.stderr)
    sys.exit(254)


def name_of(definition):
    return definition.rpartition("/")[2].partition(":")[0].removeprefix("smartrecover-trial-")


def advance(service):
    """What became of a service's newest deployment since it was last looked at."""
    newest = service["deployments"][0]
    name = service["serviceName"]
    if newest["rolloutState"] != "IN_PROGRESS" or name in wishes["never"]:
        return
    if name in wishes["replaced"]:
        service["deployments"] = [{**newest, "id": f"of-another-{name}"}]
    elif name in wishes["broken"] and not newest["taskDefinition"].endswith(":1"):
        newest |= {"rolloutState": "FAILED", "rolloutStateReason": "deployment circuit breaker: tasks failed"}
    else:
        newest["rolloutState"] = "COMPLETED"
        service["deployments"] = [newest]


if command in wishes["refused"]:
    refuse(f"not allowed to call {command}")
if command == "describe-services":
    answer = {"services": [], "failures": []}
    for name in asked["services"]:
        if name in state["services"]:
            advance(state["services"][name])
            answer["services"].append(state["services"][name])
        else:
            answer["failures"].append({"arn": name, "reason": "MISSING"})
elif command == "describe-task-definition":
    wanted = asked["taskDefinition"]
    found = [arn for arn, known in state["definitions"].items() if wanted in (arn, known["family"])]
    if not found:
        refuse("Unable to describe task definition.")
    described = {**state["definitions"][found[-1]], "taskDefinitionArn": found[-1], "revision": 7, "status": "ACTIVE"}
    described |= {"requiresAttributes": [], "compatibilities": ["FARGATE"], "registeredAt": 1.0, "registeredBy": "x"}
    answer = {"taskDefinition": described, "tags": described.pop("tags")}
elif command == "register-task-definition":
    known = {"family", "containerDefinitions", "cpu", "memory", "volumes", "tags", "runtimePlatform"}
    if unknown := set(asked) - known:
        refuse(f"Unknown parameter in input: {unknown}")
    known = [one for one in state["definitions"].values() if one["family"] == asked["family"]]
    arn = f"arn:task-definition/{asked['family']}:{len(known) + 1}"
    state["definitions"][arn] = asked
    answer = {"taskDefinition": {**asked, "taskDefinitionArn": arn}}
elif command == "run-task":
    answer = {"tasks": [{"taskArn": f"arn:task/{name_of(asked['taskDefinition'])}"}], "failures": []}
elif command == "describe-tasks":
    task = asked["tasks"][0]
    name = task.rpartition("/")[2]
    state["looks"][task] = state["looks"].get(task, 0) + 1
    container = {"name": name, "exitCode": 0}
    if name in wishes["exits"]:
        container["exitCode"] = wishes["exits"][name]
    if container["exitCode"] is None:
        del container["exitCode"]
    stopped = state["looks"][task] > 1 and name not in wishes["endless"]
    answer = {"failures": [], "tasks": [{"lastStatus": "STOPPED" if stopped else "RUNNING", "containers": [container],
                                         "stoppedReason": "Essential container in task exited"}]}
elif command == "update-service":
    service = state["services"][asked["service"]]
    if service["taskDefinition"] != asked["taskDefinition"]:
        service["taskDefinition"] = asked["taskDefinition"]
        for deployment in service["deployments"]:
            deployment["status"] = "ACTIVE"
        service["deployments"].insert(0, {
            "id": f"deployment-of-{asked['taskDefinition']}", "status": "PRIMARY",
            "taskDefinition": asked["taskDefinition"], "rolloutState": "IN_PROGRESS",
        })
    answer = {"service": service}
else:
    refuse(f"unknown command {command}")
(folder / "state.json").write_text(json.dumps(state))
print(json.dumps(answer))
'''


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


@pytest.fixture
def cloud(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").write_text(f"#!{sys.executable} -IS\n{AWS}")
    (programs / "aws").chmod(0o755)
    tasks = (*SERVICES, *(migration.partition("=")[0] for migration in NAMES["MIGRATIONS"]))
    wishes: dict[str, Any] = {"exits": {}} | {
        kind: [] for kind in ("broken", "never", "replaced", "endless", "refused")
    }
    made = Cloud(tmp_path)
    made.write(
        {
            "services": {name: service(name) for name in SERVICES},
            "definitions": {arn(name): definition(name) for name in tasks},
            "looks": {},
            "wishes": wishes,
        }
    )
    return made


MIGRATED = ["migrate-risk:2", "migrate-debt:2"]
OLD = {name: arn(name) for name in SERVICES}
NEW = {name: arn(name, 2) for name in SERVICES}


def test_it_migrates_then_changes_who_receives_then_who_sends(cloud):
    done = cloud.deploy()

    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.steps() == [*MIGRATED, "consumer:2", "dispatcher:2", "risk-api:2", "debt-api:2"]
    assert cloud.running() == NEW


def test_who_sends_is_changed_when_the_consumer_is_stable(cloud):
    cloud.deploy()
    asked = cloud.asked("update-service", "describe-services")
    changed = [index for index, (command, _) in enumerate(asked) if command == "update-service"]

    between = asked[changed[0] + 1 : changed[1]]
    assert between
    assert all(request["services"] == ["consumer"] for _, request in between)


def test_only_the_image_differs(cloud):
    cloud.deploy()

    registered = [request for _, request in cloud.asked("register-task-definition")]
    assert len(registered) == len(SERVICES) + len(MIGRATED)
    for request in registered:
        before = definition(request["family"].removeprefix("smartrecover-trial-"))
        assert request["containerDefinitions"][0].pop("image") == IMAGE
        del before["containerDefinitions"][0]["image"]
        assert request == before


def test_a_container_of_another_image_keeps_it(cloud):
    state = cloud.state()
    state["definitions"][arn("consumer")]["containerDefinitions"].append({"name": "agent", "image": "agent:3"})
    cloud.write(state)
    cloud.deploy()

    [request] = [one for _, one in cloud.asked("register-task-definition") if one["family"].endswith("-consumer")]
    assert [one["image"] for one in request["containerDefinitions"]] == [IMAGE, "agent:3"]


def test_a_migration_runs_in_the_network_of_a_service_with_the_same_database(cloud):
    cloud.deploy()

    groups = [
        request["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"]
        for _, request in cloud.asked("run-task")
    ]
    assert groups == [["group-of-dispatcher"], ["group-of-consumer"]]


@pytest.mark.parametrize(("task", "steps"), [("migrate-risk", MIGRATED[:1]), ("migrate-debt", MIGRATED)])
@pytest.mark.parametrize("code", [1, 137, None])
def test_a_migration_that_fails_or_never_starts_stops_everything(cloud, task, steps, code):
    cloud.wish(exits={task: code})
    done = cloud.deploy()

    assert done.returncode == 1
    assert cloud.steps() == steps
    assert cloud.running() == OLD
    assert f"{{'{task}': {code}}}" in done.stdout
    assert "no service was changed" in done.stdout


def test_a_migration_that_takes_too_long_is_left_alone(cloud):
    cloud.wish(endless=["migrate-risk"])
    done = cloud.deploy("--migrate-minutes", "0.01")

    assert done.returncode == 1
    assert cloud.steps() == MIGRATED[:1]
    assert cloud.asked("stop-task") == []
    assert "still running" in done.stdout


@pytest.mark.parametrize("how", ["broken", "never", "replaced"])
def test_a_consumer_that_does_not_come_up_is_put_back_and_nobody_else_is_touched(cloud, how):
    cloud.wish(**{how: ["consumer"]})
    done = cloud.deploy("--settle-minutes", "0.01")

    assert cloud.steps() == [*MIGRATED, "consumer:2", "consumer:1"]
    assert cloud.running() == OLD
    assert "FAILED: " in done.stdout
    # When nothing new can become stable, neither can the old.
    assert done.returncode == (1 if how == "broken" else 2)


@pytest.mark.parametrize("name", NAMES["SENDERS"])
def test_when_a_sender_does_not_come_up_senders_are_put_back_before_the_consumer(cloud, name):
    cloud.wish(broken=[name])
    done = cloud.deploy()

    assert done.returncode == 1
    assert cloud.steps()[len(MIGRATED) :] == [
        *("consumer:2", "dispatcher:2", "risk-api:2", "debt-api:2"),
        *("dispatcher:1", "risk-api:1", "debt-api:1", "consumer:1"),
    ]
    assert cloud.running() == OLD
    assert f"FAILED: {name}: deployment circuit breaker" in done.stdout
    assert done.stdout.splitlines()[-1] == "everything runs as before"


def test_the_old_consumer_never_meets_new_senders(cloud):
    cloud.wish(never=["dispatcher"])
    done = cloud.deploy("--settle-minutes", "0.01")

    assert done.returncode == 2
    assert cloud.running()["consumer"] == NEW["consumer"]
    assert "PUTTING BACK FAILED" in done.stdout
    assert OLD["consumer"] in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("command", ["describe-services", "register-task-definition", "run-task"])
def test_what_aws_refuses_before_a_change_changes_nothing(cloud, command):
    cloud.wish(refused=[command])
    done = cloud.deploy()

    assert done.returncode == 1
    assert cloud.running() == OLD
    assert f"FAILED, and no service was changed: aws ecs {command}: " in done.stdout
    assert f"not allowed to call {command}" in done.stdout


def test_a_refused_change_is_a_person_s_business(cloud):
    cloud.wish(refused=["update-service"])

    assert cloud.deploy().returncode == 2


def test_a_service_that_is_missing_stops_it_before_anything_is_done(cloud):
    state = cloud.state()
    del state["services"]["debt-api"]
    cloud.write(state)
    done = cloud.deploy()

    assert done.returncode == 1
    assert "debt-api" in done.stdout
    assert cloud.asked("register-task-definition", "run-task", "update-service") == []


def test_an_image_of_another_repository_is_refused(cloud):
    done = cloud.deploy("--image", IMAGE.replace("-trial", "-other"))

    assert done.returncode == 1
    assert "comes from registry.example:5000/smartrecover-other" in done.stdout
    assert cloud.steps() == []


@pytest.mark.parametrize("image", [f"{REPOSITORY}:1.0.0", REPOSITORY, f"{REPOSITORY}@sha256:{'a' * 63}"])
def test_an_image_is_named_by_its_digest_only(cloud, image):
    done = cloud.deploy("--image", image)

    assert done.returncode == 2
    assert "by its digest" in done.stderr
    assert not (cloud.folder / "asked").exists()


def test_cluster_and_migrations_can_be_named(cloud):
    state = cloud.state()
    state["definitions"][arn("migrate")] = definition("migrate")
    cloud.write(state)
    cloud.deploy("--cluster", "another", "--migrate", "migrate=risk-api")

    assert cloud.steps()[0] == "migrate:2"
    assert cloud.steps()[1] == "consumer:2"
    assert {request["cluster"] for _, request in cloud.asked("run-task", "update-service")} == {"another"}


def waits_for_a_service(cloud) -> bool:
    commands = [command for command, _ in cloud.asked("update-service", "describe-services")]
    return "update-service" in commands and commands[-1] == "describe-services"


def test_whoever_interrupts_it_is_told_that_things_are_left_as_they_are(cloud):
    cloud.wish(never=["consumer"])
    process = subprocess.Popen(
        cloud.command("--poll-seconds", "0.2"), env=cloud.environment(), stdout=subprocess.PIPE, text=True
    )
    eventually(lambda: waits_for_a_service(cloud), 30, "a look at the service that was updated")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "INTERRUPTED" in said


def test_the_names_are_those_that_terraform_gives():
    processes = (ROOT / "infra/aws/modules/services/processes.tf").read_text(encoding="utf-8")
    networks = re.search(
        r"for service, process in \{([^}]*)\}", (ROOT / "infra/aws/outputs.tf").read_text(encoding="utf-8")
    )
    made = re.findall(r"^    ([a-z-]+) = \{$", processes.partition("steady =")[0], re.MULTILINE)

    assert set(made) == set(SERVICES)
    assert '"migrate-${service}" =>' in processes
    assert networks is not None
    described = dict(re.findall(r'(\w+) = "([a-z-]+)"', networks[1]))
    assert {f"migrate-{service}={process}" for service, process in described.items()} == set(NAMES["MIGRATIONS"])


# --- The registry ---


@pytest.fixture
def registry(tmp_path):
    """Runs registry.sh with stand-ins for aws and docker."""
    aws = f"""case "$*" in
    *--repository-names\\ smartrecover-trial\\ *) echo {REPOSITORY} ;;
    *get-login-password*) echo the-password ;;
    *) echo RepositoryNotFoundException >&2; exit 254 ;;
    esac"""
    docker = f'echo "$@" > {tmp_path}/docker-arguments; cat > {tmp_path}/docker-read; echo Login Succeeded'
    for name, script in {"aws": aws, "docker": docker}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def run(repository: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run([REGISTRY, repository], env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_prints_the_repository_s_address_and_nothing_else(registry):
    assert registry("smartrecover-trial").stdout == f"{REPOSITORY}\n"


def test_the_password_is_in_no_command(registry, tmp_path):
    registry("smartrecover-trial")

    assert (tmp_path / "docker-arguments").read_text().split()[-1] == "registry.example:5000"
    assert "the-password" not in (tmp_path / "docker-arguments").read_text()
    assert (tmp_path / "docker-read").read_text() == "the-password"


def test_a_repository_that_is_missing_is_an_error(registry, tmp_path):
    done = registry("nowhere")

    assert done.returncode != 0
    assert done.stdout == ""
    assert not (tmp_path / "docker-arguments").exists()
