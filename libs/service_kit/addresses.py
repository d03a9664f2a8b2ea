"""Which addresses may be trusted: https anywhere, plain http on this machine only."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def check_address(url: str) -> str:
    """Return an address that may be trusted: https, or http on a loopback address. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname):
        return url
    raise ValueError("must be an https address (plain http is for a loopback address only)")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach that host."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
