"""The one place where the debt service reads the time; doors call it once and pass the moment on."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
