"""The compose file: valid, locked down, complete, and in words that the programs understand. No engine is needed."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import typer
import yaml
from tests.support.processes import free_port, running

from debt_processing.settings import Settings as DebtSettings
from recovery_console.settings import Settings as ConsoleSettings
from risk_assessment.settings import Settings as RiskSettings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
DRAIN_SECONDS = 20  # within which every process of ours is gone once asked

SETTINGS = {"risk-api": RiskSettings, "dispatcher": RiskSettings, "debt-api": DebtSettings, "consumer": DebtSettings}
APIS = {"risk-api": "risk_host", "debt-api": "debt_host"}
SERVED = {*APIS, "console"}
# Read by others than our settings: the AWS client, MySQL's first start and its script, Python's tempfile.
OTHER_VARIABLES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TMPDIR"}
MYSQL_VARIABLES = {
    "MYSQL_ROOT_PASSWORD",
    "RISK_MYSQL_PASSWORD",
    "DEBT_MYSQL_PASSWORD",
    "RISK_OWNER_MYSQL_PASSWORD",
    "DEBT_OWNER_MYSQL_PASSWORD",
}


def resolved(text: str) -> str:
    """What compose makes of a value when nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


COMPOSE: dict[str, Any] = yaml.safe_load(resolved(FILE.read_text(encoding="utf-8")))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = set(SERVICES) - JOBS
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("smartrecover:")}


def commands_of(program: str) -> set[str]:
    app = import_module(f"{program.replace('-', '_')}.__main__").app
    return set(typer.main.get_command(app).commands)


def each(names: set[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", sorted(names))


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_it_follows_the_compose_specification():
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_whole_system_is_there():
    assert set(SETTINGS) | {"console", "mysql", "sqs"} == LASTING
    assert {"migrate", "keys", "cli"} == JOBS


def test_all_of_ours_is_one_image_that_one_job_builds_and_none_pulls():
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


@each(set(SERVICES))
def test_images_are_named_without_a_host(name):
    assert re.fullmatch(r"([a-z]+/)?[a-z]+:[\w.]+", SERVICES[name]["image"])


@each(set(SERVICES))
def test_everything_is_locked_down(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert name in OURS or service["user"] not in {"root", "0"}


@each(set(SERVICES))
def test_everything_has_limits(name):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert 0 < float(limits["cpus"]) <= 2
    assert re.fullmatch(r"\d+[MG]", limits["memory"])
    assert limits["pids"] > 0
    assert SERVICES[name]["logging"]["options"]["max-size"]


@each(LASTING)
def test_what_lasts_restarts_by_itself_and_shows_its_health(name):
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert seconds(service["healthcheck"]["timeout"]) < seconds(service["healthcheck"]["interval"])


@each({*SETTINGS, "console"})
def test_a_process_is_given_longer_to_stop_than_it_needs(name):
    assert seconds(SERVICES[name]["stop_grace_period"]) > DRAIN_SECONDS


@each(set(SETTINGS))
def test_a_process_starts_when_all_it_needs_is_there(name):
    assert {on: how["condition"] for on, how in SERVICES[name]["depends_on"].items()} == {
        "mysql": "service_healthy",
        "sqs": "service_healthy",
        "migrate": "service_completed_successfully",
        "keys": "service_completed_successfully",
    }


def test_jobs_go_in_order():
    assert SERVICES["migrate"]["depends_on"] == {"mysql": {"condition": "service_healthy"}}
    assert SERVICES["keys"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


@each(set(SERVICES))
def test_ports_are_open_to_this_machine_only(name):
    ports = SERVICES[name].get("ports", [])

    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert bool(ports) == (name in SERVED)


def test_only_what_is_served_is_on_a_network_that_leads_outside():
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == SERVED


def test_there_can_be_more_consumers():
    assert not {"container_name", "ports"} & set(SERVICES["consumer"])


@each(set(SERVICES))
def test_every_variable_is_read(name):
    settings = {field.upper() for kind in (RiskSettings, DebtSettings, ConsoleSettings) for field in kind.model_fields}
    known = MYSQL_VARIABLES if name == "mysql" else settings | OTHER_VARIABLES

    assert set(SERVICES[name].get("environment", ())) - known == set()


@each(set(SETTINGS))
def test_a_process_understands_its_settings(name, monkeypatch):
    for field in SETTINGS[name].model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value)

    settings = SETTINGS[name](_env_file=None)

    assert settings.aws_endpoint_url_sqs == "http://sqs:5000"
    assert settings.recovery_create_queues is True
    if name in APIS:
        settings.refuse_open_doors(getattr(settings, APIS[name]))


@each(set(SETTINGS))
def test_a_process_knows_its_own_database_only(name):
    own, other = ("risk", "debt") if SETTINGS[name] is RiskSettings else ("debt", "risk")
    environment = SERVICES[name]["environment"]

    assert environment[f"{own.upper()}_DATABASE_URL"].startswith(f"mysql+pymysql://{own}:")
    assert environment[f"{own.upper()}_DATABASE_URL"].endswith(f"@mysql:3306/{own}")
    assert f"{other.upper()}_DATABASE_URL" not in environment


def test_only_the_migration_has_the_accounts_that_own_the_tables_and_it_lets_the_others_use_them():
    owners = {name for name in OURS if "_owner:" in " ".join(SERVICES[name]["environment"].values())}
    granted = re.findall(r"(risk|debt)-\w+ migrate --grant-to (\w+)", SERVICES["migrate"]["command"][-1])

    assert owners == {"migrate"}
    assert granted == [("risk", "risk"), ("debt", "debt")]


@each(set(SETTINGS) | {"cli"})
def test_a_process_has_the_keys_of_the_messages(name):
    assert SERVICES[name]["environment"]["RECOVERY_MESSAGE_KEYS"] == "local:local-only-message-key"


@each(OURS)
def test_every_process_that_uses_the_queues_can(name):
    environment = SERVICES[name]["environment"]
    if name in {"migrate", "keys", "console"}:
        assert "AWS_ENDPOINT_URL_SQS" not in environment
    else:
        assert {"AWS_REGION", "AWS_ENDPOINT_URL_SQS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(environment)


@each({*SETTINGS, "console"})
def test_a_process_is_a_command_that_exists(name):
    program, command = SERVICES[name]["command"]

    assert command in commands_of(program)


@each({*SETTINGS, "console"})
def test_a_process_is_asked_for_its_health_where_it_answers(name):
    _, program, port, path = SERVICES[name]["healthcheck"]["test"]
    environment = SERVICES[name]["environment"]
    metrics = environment.get("RISK_METRICS_PORT") or environment.get("DEBT_METRICS_PORT")

    assert program == "healthcheck"
    assert (port, path) == (("9101", "/metrics") if metrics else (SERVICES[name]["ports"][0][-4:], "/readyz"))
    assert metrics in {None, port}


def test_the_sqs_is_guarded_and_answers_its_health_check(tmp_path):
    sqs = SERVICES["sqs"]
    (mounted,) = sqs["volumes"]
    source, target, mode = mounted.split(":")
    port, url = free_port(), urlsplit(sqs["healthcheck"]["test"][-1])
    options = dict(pairwise(sqs["command"]))

    assert sqs["entrypoint"] == ["python", target]
    assert mode == "ro"
    assert (options["--host"], options["--port"], options["--name"]) == ("0.0.0.0", str(url.port), "sqs")
    # Alone, as in moto's image, where our packages are not.
    command = [sys.executable, shutil.copy(ROOT / source, tmp_path), "--port", str(port), "--name", "sqs"]
    with running(command, port, tmp_path / "log", cwd=tmp_path):
        assert httpx.get(f"http://127.0.0.1:{port}{url.path}").status_code == 200
        assert httpx.post(f"http://127.0.0.1:{port}/moto-api/reset").status_code == 404


def test_every_secret_is_plainly_local_and_can_be_set():
    secrets = re.findall(r"\$\{(\w*PASSWORD|\w*_KEYS)(?::-(?:local:)?([^}]*))?\}", FILE.read_text(encoding="utf-8"))

    assert {name for name, _ in secrets} == MYSQL_VARIABLES | {"RECOVERY_MESSAGE_KEYS"}
    assert all(default.startswith("local-only-") for _, default in secrets)
    assert {SERVICES[name]["environment"].get("AWS_SECRET_ACCESS_KEY", "local") for name in OURS} == {"local"}


def test_what_is_mounted_is_there():
    sources = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume[0] == "."
    ]

    assert sources
    assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("script", ["local-key.sh", "demo.sh", "mysql/10-databases.sh"])
def test_a_script_has_no_syntax_error(script):
    subprocess.run(["sh", "-n", ROOT / "infra/docker" / script], check=True)


def test_compose_itself_takes_the_file():
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose on this machine: nothing but the schema and these rules has judged the file")
    command = [docker, "compose", "--file", str(FILE), "--profile", "cli", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
# Options that stand alone, and those that a value follows.
OPTION = r"(?:--(?:rm|detach|wait|no-deps|build|no-build|no-log-prefix)\b|-T|--(?:volume|since|scale)[ =]\S+)"


def test_the_operators_commands_name_services_that_exist():
    named = re.findall(rf"docker compose (?:run|exec|up|stop|restart|logs)((?: {OPTION})*)((?: [a-z-]+)*)", OPERATIONS)

    named_services = {words.split()[0] for _, words in named if words.split()}
    assert {"cli", "keys", "migrate", "mysql", "consumer", "dispatcher", "risk-api"} <= named_services <= set(SERVICES)


def test_the_operators_commands_of_both_services_exist():
    for program, command in re.findall(
        rf"compose run(?: {OPTION}|\s\S+/in:ro\S+)* cli ([a-z]+-[a-z]+) ([a-z-]+)", OPERATIONS
    ):
        assert command in commands_of(program)
