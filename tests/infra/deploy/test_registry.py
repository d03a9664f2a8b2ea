"""The registry: its address is printed, and its password is in no command."""

import os
import subprocess

import pytest
from tests.infra.deploy.cloud import REPOSITORY, ROOT

REGISTRY = ROOT / "infra/deploy/registry.sh"


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
