"""Both services as processes: neither serves the network without authentication; a revoked key is soon refused."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.issuer import AUDIENCE, issuing
from tests.support.processes import Done, environment, eventually, free_port, run_service, serving

from service_kit.database.migrations import upgrade

SERVICES = {"risk_assessment": ("RISK", "/risk-service/runs/x"), "debt_processing": ("DEBT", "/debt-service/runs/x")}


@pytest.fixture(params=list(SERVICES))
def package(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(package: str, tmp_path: Path, sqs_url: str) -> dict[str, str]:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    upgrade(url, package)
    return {f"{SERVICES[package][0]}_DATABASE_URL": url, "AWS_ENDPOINT_URL_SQS": sqs_url}


def command(package: str, folder: Path, settings: dict[str, str], *arguments: str) -> Done:
    return run_service(package, *arguments, cwd=folder, env=environment(**settings))


@pytest.mark.parametrize("by_option", [True, False])
def test_no_api_serves_the_network_without_authentication(
    package: str, tmp_path: Path, settings: dict[str, str], by_option: bool
) -> None:
    port = str(free_port())
    prefix = SERVICES[package][0]
    given = settings if by_option else settings | {f"{prefix}_HOST": "0.0.0.0"}
    done = command(package, tmp_path, given, "serve", "--port", port, *(["--host", "0.0.0.0"] if by_option else []))

    assert done.code != 0
    assert done.out == ""
    assert done.err.startswith("error: RECOVERY_AUTH: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"RECOVERY_AUTH": "oidc", "RECOVERY_OIDC_ISSUER": "https://id.example"}, "RECOVERY_OIDC_AUDIENCE"),
        ({"RECOVERY_CORS_ORIGINS": "*"}, "RECOVERY_CORS_ORIGINS"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    package: str, tmp_path: Path, settings: dict[str, str], given: dict[str, str], named: str
) -> None:
    done = command(package, tmp_path, settings | given, "serve", "--port", str(free_port()))

    assert done.code != 0
    assert done.err.startswith(f"error: {named}: ")
    assert "Value error" not in done.err


@pytest.fixture
def guarded(package: str, tmp_path: Path, settings: dict[str, str]) -> Iterator[httpx.Client]:
    port = free_port()
    serve = ("serve", "--host", "0.0.0.0", "--port", str(port))
    env = environment(**settings, RECOVERY_AUTH="keys", RECOVERY_CREATE_QUEUES="true")
    with (
        serving(package, *serve, port=port, log=tmp_path / "log", cwd=tmp_path, env=env),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client


def test_a_key_lets_in_until_seconds_after_it_is_revoked(
    guarded: httpx.Client, package: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    token = command(package, tmp_path, settings, "create-key", "--name", "ops", "--role", "viewer").out.strip()

    def status() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return guarded.get(SERVICES[package][1], headers=headers).status_code

    assert guarded.get(SERVICES[package][1]).status_code == 401
    assert status() == 404
    command(package, tmp_path, settings, "revoke-key", "ops")
    revoked_at = time.monotonic()
    eventually(lambda: status() == 401, 10, "the refusal")
    assert time.monotonic() - revoked_at < 5

    log = (tmp_path / "log").read_text()
    assert token[17:] not in log
    assert '"actor": "key:ops"' in log


def test_a_token_of_the_issuer_lets_in(package: str, tmp_path: Path, settings: dict[str, str]) -> None:
    port = free_port()
    with issuing() as issuer:
        oidc = {
            "RECOVERY_AUTH": "oidc",
            "RECOVERY_OIDC_ISSUER": issuer.url,
            "RECOVERY_OIDC_AUDIENCE": AUDIENCE,
            "RECOVERY_CREATE_QUEUES": "true",
        }
        serve = ("serve", "--host", "0.0.0.0", "--port", str(port))
        env = environment(**settings, **oidc)
        with serving(package, *serve, port=port, log=tmp_path / "log", cwd=tmp_path, env=env):
            address = f"http://127.0.0.1:{port}{SERVICES[package][1]}"
            token = issuer.token("ec-1")
            statuses = [
                httpx.get(address, headers={"Authorization": f"Bearer {one}"}).status_code
                for one in (token, issuer.token(exp=1), token + "x", issuer.token(roles=[]))
            ]
    assert statuses == [404, 401, 401, 403]
    assert token not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("package", ["risk_assessment"], indirect=True)
def test_the_command_line_shows_its_key(
    guarded: httpx.Client, package: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    token = command(package, tmp_path, settings, "create-key", "--name", "ops", "--role", "operator").out.strip()
    here = settings | {"RISK_API_URL": str(guarded.base_url)}
    assert command(package, tmp_path, settings, "generate-debtors", "--count", "3").code == 0

    without = command(package, tmp_path, here, "process-debtors", "--dry-run")
    started = command(package, tmp_path, here | {"RECOVERY_API_KEY": token}, "process-debtors", "--no-wait", "--json")

    assert (without.code, len(without.err.splitlines())) == (1, 1)
    assert "RECOVERY_API_KEY" in without.err
    assert (started.code, json.loads(started.out)["state"]) == (0, "accepted"), started.err
