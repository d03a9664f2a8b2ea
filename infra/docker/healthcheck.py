#!/usr/bin/env -S python3 -I -S
"""Exit with 0 when a local address answers well: `healthcheck 8001 /readyz`, for images that have no curl.

Otherwise what it answered is printed, which `docker inspect` then shows. What listens on IPv6 alone is found too.
"""

import sys
from http.client import HTTPConnection, HTTPException

PATIENCE_SECONDS = 5
LOOPBACK = ("127.0.0.1", "::1")


def main(port: str, path: str) -> int:
    """Ask once, at the first address where something listens."""
    try:
        connection = connect(int(port))
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status == 200:
            return 0
        print(answer.status, answer.read(1_000).decode(errors="replace"))
    except (OSError, HTTPException) as error:
        print(f"no answer on port {port}: {error}")
    return 1


def connect(port: int) -> HTTPConnection:
    """Connect to the port on IPv4, or on IPv6 where nothing listens there."""
    errors = []
    for address in LOOPBACK:
        connection = HTTPConnection(address, port, timeout=PATIENCE_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            errors.append(error)
        else:
            return connection
    raise errors[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
