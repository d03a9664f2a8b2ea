"""A connection to a server that is gone without a word ends within seconds, not when a statement's time is up."""

import socket
from typing import Any

import pytest
from tests.support.servers import MariaDb

from service_kit.database.engine import Database
from service_kit.database.keepalive import SILENCE_SECONDS, watch

linux = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no TCP_USER_TIMEOUT")


def patience(sock: socket.socket) -> tuple[int, int]:
    """Seconds until silence counts as lost: while waiting for an answer, and while sending."""
    idle, pause, probes, sending = (
        sock.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    )
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return idle + probes * pause, sending // 1_000


@linux
def test_every_connection_to_mysql_is_watched(mariadb: MariaDb, mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with database.engine.connect() as connection:
        assert patience(connection.connection.dbapi_connection._sock) == (SILENCE_SECONDS, SILENCE_SECONDS)
    database.dispose()


class ByDescriptor:
    """A connection as mysqlclient's: it tells its file descriptor only."""

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno


@linux
def test_a_connection_that_tells_its_descriptor_only_is_watched_and_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        watch(ByDescriptor(client))

        assert patience(client) == (SILENCE_SECONDS, SILENCE_SECONDS)
        client.sendall(b"still open")


def test_a_unix_socket_needs_no_watching() -> None:
    here, there = socket.socketpair()
    with here, there:
        watch(ByDescriptor(here))
        here.sendall(b"still open")


@pytest.mark.parametrize("other", [None, object()])
def test_what_is_no_connection_of_either_driver_is_left_alone(other: Any) -> None:
    watch(other)
