"""What both clients know of a connection: how it fails, whether it stays on this machine, who calls."""

from urllib.parse import urlsplit

import httpx

# ImportError and ValueError come from what a proxy is set to.
FAILURES = (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError)


def is_local(url: str) -> bool:
    """Return whether this address is of this machine itself."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def authorization(credential: str | None) -> dict[str, str]:
    """Return the header that carries a key or a token, none without one."""
    return {"Authorization": f"Bearer {credential}"} if credential else {}
