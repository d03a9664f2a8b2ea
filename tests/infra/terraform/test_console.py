"""The console on AWS: settings that it understands, APIs that it finds, metrics that stay inside, secrets not shown."""

import json
import os
import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from tests.infra.terraform.program import slow
from tests.infra.terraform.source import AWS
from tests.infra.terraform.state import WITH_CONSOLE, each_example, environment_of, of_type, secrets_of

from recovery_console.settings import Settings

with_console = pytest.mark.parametrize("example", [WITH_CONSOLE])
READ_BY_UVICORN = {"FORWARDED_ALLOW_IPS"}


@slow
@with_console
def test_it_reads_every_variable_and_understands_it(system, monkeypatch):
    fields = {field.upper() for field in Settings.model_fields}
    for field in fields:
        monkeypatch.delenv(field, raising=False)
    container = system["outputs"]["containers"]["console"]
    variables = environment_of(container)
    for variable, value in {**variables, **dict.fromkeys(secrets_of(container), "s" * 64)}.items():
        monkeypatch.setenv(variable, value)

    settings = Settings(_env_file=None)

    assert set(variables) - fields == READ_BY_UVICORN
    assert set(secrets_of(container)) == {"CONSOLE_SESSION_SECRET", "CONSOLE_OIDC_CLIENT_SECRET"}
    assert settings.console_public_url == system["outputs"]["console_url"] == "https://recovery.example.com"
    assert settings.signs_in
    settings.refuse_open_doors(settings.console_host)


@slow
@with_console
def test_it_finds_the_apis_under_names_that_only_the_vpc_knows(system):
    containers = system["outputs"]["containers"]
    [namespace] = of_type(system, "aws_service_discovery_private_dns_namespace")
    names = {service["name"] for service in of_type(system, "aws_service_discovery_service")}
    console = environment_of(containers["console"])

    assert names == {"risk-api", "debt-api"}
    for api in names:
        service = api.removesuffix("-api").upper()
        port = environment_of(containers[api])[f"{service}_PORT"]
        assert console[f"{service}_API_URL"] == f"http://{api}.{namespace['name']}:{port}"


@slow
@with_console
def test_it_is_asked_for_its_health_where_it_answers(system):
    container = system["outputs"]["containers"]["console"]
    port = environment_of(container)["CONSOLE_PORT"]

    assert container["healthCheck"]["command"] == ["CMD", "healthcheck", port, "/healthz"]
    assert [str(mapped["containerPort"]) for mapped in container["portMappings"]] == [port]


def spellings(path: str) -> list[str]:
    """Return a path as it is, with a slash behind it, and with each of its letters percent-encoded in turn."""
    encoded = [f"{path[:at]}%{ord(path[at]):02X}{path[at + 1 :]}" for at in range(1, len(path))]
    return [path, f"{path}/", *encoded, "/" + "".join(f"%{ord(letter):02x}" for letter in path[1:])]


def refused_by(rules: list[dict], path: str) -> bool:
    patterns = [
        pattern
        for rule in rules
        if rule["action"][0]["type"] == "fixed-response"
        for condition in rule["condition"]
        for pattern in condition["path_pattern"][0]["values"]
    ]
    return any(fnmatchcase(path, pattern) for pattern in patterns)


@slow
@with_console
def test_its_metrics_are_refused_from_outside_however_they_are_spelled(system):
    rules = of_type(system, "aws_lb_listener_rule")

    assert [path for path in spellings("/metrics") if not refused_by(rules, path)] == []
    pages = ["/", "/runs/new", "/policies/sha256%3A0a", "/sign-in", "/static/console.css", "/simulations"]
    assert [path for path in pages if refused_by(rules, path)] == []


@slow
@each_example
def test_it_is_watched_like_an_api_where_there_is_one(system, example):
    alarms = {name for name in system["outputs"]["alarms"] if name.endswith("-console")}

    there = {"api-gone-console", "api-errors-console", "api-slow-console"}
    assert alarms == (there if example == WITH_CONSOLE else set())


STAND_INS = {
    "terraform": """echo '{"session": "s/console-session", "oidc-client": "s/console-oidc-client"}'""",
    "aws": """echo "$@" > "$SAID"; cat > "$PUT"; echo version""",
}


def put(folder: Path, which: str, given: str = "") -> tuple[int, dict[str, str]]:
    """Run console-secret.sh over a stand-in of AWS; return its exit code and what it put, which it must not show."""
    if shutil.which("jq") is None:
        pytest.skip("no jq on this machine: console-secret.sh is not tried")
    for name, body in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    kept, said = folder / "put", folder / "said"
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PUT": str(kept), "SAID": str(said)}
    command = ["sh", str(AWS / "console-secret.sh"), which]
    done = subprocess.run(command, env=env, input=given, capture_output=True, text=True, check=False)
    if not kept.exists():
        return done.returncode, {}
    request: dict[str, str] = json.loads(kept.read_text(encoding="utf-8"))
    assert request["SecretString"] not in said.read_text(encoding="utf-8") + done.stdout + done.stderr
    return done.returncode, request


def test_the_secret_of_its_sessions_is_drawn_and_long_enough_for_it(tmp_path):
    code, request = put(tmp_path, "session")

    assert (code, request["SecretId"]) == (0, "s/console-session")
    assert re.fullmatch(r"[0-9a-f]{64}", request["SecretString"])
    assert put(tmp_path, "session")[1]["SecretString"] != request["SecretString"]
    assert Settings(_env_file=None, console_session_secret=request["SecretString"]).console_session_secret


def test_the_secret_of_its_client_comes_from_the_issuer(tmp_path):
    code, request = put(tmp_path, "oidc-client", "as given\n")

    assert (code, request) == (0, {"SecretId": "s/console-oidc-client", "SecretString": "as given"})


@pytest.mark.parametrize(("which", "code"), [("oidc-client", 1), ("other", 2)])
def test_no_secret_is_put_where_none_is_given(tmp_path, which, code):
    assert put(tmp_path, which) == (code, {})
