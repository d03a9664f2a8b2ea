"""The wording of reasons: a stable code and one plain sentence for every place a debtor can stand within a factor."""

from collections.abc import Sequence

from recovery_core.policy_parts import Band, CategoryFactor, Factor

Cell = int | str | None
"""Where a debtor stands within one factor: the index of a band, or a category."""

NO_INCOME = -1
"""The cell of the debt ratio for debtors without income."""


def reason_code(name: str, factor: Factor, cell: Cell) -> str:
    """The code of a cell, such as DEBT_RATIO_ABOVE_6, PAYMENT_HISTORY_UP_TO_5 or EMPLOYMENT_STATUS_UNEMPLOYED."""
    return f"{name}_{_ending(factor, cell)}".upper().replace(".", "_")


def reason_text(name: str, factor: Factor, cell: Cell) -> str:
    """The sentence of a cell, in plain English."""
    if isinstance(factor, CategoryFactor):
        return f"The {_words(name)} is {_words(str(cell))}."
    if cell == NO_INCOME:
        return "There is no monthly income to pay the debt from."
    bounds = _between(*_limits(factor.bands, cell))
    if name == "debt_ratio":
        return f"The debt is {bounds} times the monthly income."
    return f"The number of late payments is {bounds}."


def _ending(factor: Factor, cell: Cell) -> str:
    if isinstance(factor, CategoryFactor):
        return str(cell)
    if cell == NO_INCOME:
        return "NO_INCOME"
    lower, upper = _limits(factor.bands, cell)
    if upper is not None:
        return f"UP_TO_{upper}"
    return "ANY" if lower is None else f"ABOVE_{lower}"


def _limits(bands: Sequence[Band], cell: Cell) -> tuple[int | str | None, int | str | None]:
    """The border below a band and its own border; None where there is none."""
    index = int(cell or 0)
    return (bands[index - 1].up_to if index else None), bands[index].up_to


def _between(lower: int | str | None, upper: int | str | None) -> str:
    bounds = [f"more than {lower}" if lower is not None else "", f"at most {upper}" if upper is not None else ""]
    return " and ".join(bound for bound in bounds if bound) or "any number"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
