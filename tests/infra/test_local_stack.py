"""The local system works in whatever shell it is started from, and says what is not installed."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.processes import environment, free_port

from recovery_client import risk
from recovery_client.client import RecoveryClient
from recovery_client.errors import ClientError, RejectedError
from smartrecover import console
from smartrecover.console import console_obstacle, find_console_port
from smartrecover.stack import Stack

WORK = {
    "AWS_PROFILE": "work",
    "AWS_ACCESS_KEY_ID": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_REGION": "not a region",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "NO_PROXY": "intranet.example",
}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path, 1, 2, 3)


def test_processes_of_the_local_sqs_know_no_other_aws(stack: Stack) -> None:
    made = stack.environment(WORK)

    assert {name: value for name, value in made.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:3",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_with_an_sqs_elsewhere_the_usual_aws_chain_holds(stack: Stack) -> None:
    given = WORK | {"AWS_ENDPOINT_URL_SQS": "https://sqs.example"}

    made = stack.environment(given)

    assert {name: made.get(name) for name in given if name.startswith("AWS_")} == {
        name: value for name, value in given.items() if name.startswith("AWS_")
    }
    assert "AWS_CONFIG_FILE" not in made


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_proxy_is_for_other_machines_only(stack: Stack, name: str) -> None:
    made = stack.environment(WORK)

    assert made["HTTPS_PROXY"] == WORK["HTTPS_PROXY"]
    assert made[name].split(",") == ["intranet.example", "127.0.0.1", "localhost", "::1"]
    assert stack.environment({})[name].split(",") == ["127.0.0.1", "localhost", "::1"]


@pytest.mark.parametrize("command", [["up"], ["demo", "--debtors", "1"]], ids=["up", "demo"])
def test_without_the_local_extra_one_line_says_what_to_install(tmp_path: Path, command: list[str]) -> None:
    code = "import sys; sys.modules['moto'] = None; import smartrecover.__main__ as local; local.main()"
    given = {name: value for name, value in environment().items() if not name.startswith("AWS_")}

    done: Any = subprocess.run(
        [sys.executable, "-c", code, *command],
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )

    assert done.returncode == 1
    assert "pip install 'smartrecover[local]'" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize(
    ("given", "why"),
    [({}, None), ({"RECOVERY_AUTH": "keys"}, None), ({"RECOVERY_AUTH": "oidc"}, "CONSOLE_OIDC_CLIENT_ID")],
)
def test_the_console_runs_where_it_can(
    given: dict[str, str], why: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "static/vendor").mkdir(parents=True)
    (tmp_path / "static/vendor/htmx.min.js").touch()
    monkeypatch.setattr(console, "_folder", lambda: tmp_path)

    obstacle = console_obstacle(given)

    assert obstacle is None if why is None else why in str(obstacle)


def test_without_its_extra_or_its_scripts_one_line_says_why_the_console_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(console, "_folder", lambda: tmp_path)
    assert "make clean setup" in str(console_obstacle({}))

    monkeypatch.setattr(console, "_PARTS", ("no_such_module",))
    assert str(console_obstacle({})) == "no_such_module is missing: pip install 'smartrecover[console]'"


def test_the_console_is_a_process_only_where_it_has_a_port(tmp_path: Path) -> None:
    def names(stack: Stack) -> list[str]:
        return [command.name for command in stack.services()]

    assert [*names(Stack(tmp_path, 1, 2, 3)), "console"] == names(Stack(tmp_path, 1, 2, 3, 4))
    assert Stack(tmp_path, 1, 2, 3, 4).environment({"CONSOLE_PORT": "5"})["CONSOLE_PORT"] == "4"


def test_a_taken_port_of_the_console_is_passed_over_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        monkeypatch.setattr(console, "PORT", taken)

        assert find_console_port(None) != taken
        assert find_console_port(taken) == taken


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"socks5://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("proxied")
def test_the_client_asks_an_api_on_this_machine_past_any_proxy(sqs_url: str) -> None:
    # Moto stands for an API: whatever it answers, it was reached.
    with pytest.raises(RejectedError):
        RecoveryClient(sqs_url, sqs_url).ask(risk.run("run-1"))


@pytest.mark.usefixtures("proxied")
def test_a_proxy_that_cannot_be_used_is_one_clear_error() -> None:
    with pytest.raises(ClientError, match=r"^cannot reach http://risk\.example/"):
        RecoveryClient("http://risk.example", "http://risk.example").ask(risk.run("run-1"))
    with pytest.raises((ImportError, httpx.HTTPError)):
        httpx.get("http://risk.example")
