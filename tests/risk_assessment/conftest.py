"""The risk service's own fixtures: migrated databases, quickly emptied, and real APIs to talk to over a socket."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete
from tests.risk_assessment.apis import Api, serving
from tests.risk_assessment.builders import row_counts
from tests.risk_assessment.dispatching import dispatcher_settings
from tests.support.servers import MariaDb

from risk_assessment.policies.registry import PolicyRegistry, load_registry
from risk_assessment.settings import Settings
from risk_assessment.tables import metadata
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

PACKAGE = "risk_assessment"


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "risk.db"
    upgrade(f"sqlite:///{path}", PACKAGE)
    return path


@pytest.fixture(scope="session")
def migrated_mariadb_url(mariadb: MariaDb) -> str:
    mariadb.execute("CREATE DATABASE risk_rooms")
    upgrade(mariadb.url("risk_rooms"), PACKAGE)
    return mariadb.url("risk_rooms")


@pytest.fixture
def migrated_sqlite_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """The URL of a migrated SQLite file of this test alone."""
    path = tmp_path / "risk.db"
    shutil.copyfile(migrated_sqlite_file, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "mariadb"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated and empty database, once on each kind."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A migrated and empty database, once on each kind."""
    with opened(migrated_url) as database:
        yield database


@pytest.fixture
def sqlite(migrated_sqlite_url: str) -> Iterator[Database]:
    """A migrated and empty SQLite database, for what does not depend on the kind."""
    with opened(migrated_sqlite_url) as database:
        yield database


@pytest.fixture
def mysql(migrated_mariadb_url: str) -> Iterator[Database]:
    """A migrated and empty database on the server, for what only a server can do."""
    with opened(migrated_mariadb_url) as database:
        yield database


class opened:  # noqa: N801 - used as a context manager only
    """A database whose tables are emptied first, because a server's database serves many tests."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, pool_size=20)

    def __enter__(self) -> Database:
        with self._database.write() as connection:
            for table in metadata.sorted_tables:
                connection.execute(delete(table))
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.dispose()


@pytest.fixture
def registry() -> PolicyRegistry:
    return load_registry("standard", None)


@pytest.fixture
def settings(sqs_url: str) -> Settings:
    """The settings of a dispatcher with queues of its own."""
    return dispatcher_settings(sqs_url)


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def api(request: pytest.FixtureRequest, sqs_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A real API on each kind of database, shared by all tests: use `portfolio` to be alone in it."""
    folder = tmp_path_factory.mktemp("api")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'risk.db'}"
    else:
        mariadb: MariaDb = request.getfixturevalue("mariadb")
        mariadb.execute("CREATE DATABASE risk_api")
        url = mariadb.url("risk_api")
    upgrade(url, PACKAGE)
    with serving(folder, url, sqs_url) as running_api:
        yield running_api


@pytest.fixture
def portfolio() -> str:
    """A portfolio of this test alone."""
    return f"p-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def nothing_written(api: Api) -> Iterator[None]:
    """Fail unless every table has as many rows after the test as before."""
    before = row_counts(api.database)
    yield
    assert row_counts(api.database) == before
