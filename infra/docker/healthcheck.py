#!/usr/bin/env -S python3 -I -S
"""Exit with 0 when a local address answers well: `healthcheck 8001 /readyz`, for images that have no curl.

Otherwise what it answered is printed, which `docker inspect` then shows.
"""

import sys
from http.client import HTTPConnection, HTTPException

PATIENCE_SECONDS = 5


def main(port: str, path: str) -> int:
    """Ask once."""
    connection = HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status == 200:
            return 0
        print(answer.status, answer.read(1_000).decode(errors="replace"))
    except (OSError, HTTPException) as error:
        print(f"no answer on port {port}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
