"""Reasons: a stable code and one plain sentence for every cell of a factor.

A cell is where a debtor stands within one factor: a band, a category, no income, or what is missing.
"""

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from recovery_core.attributes import PREFIX
from recovery_core.policies.factors import Band, CategoryFactor, Factor, OwnBandFactor, OwnValueFactor, Ratio
from recovery_core.scoring.cells import MISSING, NO_INCOME, Cell

_BUILT_IN = {
    "total_debt_amount": "debt",
    "monthly_income": "monthly income",
    "late_payments_count": "number of late payments",
}
_NO_CODE = re.compile(r"[^A-Z0-9]+")


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
    ending = _ending(factor, cell).upper().replace("-", "MINUS_" if isinstance(cell, int) else "_")
    return f"{name.upper()}_{_NO_CODE.sub('_', ending)}".rstrip("_")


def _text(name: str, factor: Factor, cell: Cell) -> str:
    if isinstance(factor, OwnValueFactor):
        return _text_of_value(factor, cell)
    if isinstance(factor, OwnBandFactor):
        return _text_of_number(factor, cell)
    if isinstance(factor, CategoryFactor):
        return f"The {_words(name)} is {_words(str(cell))}."
    if cell == NO_INCOME:
        return "There is no monthly income to pay the debt from."
    bounds = _between(*_limits(factor.bands, cell))
    if name == "debt_ratio":
        return f"The debt is {bounds} times the monthly income."
    return f"The number of late payments is {bounds}."


def _text_of_value(factor: OwnValueFactor, cell: Cell) -> str:
    if set(factor.points) <= {"true", "false"}:
        answer = {"true": "yes", "false": "no", MISSING: "not known"}[cell]
        return f"{_label(factor.input).capitalize()}: {answer}."
    return f"{_subject(factor.input)} {'not known' if cell is MISSING else _words(str(cell))}."


def _text_of_number(factor: OwnBandFactor, cell: Cell) -> str:
    if not isinstance(factor.input, Ratio):
        found = "not known" if cell is MISSING else _between(*_limits(factor.bands, cell))
        return f"{_subject(factor.input)} {found}."
    numerator, denominator = factor.input.numerator, factor.input.denominator
    if cell is MISSING:
        return f"The {_label(numerator)} or the {_label(denominator)} is not known."
    if cell == NO_INCOME:
        return f"{_subject(denominator)} 0 or less, so that the {_label(numerator)} cannot be set against it."
    return f"{_subject(numerator)} {_between(*_limits(factor.bands, cell))} times the {_label(denominator)}."


def _label(name: str) -> str:
    return _BUILT_IN.get(name) or _words(name.removeprefix(PREFIX))


def _subject(name: str) -> str:
    """Return the begin of a sentence about an input: `The home is`, `The days past due are`."""
    label = _label(name)
    first, *_, last = (*label.split(), label.split()[-1])
    is_plural = any(word.endswith("s") and not word.endswith(("ss", "us", "is")) for word in (first, last))
    return f"The {label} {'are' if is_plural and name not in _BUILT_IN else 'is'}"


def _ending(factor: Factor, cell: Cell) -> str:
    if cell is MISSING:
        return "MISSING"
    if isinstance(factor, CategoryFactor):
        return str(cell)
    if cell == NO_INCOME:
        return "ZERO_DENOMINATOR" if isinstance(factor, OwnBandFactor) else "NO_INCOME"
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
