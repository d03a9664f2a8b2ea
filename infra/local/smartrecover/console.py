"""Whether the console can run here, and on which port. It is an extra: the system works without it."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from smartrecover.stack import check_ports, free_port

PORT = 8003
_PARTS = ("authlib", "jinja2", "multipart", "recovery_console")
_SCRIPTS = Path("static", "vendor", "htmx.min.js")


def console_obstacle(given: Mapping[str, str]) -> str | None:
    """Return in one line why the console cannot run with these settings; None where it can."""
    missing = [name for name in _PARTS if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} is missing: pip install 'smartrecover[console]'"
    if not (_folder() / _SCRIPTS).exists():
        return "its scripts were not fetched: `make clean setup` tries again"
    if given.get("RECOVERY_AUTH") == "oidc" and not given.get("CONSOLE_OIDC_CLIENT_ID"):
        return "RECOVERY_AUTH is oidc, and CONSOLE_OIDC_CLIENT_ID is not set"
    return None


def find_console_port(wanted: int | None) -> int:
    """Return the port that was asked for. Without one it is the usual port, or a free one where that is taken."""
    if wanted is not None:
        return wanted
    try:
        check_ports(PORT)
    except OSError:
        return free_port()
    return PORT


def _folder() -> Path:
    spec = find_spec("recovery_console")
    return Path(spec.origin).parent if spec and spec.origin else Path(os.devnull)
