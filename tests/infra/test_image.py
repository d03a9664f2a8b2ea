"""The image: how it is made, what may get into it, and the small programs in it. What needs an engine looks for one."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "infra" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [
    line.split(None, 1) for line in DOCKERFILE.replace("\\\n", " ").splitlines() if re.match(r"[A-Z]+ ", line)
]
IMAGE = "smartrecover:local"


def all_of(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def test_the_linter_has_nothing_to_say():
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_needs_no_registry_but_for_its_base():
    assert {re.sub(r" AS \w+$", "", image) for image in all_of("FROM")} == {"python:3.13-slim"}
    assert not re.search(r"^# *syntax=", DOCKERFILE, re.MULTILINE)


def test_it_installs_what_the_lock_file_says_and_nothing_for_developers():
    syncs = re.findall(r"uv sync ([^\n]*)", DOCKERFILE)

    assert len(syncs) == 2
    assert all({"--locked", "--no-dev", "--no-editable"} <= set(sync.split()) for sync in syncs)
    assert "--require-hashes" in DOCKERFILE


def test_it_runs_as_a_numbered_user_that_is_not_root():
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", all_of("USER")[-1])


def test_it_says_what_it_is():
    labels = " ".join(all_of("LABEL"))

    assert {"title", "description", "licenses", "version", "revision"} == set(
        re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"VERSION={version}" in all_of("ARG")


def test_nothing_secret_is_named():
    assert not re.search(r"(?i)secret|password|token|credential", " ".join(all_of("ENV") + all_of("ARG")))


# What the builder is given


def given() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    return [rule.removeprefix("!") for rule in rules if rule.startswith("!")]


def test_the_builder_gets_only_what_is_named_and_all_of_that_is_used():
    copied = {part for copy in all_of("COPY") if "--from" not in copy for part in copy.split()[:-1] if part[0] != "-"}

    assert set(given()) == copied
    assert all((ROOT / name).exists() for name in given())


def test_every_package_of_the_project_gets_in():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert [p for p in packages if not any(Path(p).is_relative_to(name) for name in given())] == []


@pytest.mark.parametrize("private", [".env", ".git/config", ".smartrecover/risk.db", ".venv/bin/python"])
def test_what_is_private_does_not_get_in(private):
    assert not any(Path(private).is_relative_to(name) for name in given())


# The small programs


def test_uv_is_the_one_of_the_lock_file_under_its_hashes():
    command = [sys.executable, DOCKER / "uv_from_lock.py", ROOT / "uv.lock"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert re.match(r"uv==[\d.]+ \\\n", printed)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", printed)) > 5


class Answers(BaseHTTPRequestHandler):
    """Well at /well, not ready elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()
        self.wfile.write(b"the database cannot be reached")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Ipv6Server(HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture(params=[(HTTPServer, "127.0.0.1"), (Ipv6Server, "::1")], ids=["ipv4", "ipv6"])
def port(request) -> Iterator[int]:
    kind, address = request.param
    server = kind((address, 0), Answers)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def healthcheck(port: int, path: str) -> tuple[int, str]:
    command = [sys.executable, "-I", "-S", DOCKER / "healthcheck.py", str(port), path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_health_check_distinguishes_well_from_ill(port):
    assert healthcheck(port, "/well") == (0, "")
    assert healthcheck(port, "/ill") == (1, "503 the database cannot be reached\n")


def test_a_health_check_shows_that_nothing_responds():
    code, said = healthcheck(1, "/well")

    assert code == 1
    assert said.startswith("no answer on port 1: ")


SERVICE = """#!/bin/sh
# Stands in for both services: a key is its name, and a database a file of names.
keys="$DATABASE/${0##*/}"
case "$*" in
    list-keys) cat "$keys" 2>/dev/null; true ;;
    *--stdin*) echo "$(cut -d _ -f 2) admin valid $3" >>"$keys" ;;
    create-key*)
        id=$(wc -l 2>/dev/null <"$keys" || echo 0)
        echo "$id admin valid $3" >>"$keys"
        echo "srk_${id}_secret" ;;
esac
"""


@pytest.fixture
def local_key(tmp_path):
    """Run the job that makes the local key, over stand-ins of the services; return what it says."""
    for name in ("risk-assessment", "debt-processing"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(SERVICE)
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "DATABASE": str(tmp_path)}
    command = ["sh", DOCKER / "local-key.sh", tmp_path / "key"]
    return lambda: subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_local_key_is_made_once_and_for_its_owner_only(local_key, tmp_path):
    assert "made the local admin key" in local_key()
    key = (tmp_path / "key").read_text()

    assert local_key() == "the local admin key is as it was\n"
    assert (tmp_path / "key").read_text() == key
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lost", ["risk-assessment", "debt-processing"])
def test_a_local_key_that_a_service_does_not_know_is_made_again(local_key, tmp_path, lost):
    local_key()
    (tmp_path / lost).unlink()

    assert "made the local admin key" in local_key()


# With an engine


@pytest.fixture(scope="module")
def engine() -> str:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("no docker on this machine: the image itself is not tested")
    if subprocess.run([docker, "info"], capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("no docker engine answers: the image itself is not tested")
    if subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        pytest.skip(f"{IMAGE} is not built (docker compose build): the image itself is not tested")
    return docker


def inside(engine: str, *command: str) -> "subprocess.CompletedProcess[str]":
    locked = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none"]
    return subprocess.run(
        [engine, "run", "--rm", *locked, IMAGE, *command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("program", ["risk-assessment", "debt-processing", "smartrecover"])
def test_a_program_starts_in_a_locked_container(engine, program):
    done = inside(engine, program, "--help")

    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_the_image_has_no_tools_to_build_with(engine):
    done = inside(engine, "sh", "-c", "id -u; command -v uv pip pip3 gcc cc make; python -c 'import pip'")

    assert done.stdout == "10001\n"
    assert "No module named 'pip'" in done.stderr
