"""Detects a server whose host or network vanished, as in a failover: nothing else ends such a wait.

A server that is merely slow keeps its time, because its host still responds to the probes.
"""

import os
import socket
from typing import Any

SILENCE_SECONDS = 10
"""How long a peer may be unreachable before its connection counts as lost."""
_PROBES = 2


def watch(connection: Any) -> None:
    """Enable TCP keepalive for a connection of PyMySQL or mysqlclient; any other stays as it is."""
    sock = getattr(connection, "_sock", None)
    if isinstance(sock, socket.socket):
        _watch_socket(sock)
    elif hasattr(connection, "fileno"):
        # A copy of the descriptor is the same connection, and closing it closes nothing else.
        with socket.socket(fileno=os.dup(connection.fileno())) as copy:
            _watch_socket(copy)


def _watch_socket(sock: socket.socket) -> None:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Two cases: we wait for a response (probes), or what we sent is not acknowledged (user timeout).
    pause = SILENCE_SECONDS // (_PROBES + 1)
    wanted = {
        "TCP_KEEPIDLE": SILENCE_SECONDS - _PROBES * pause,
        "TCP_KEEPALIVE": SILENCE_SECONDS - _PROBES * pause,  # its name on macOS
        "TCP_KEEPINTVL": pause,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": SILENCE_SECONDS * 1_000,
    }
    for name, value in wanted.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
