"""The one place that reads the time; routes and steps call it once and pass the moment on."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)
