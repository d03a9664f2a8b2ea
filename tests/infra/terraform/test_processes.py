"""The tasks run our programs: with settings that they understand, and with what they need to start, write and stop."""

import json
import re
from importlib import import_module

import typer
from tests.infra.terraform.program import slow
from tests.infra.terraform.source import AWS, text_of
from tests.infra.terraform.state import (
    SETTINGS,
    WITH_CONSOLE,
    each_example,
    each_process,
    environment_of,
    of_type,
    secrets_of,
)

from debt_processing.settings import Settings as DebtSettings
from recovery_console.settings import Settings as ConsoleSettings
from risk_assessment.settings import Settings as RiskSettings
from service_kit.http.serving.server import KEEP_ALIVE_SECONDS
from service_kit.lifecycle import STOP_SECONDS

APIS = {"risk-api": "risk_host", "debt-api": "debt_host"}
JOBS = {"migrate-risk", "migrate-debt", "prepare-risk", "prepare-debt"}
# Read by others than our settings: uvicorn, Python's tempfile, and the script of the tasks `prepare-…`.
OF_PREPARE = {"MASTER_USERNAME", "MASTER_PASSWORD", "OWNER_DATABASE_URL"}
OTHER_VARIABLES = {"FORWARDED_ALLOW_IPS", "TMPDIR"} | OF_PREPARE


@slow
@each_example
def test_the_whole_system_is_there(system, example):
    processes = set(SETTINGS) | ({"console"} if example == WITH_CONSOLE else set())
    assert set(system["outputs"]["containers"]) == processes | JOBS
    tasks = [json.loads(task["container_definitions"]) for task in of_type(system, "aws_ecs_task_definition")]
    assert sorted(container["name"] for (container,) in tasks) == sorted(system["outputs"]["containers"])
    assert {service["name"] for service in of_type(system, "aws_ecs_service")} == processes


def test_every_variable_is_read():
    known = {
        field.upper() for kind in (RiskSettings, DebtSettings, ConsoleSettings) for field in kind.model_fields
    } | OTHER_VARIABLES
    named = set(re.findall(r"^\s+([A-Z][A-Z0-9_]+)\s*=", text_of("modules/services"), re.MULTILINE))

    assert {"RECOVERY_AUTH", "RISK_HOST", "DEBT_PREFETCH"} <= named
    assert named - known == set()


@slow
@each_process
@each_example
def test_a_process_reads_every_variable_and_understands_it(system, process, monkeypatch):
    for field in SETTINGS[process].model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    container = system["outputs"]["containers"][process]
    for variable, value in environment_of(container).items():
        monkeypatch.setenv(variable, value)
    if "RECOVERY_MESSAGE_KEYS" in {secret["name"] for secret in container["secrets"]}:
        monkeypatch.setenv("RECOVERY_MESSAGE_KEYS", "20261130031500:" + "0123456789abcdef" * 4)

    settings = SETTINGS[process](_env_file=None)

    fields = {field.upper() for field in SETTINGS[process].model_fields}
    assert set(environment_of(container)) - fields - OTHER_VARIABLES == set()
    assert settings.recovery_create_queues is False
    settings.refuse_open_doors(getattr(settings, APIS[process]) if process in APIS else None)


@slow
@each_example
def test_the_queues_in_the_settings_are_the_ones_that_are_created(system):
    made = {queue["name"] for queue in of_type(system, "aws_sqs_queue")}
    for process in SETTINGS:
        variables = environment_of(system["outputs"]["containers"][process])
        queues = {variables[f"RECOVERY_QUEUE_{which}"] for which in ("HIGH", "STANDARD", "RESULTS", "STOPS")}

        assert queues | {f"{queue}-dlq" for queue in queues} == made


@slow
@each_example
def test_a_process_knows_its_own_database_only(system):
    for name, container in system["outputs"]["containers"].items():
        if name == "console":
            continue  # it has none: see test_console.py
        own = "RISK" if name in {"risk-api", "dispatcher"} or name.endswith("-risk") else "DEBT"
        others = OF_PREPARE if name.startswith("prepare-") else set()
        others |= {"RECOVERY_MESSAGE_KEYS"} if name in SETTINGS else set()

        assert set(secrets_of(container)) == {f"{own}_DATABASE_URL"} | others, name


@slow
@each_example
def test_a_migration_lets_the_account_of_the_processes_use_the_tables(system):
    for service in ("risk", "debt"):
        command = system["outputs"]["containers"][f"migrate-{service}"]["command"]
        urls = system["outputs"]["database_urls"]

        assert command[1:] == ["migrate", "--grant-to", service]
        assert urls[service]["before"] == f"mysql+pymysql://{service}:"
        assert urls[f"{service}-owner"]["before"] == f"mysql+pymysql://{service}_owner:"
        assert urls[service]["after"] == urls[f"{service}-owner"]["after"]


@slow
@each_example
def test_a_process_is_a_command_that_exists(system):
    for name, container in system["outputs"]["containers"].items():
        program, command, *_ = container["command"]
        if not name.startswith("prepare-"):
            app = import_module(f"{program.replace('-', '_')}.__main__").app
            assert command in typer.main.get_command(app).commands, name


@slow
@each_example
def test_a_process_is_asked_for_its_health_where_it_answers(system):
    for process in SETTINGS:
        container = system["outputs"]["containers"][process]
        variables = environment_of(container)
        _, program, port, path = container["healthCheck"]["command"]
        metrics = variables.get("RISK_METRICS_PORT") or variables.get("DEBT_METRICS_PORT")

        assert program == "healthcheck"
        assert (port, path) == (
            (metrics, "/metrics") if metrics else (variables[f"{process[:4].upper()}_PORT"], "/healthz")
        )
        assert [str(mapped["containerPort"]) for mapped in container["portMappings"]] == ([] if metrics else [port])


@slow
@each_example
def test_a_process_is_given_longer_to_stop_than_it_needs(system):
    assert all(container["stopTimeout"] > STOP_SECONDS for container in system["outputs"]["containers"].values())


@slow
@each_example
def test_the_load_balancer_keeps_a_connection_for_less_long_than_the_apis(system):
    (balancer,) = of_type(system, "aws_lb")

    assert balancer["idle_timeout"] < KEEP_ALIVE_SECONDS


@slow
@each_example
def test_where_a_process_may_write_is_declared_by_the_image(system):
    declared = re.search(r"^VOLUME (\[.*\])$", (AWS / "image/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared
    for name, container in system["outputs"]["containers"].items():
        paths = {mount["containerPath"] for mount in container["mountPoints"]}

        assert "/tmp" in paths <= set(json.loads(declared[1])), name
        assert environment_of(container).get("TMPDIR", "/tmp") in paths, name
