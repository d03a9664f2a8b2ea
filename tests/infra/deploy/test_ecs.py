"""Deployment to ECS: in the order that is safe, stopped by a failed migration, put back when a service fails.

No AWS: a stand-in for the `aws` command keeps services, deployments and tasks in a file, and notes what was asked.
"""

import re
import signal
import subprocess

import pytest
from tests.infra.deploy.cloud import IMAGE, NAMES, REPOSITORY, ROOT, SERVICES, Cloud, a_cloud, arn, definition
from tests.support.processes import eventually

MIGRATED = ["migrate-risk:2", "migrate-debt:2"]
OLD = {name: arn(name) for name in SERVICES}
NEW = {name: arn(name, 2) for name in SERVICES}


@pytest.fixture
def cloud(tmp_path) -> Cloud:
    return a_cloud(tmp_path)


def test_it_migrates_then_changes_who_receives_then_who_sends(cloud):
    done = cloud.deploy()

    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.steps() == [*MIGRATED, "consumer:2", "dispatcher:2", "risk-api:2", "debt-api:2"]
    assert cloud.running() == NEW


def test_the_console_where_there_is_one_is_changed_last_and_put_back_first(tmp_path):
    cloud = a_cloud(tmp_path, "console")
    cloud.wish(broken=["console"])
    done = cloud.deploy()

    assert done.returncode == 1, done.stdout + done.stderr
    changed = ["consumer:2", "dispatcher:2", "risk-api:2", "debt-api:2", "console:2"]
    put_back = ["console:1", "dispatcher:1", "risk-api:1", "debt-api:1", "consumer:1"]
    assert cloud.steps() == [*MIGRATED, *changed, *put_back]


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
def test_a_consumer_that_does_not_come_up_is_put_back_and_no_other_process_is_touched(cloud, how):
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


def test_an_interruption_says_that_things_are_left_as_they_are(cloud):
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
