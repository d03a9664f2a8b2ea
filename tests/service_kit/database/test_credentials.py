"""Passwords that change while a process runs: the next connection is opened with the new one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.credentials import Credentials
from botocore.session import Session
from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from tests.support.certificates import authority
from tests.support.servers import MariaDb

from service_kit.database import credentials
from service_kit.database.credentials import PasswordUnavailable, with_password_from
from service_kit.database.engine import Database
from service_kit.database.grants import grant_use
from service_kit.database.outages import describe_outage, is_unavailable
from service_kit.database.urls import database_url

RDS = "risk.abc123.eu-west-1.rds.amazonaws.com"
KEYS = Credentials("AKIDEXAMPLE", "a secret of AWS", "a session")


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbffirst @/#%\r\n")  # as Notepad saves it
    return file


@pytest.fixture
def server(mariadb: MariaDb, mariadb_url: str) -> Iterator[MariaDb]:
    """A server with an account `rotated`, whose password is in the file."""
    name = mariadb_url.rpartition("/")[2]
    mariadb.execute(
        "CREATE USER rotated IDENTIFIED BY 'first @/#%%'".replace("%%", "%"),
        f"GRANT ALL ON {name}.* TO rotated WITH GRANT OPTION",
    )
    yield mariadb
    mariadb.execute("DROP USER rotated")


@pytest.fixture
def url(server: MariaDb, mariadb_url: str, password_file: Path) -> URL:
    return with_password_from(database_url(server.url(mariadb_url.rpartition("/")[2], "rotated")), password_file, False)


@pytest.fixture
def database(url: URL) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.dispose()


def number(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())


def test_a_new_password_opens_the_next_connection(database: Database, server: MariaDb, password_file: Path) -> None:
    first = number(database)
    server.execute("ALTER USER rotated IDENTIFIED BY 'second'")
    assert number(database) == first  # connections that stand are not asked again

    database.dispose()
    with pytest.raises(OperationalError) as refused:
        number(database)
    assert describe_outage(refused.value) == "the database refuses our credentials"
    password_file.write_text("second")

    assert number(database) != first


def test_a_file_that_is_gone_is_an_outage_that_ends(database: Database, password_file: Path) -> None:
    password_file.rename(password_file.with_name("away"))
    with pytest.raises(PasswordUnavailable) as refused:
        number(database)

    assert is_unavailable(refused.value)
    assert describe_outage(refused.value).startswith(
        "the database's password is not available: the file cannot be read"
    )
    password_file.with_name("away").rename(password_file)
    assert number(database)


def test_grants_are_made_with_the_password_of_the_file(database: Database, url: URL, mariadb: MariaDb) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (id INT)"))
    mariadb.execute("CREATE USER other")
    try:
        grant_use(url, "other", {})
    finally:
        mariadb.execute("DROP USER other")


def test_both_drivers_get_the_password_under_the_name_that_they_know(password_file: Path) -> None:
    pytest.importorskip("MySQLdb")
    database = Database(f"mysql+mysqldb://risk@db/risk?password_file={password_file}")

    assert seen_by_the_driver(database)["passwd"] == "first @/#%"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql+pymysql://risk:secret@db/risk?password_file={}", "choose one of them"),
        ("mysql+pymysql://db/risk?password_file={}", "with a user name"),
        ("mysql+pymysql://risk@db/risk?password_file={}&iam=true", "choose one of them"),
        ("mysql+pymysql://risk@db/risk?iam=yes", "true or false"),
        ("mysql+pymysql://risk@db/risk?iam=true", "endpoint of RDS itself"),
        (f"mysql+pymysql://risk@{RDS}/risk?iam=true", "write ssl_ca="),
        (f"mysql+mysqldb://risk@{RDS}/risk?iam=true", "mysql\\+pymysql"),
    ],
)
def test_a_password_has_one_source_that_fits(password_file: Path, url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        Database(url.format(password_file))
    assert "secret" not in str(refused.value)


def test_a_sqlite_file_has_no_password(password_file: Path) -> None:
    for given in ((password_file, False), (None, True)):
        with pytest.raises(ValueError, match="needs a MySQL URL"):
            with_password_from(database_url("sqlite:///x.db"), *given)


class OpeningError(Exception):
    """A connection would be opened now."""


def seen_by_the_driver(database: Database) -> dict[str, Any]:
    """Return what the driver is called with; no connection is opened."""
    seen: dict[str, Any] = {}

    def stop(_dialect: object, _record: object, _args: object, named: dict[str, Any]) -> None:
        seen.update(named)
        raise OpeningError

    event.listen(database.engine, "do_connect", stop)
    with pytest.raises(OpeningError), database.read():
        pass
    event.remove(database.engine, "do_connect", stop)
    return seen


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> list[Credentials | None]:
    """What the process finds as its AWS credentials, the last of the list."""
    found: list[Credentials | None] = [KEYS]
    monkeypatch.setattr(credentials, "_aws_credentials", lambda: found[-1])
    return found


@pytest.fixture
def signed_in(tmp_path: Path, aws_keys: list[Credentials | None]) -> Database:
    ca = authority(tmp_path, "ours").file
    return Database(with_password_from(database_url(f"mysql+pymysql://risk@{RDS}:3307/risk?ssl_ca={ca}"), None, True))


def test_a_token_is_the_one_that_botocore_would_sign(signed_in: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rds = Session().create_client(
        "rds", "eu-west-1", aws_access_key_id=KEYS.access_key, aws_secret_access_key=KEYS.secret_key,
        aws_session_token=KEYS.token,
    )  # fmt: skip

    def parts(token: str) -> dict[str, list[str]]:
        found = parse_qs(urlsplit(f"//{token}").query)
        return {name: found[name] for name in found if name not in ("X-Amz-Date", "X-Amz-Signature")}

    token = seen_by_the_driver(signed_in)["password"]

    assert token.startswith(f"{RDS}:3307/?")
    assert parts(token) == parts(rds.generate_db_auth_token(RDS, 3307, "risk", "eu-west-1"))
    assert parts(token)["X-Amz-Expires"] == ["900"]
    assert KEYS.secret_key not in token


def test_each_connection_is_signed_with_the_keys_of_its_moment(
    signed_in: Database, aws_keys: list[Credentials | None]
) -> None:
    first = seen_by_the_driver(signed_in)["password"]
    aws_keys.append(Credentials("AKIDOTHER", "another secret", None))

    assert "AKIDEXAMPLE" in first
    assert "AKIDOTHER" in seen_by_the_driver(signed_in)["password"]


def test_without_aws_credentials_the_database_is_away(signed_in: Database, aws_keys: list[Credentials | None]) -> None:
    aws_keys.append(None)

    with pytest.raises(PasswordUnavailable) as refused, signed_in.read():
        pass

    assert describe_outage(refused.value) == "no token for the database could be signed: NoCredentialsError"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (RDS, "eu-west-1"),
        ("c.cluster-ro-abc.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("x.abc.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("db.example.com", ""),
        ("x.eu-west-1.rds.amazonaws.com.evil.example", ""),
    ],
)
def test_the_region_stands_in_the_name_of_the_endpoint(host: str, region: str) -> None:
    assert credentials._region(host) == region
