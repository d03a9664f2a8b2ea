"""A database URL with a CA: the connection is encrypted, and only a server that the CA has signed is accepted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from tests.support.certificates import Authority, authority
from tests.support.servers import find_mariadb, mariadb_server

from service_kit.database.engine import Database
from service_kit.database.outages import describe_outage, is_unavailable


@dataclass(frozen=True)
class TlsServer:
    url: str
    signed_by: Authority
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    program = find_mariadb()
    if program is None:
        pytest.skip("no mariadbd or mysqld on this machine: nothing is tested against MySQL")
    folder = tmp_path_factory.mktemp("tls")
    ours = authority(folder, "ours")
    certificate, key = ours.sign(folder, "127.0.0.1")
    for readable in (folder, *folder.parents[:2]):
        readable.chmod(0o755)
    for file in (certificate, key):
        file.chmod(0o644)
    with mariadb_server(program, f"--ssl-cert={certificate}", f"--ssl-key={key}") as mariadb:
        mariadb.execute("CREATE DATABASE private")
        yield TlsServer(mariadb.url("private"), ours, folder)


def cipher(url: str) -> str:
    database = Database(url)
    try:
        with database.read() as connection:
            row = connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()
    finally:
        database.dispose()
    return str(row[1])


def test_a_connection_is_encrypted_when_its_url_names_a_ca(server: TlsServer) -> None:
    assert cipher(f"{server.url}?ssl_ca={server.signed_by.file}") != ""


def test_without_a_ca_any_server_is_accepted_so_the_tests_below_test_something(server: TlsServer) -> None:
    cipher(server.url.replace("127.0.0.1", "localhost"))


def test_a_server_that_another_ca_has_signed_is_rejected(server: TlsServer) -> None:
    theirs = authority(server.folder, "theirs")

    with pytest.raises(OperationalError) as caught:
        cipher(f"{server.url}?ssl_ca={theirs.file}")

    assert is_unavailable(caught.value)
    assert describe_outage(caught.value) == "the database connection cannot be encrypted as asked"


def test_a_server_under_another_name_is_rejected(server: TlsServer) -> None:
    with pytest.raises(OperationalError):
        cipher(f"{server.url}?ssl_ca={server.signed_by.file}".replace("127.0.0.1", "localhost"))
