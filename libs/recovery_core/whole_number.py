"""Whole numbers as JSON has them: 3.0 counts as 3, and neither `"3"` nor `true` counts as a number."""

from typing import Any

from pydantic import BeforeValidator


def _without_empty_fraction(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE = BeforeValidator(_without_empty_fraction)
"""Add it to a strict integer that clients send: `Annotated[int, Field(strict=True, ge=1), WHOLE]`."""
