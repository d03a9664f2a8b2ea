"""What the rows of a treatment table ask of attributes, and which of it a debtor meets."""

from collections.abc import Mapping, Sequence
from typing import Any

from recovery_core.attributes import Value, Values, number_of, values_of
from recovery_core.policies.parts import NumberRange, TreatmentRow

_Asked = tuple[str, Any]
"""An attribute and its condition; equal conditions of several rows are one."""


class AskedAttributes:
    """The conditions on attributes of a treatment table, each a bit of a number. Empty where no row has any."""

    def __init__(self, rows: Sequence[TreatmentRow]) -> None:
        asked = dict.fromkeys(condition for row in rows for condition in (row.attributes or {}).items())
        self._bits: Mapping[_Asked, int] = {condition: 1 << at for at, condition in enumerate(asked)}

    def __bool__(self) -> bool:
        """Return whether any row asks for an attribute."""
        return bool(self._bits)

    def met_by(self, attributes: str | Values | None) -> int:
        """Return the conditions that a debtor with these attributes meets, as bits."""
        values = values_of(attributes)
        return sum(
            bit
            for (name, condition), bit in self._bits.items()
            if (value := values.get(name)) is not None and is_met(condition, value)
        )

    def are_met(self, row: TreatmentRow, met: int) -> bool:
        """Return whether all conditions of a row on attributes are among the bits."""
        return all(met & self._bits[condition] for condition in (row.attributes or {}).items())


def is_met(condition: NumberRange | Sequence[bool | str], value: Value) -> bool:
    """Return whether a value meets a condition. One of another type meets none."""
    if not isinstance(condition, NumberRange):
        return any(value is one or (value == one and isinstance(value, str)) for one in condition)
    try:
        number = number_of(value)
    except ValueError:
        return False
    start, end = condition.hundredths
    return (start is None or number >= start) and (end is None or number < end)
