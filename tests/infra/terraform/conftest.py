"""Terraform on a copy of infra/aws and the state of each example: made once, for all workers of a test run."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.infra.terraform.program import Terraform, found_terraform
from tests.infra.terraform.source import AWS
from tests.infra.terraform.state import Json, applied


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time: the workers of a test run share what takes Terraform long."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "terraform"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def terraform(shared: Path) -> Terraform:
    found = found_terraform(shared / "aws")
    with locked(shared / "lock"):
        if not found.folder.exists():
            shutil.copytree(AWS, found.folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
            found.init()
    return found


@pytest.fixture
def system(terraform: Terraform, shared: Path, example: str) -> Json:
    """The state that an example's values lead to on a mocked AWS; tests/system.tftest.hcl has to pass for that."""
    kept = shared / f"{example}.json"
    with locked(shared / f"lock-{example}"):
        if not kept.exists():
            kept.write_text(json.dumps(applied(terraform, example)), encoding="utf-8")
    state: Json = json.loads(kept.read_text(encoding="utf-8"))
    assert "failure" not in state, state["failure"]
    return state
