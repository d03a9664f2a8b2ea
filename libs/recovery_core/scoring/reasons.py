"""Reasons: a stable code and one plain sentence for every cell of a factor.

A cell is where a debtor stands within one factor: a band, a category, or no income.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from recovery_core.policies.parts import Band, CategoryFactor, Factor

Cell = int | str | None
"""The index of a band, or a category."""

NO_INCOME = -1
"""The cell of the debt ratio for debtors without income."""


class Reason(BaseModel):
    """Why a score is high: a stable code, a sentence, and how far above neutral it pushed the total."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(examples=["DEBT_RATIO_ABOVE_6"])
    text: str = Field(examples=["The debt is more than 6 times the monthly income."])
    contribution: int = Field(description="weight × (points - neutral points)", examples=[36])


def reason_of(name: str, factor: Factor, cell: Cell, points: int) -> Reason:
    """Return the reason that a debtor in this cell of the factor has these points."""
    return Reason(
        code=_code(name, factor, cell),
        text=_text(name, factor, cell),
        contribution=factor.weight * (points - factor.neutral),
    )


def _code(name: str, factor: Factor, cell: Cell) -> str:
    """Return a code such as DEBT_RATIO_ABOVE_6, PAYMENT_HISTORY_UP_TO_5 or EMPLOYMENT_STATUS_UNEMPLOYED."""
    return f"{name}_{_ending(factor, cell)}".upper().replace(".", "_")


def _text(name: str, factor: Factor, cell: Cell) -> str:
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
    """Return the border below a band and its own border; None where there is none."""
    index = int(cell or 0)
    return (bands[index - 1].up_to if index else None), bands[index].up_to


def _between(lower: int | str | None, upper: int | str | None) -> str:
    bounds = [f"more than {lower}" if lower is not None else "", f"at most {upper}" if upper is not None else ""]
    return " and ".join(bound for bound in bounds if bound) or "any number"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
