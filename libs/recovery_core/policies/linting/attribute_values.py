"""The values of an attribute that the rows of a treatment distinguish: named ones, those between, and no value."""

from collections.abc import Mapping, Sequence

from recovery_core.policies.parts import Condition, NumberRange, TreatmentRow


class Dimension:
    """The values of one attribute: named ones, any other text, numbers by range, and none at all."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        named = [value for one in conditions if not isinstance(one, NumberRange) for value in one]
        bounds = {bound for one in conditions if isinstance(one, NumberRange) for bound in one.hundredths}
        borders = sorted(bound for bound in bounds if bound is not None)
        truths = (True, False) if any(isinstance(value, bool) for value in named) else ()
        self._named = list(dict.fromkeys([*truths, *(value for value in named if isinstance(value, str))]))
        # A number stands for all that no bound separates from it; the first one is below every bound.
        self._numbers = [borders[0] - 1, *borders] if borders else [0]
        others = 2  # a text that no row names, and no value
        self.everything = (1 << len(self._named) + len(self._numbers) + others) - 1

    def bits(self, condition: Condition | None) -> int:
        """Return which of the values meet a condition; all of them, and none at all, where there is no condition."""
        if condition is None:
            return self.everything
        if not isinstance(condition, NumberRange):
            return sum(1 << at for at, value in enumerate(self._named) if _is_among(value, condition))
        start, end = condition.hundredths
        return sum(
            1 << at
            for at, number in enumerate(self._numbers, len(self._named))
            if (start is None or number >= start) and (end is None or number < end)
        )


def attribute_dimensions(rows: Sequence[TreatmentRow]) -> Mapping[str, Dimension]:
    """Return the dimension of each attribute that some row asks for."""
    asked: dict[str, list[Condition]] = {}
    for row in rows:
        for name, condition in (row.attributes or {}).items():
            asked.setdefault(name, []).append(condition)
    return {name: Dimension(conditions) for name, conditions in asked.items()}


def _is_among(value: bool | str, values: Sequence[bool | str]) -> bool:
    return any(one is value or (one == value and isinstance(one, str)) for one in values)
