"""A connection to a server that vanishes without a packet ends within seconds, before its statement times out."""

import socket
from typing import Any

import pytest
from tests.support.servers import MariaDb

from service_kit.database.engine import Database
from service_kit.database.keepalive import SILENCE_SECONDS, watch

linux = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no TCP_USER_TIMEOUT")


def silence_limits(sock: socket.socket) -> tuple[int, int]:
    """Return the seconds until silence means a lost connection: while waiting for a response, and while sending."""
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
        assert silence_limits(connection.connection.dbapi_connection._sock) == (SILENCE_SECONDS, SILENCE_SECONDS)
    database.dispose()


class ByDescriptor:
    """A connection as mysqlclient's, which gives access to its file descriptor only."""

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno


@linux
def test_a_connection_with_a_descriptor_only_is_watched_and_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        watch(ByDescriptor(client))

        assert silence_limits(client) == (SILENCE_SECONDS, SILENCE_SECONDS)
        client.sendall(b"still open")


def test_a_unix_socket_needs_no_watching() -> None:
    here, there = socket.socketpair()
    with here, there:
        watch(ByDescriptor(here))
        here.sendall(b"still open")


@pytest.mark.parametrize("other", [None, object()])
def test_anything_but_a_connection_of_a_driver_is_left_alone(other: Any) -> None:
    watch(other)
