"""Fixtures for every test: a real local SQS, and fresh databases on SQLite and on a private MariaDB."""

import itertools
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.support.growth import Growth
from tests.support.servers import MariaDb, find_mariadb, mariadb_server, moto_server

# What is asserted in the modules beside these tests shows its values, as it does in the tests themselves.
pytest.register_assert_rewrite("tests.contracts", "tests.infra")

_database_numbers = itertools.count(1)

# A background job, nohup and some CIs start processes with SIGINT ignored, and every child inherits that: an interrupt
# would then end neither these tests nor what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where nothing else is configured, structlog draws each traceback with all variables, which takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-processes", action="store_true", help="leave out each test that starts another process")


def pytest_collection_finish(session: pytest.Session) -> None:
    """With `--no-processes`, leave a test out at the moment it or one of its fixtures starts a process."""
    if session.config.getoption("--no-processes"):
        sys.addaudithook(_leave_out_at_process)


_LEFT_OUT = "starts a process"


def _leave_out_at_process(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
        pytest.skip(_LEFT_OUT)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show no letter for a test that was left out, and do not count it among the skipped ones."""
    left_out = report.skipped and isinstance(report.longrepr, tuple) and report.longrepr[2] == f"Skipped: {_LEFT_OUT}"
    return ("left out", "", "LEFT OUT") if left_out else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out."""
    if left_out := len(terminalreporter.stats.get("left out", ())):
        terminalreporter.write_line(
            f"Left out: {left_out} tests that start another process, such as MariaDB or the local SQS; "
            "`make test` runs them."
        )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `@pytest.mark.anyio` tests on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """The usual umask for every test, because a command that runs in this process sets another one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def aws_environment() -> Iterator[None]:
    """Credentials that no real AWS would take, so that a test can never reach one."""
    wanted = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wanted.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def sqs_url(aws_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real local SQS, shared by all tests: use `queue_names`."""
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def queue_names() -> Callable[[str], str]:
    """Turn a queue's role into a name of this test's own: the same for the same role."""
    suffix = uuid.uuid4().hex[:8]
    return lambda role: f"{role}-{suffix}"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A private MariaDB or MySQL server. Missing: skipped with a reason, but failed in CI."""
    program = find_mariadb()
    if program is None:
        reason = "no mariadbd or mysqld on this machine: nothing is tested against MySQL"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with mariadb_server(program) as server:
        yield server


@pytest.fixture
def growth() -> Growth:
    """What has been counted since the test began."""
    return Growth()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'fresh.db'}"


@pytest.fixture
def mariadb_url(mariadb: MariaDb) -> Iterator[str]:
    """The URL of a fresh empty database on the private server."""
    name = f"test_{next(_database_numbers)}"
    mariadb.execute(f"CREATE DATABASE {name}")
    yield mariadb.url(name)
    mariadb.execute(f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh empty database, once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
