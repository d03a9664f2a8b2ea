"""The demo API as a process, and the guarded API in a thread: real servers behind real sockets."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.service_kit.http.guarded import KnownTokens
from tests.support.guarded_api import create_app
from tests.support.processes import environment, free_port, python, repository, running
from tests.support.serving import serving

from service_kit.auth.access import Access


@pytest.fixture(scope="session")
def demo_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "log"


@pytest.fixture(scope="session")
def demo(demo_log: Path) -> Iterator[httpx.Client]:
    """A client of the demo API, which serves all tests."""
    port = free_port()
    program = repository() / "tests" / "support" / "demo_api.py"
    command = python(program, str(port), f"sqlite:///{demo_log.parent / 'x.db'}")
    with (
        running(command, port, demo_log, env=environment()),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    """A client of the guarded API, which asks for credentials."""
    with serving(create_app(Access(KnownTokens(), cors_origins=("https://console.example",)))) as client:
        yield client


@pytest.fixture(scope="module")
def open_api() -> Iterator[httpx.Client]:
    """A client of the guarded API without authentication."""
    with serving(create_app(Access(cors_origins=("https://console.example",)))) as client:
        yield client
