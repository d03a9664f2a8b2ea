"""Where a number lies on a scale, as a length that SVG reads. Places are drawn, never decided with."""

from decimal import Decimal
from fractions import Fraction

Number = int | float | Decimal | Fraction


def share(value: Number, whole: Number) -> float:
    """Return the part of the whole in percent, within 0 and 100, with two places; 0 of nothing."""
    if not whole:
        return 0.0
    return round(max(0.0, min(100.0, float(100 * Fraction(value) / Fraction(whole)))), 2)


def percent(value: Number, whole: Number) -> str:
    """Return the part of the whole as a length in percent."""
    return f"{share(value, whole):g}%"


def place(value: Number, lowest: Number, highest: Number) -> float:
    """Return where a value lies between two others, in percent; in the middle where they are equal."""
    span = Fraction(highest) - Fraction(lowest)
    return share(Fraction(value) - Fraction(lowest), span) if span else 50.0
