"""Money: an exact integer of minor units (cents) inside, decimal text outside.

Rejected: signs, exponents, blanks, NaN, more than two decimals, more than twelve digits.
"""

import math
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_MINOR = 999_999_999_999
"""The largest amount: 12 digits, two of them decimals."""

MAX_PRIORITY = 2**63 - 1
"""The largest priority or threshold, in minor units: it fits 63 bits."""

MAX_AS_NUMBER = 2**46
"""The largest amount in major units that may come as a JSON number: above it, a binary float can miss the cents."""

MONEY_PATTERN = r"^(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,2})?$"
POSITIVE_MONEY_PATTERN = r"^(?:[1-9][0-9]{0,9}(?:\.[0-9]{1,2})?|0\.(?:[1-9][0-9]?|0[1-9]))$"


def _priority_pattern() -> str:
    """Return the pattern of exactly the texts up to MAX_PRIORITY, so that whatever has this shape fits 63 bits."""
    most, cents = divmod(MAX_PRIORITY, 100)
    digits = str(most)
    below = [  # of as many digits: the same ones up to a place, where a smaller one stands
        f"{digits[:place]}[{int(not place)}-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if int(digit) > (not place)
    ]
    whole = "|".join(["0", f"[1-9][0-9]{{0,{len(digits) - 2}}}", *below])
    return rf"^(?:(?:{whole})(?:\.[0-9]{{1,2}})?|{most}(?:\.0[0-{cents}]?)?)$"


PRIORITY_PATTERN = _priority_pattern()

_FORMATTED_PATTERN = r"^(?:0|[1-9][0-9]*)\.[0-9]{2}$"
_PLAIN = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_USUAL = re.compile(r"(?:0|[1-9][0-9]{0,9})\.[0-9]{2}")  # within every maximum: twice as fast as the rules one by one
_MAX_DIGITS = 30  # far above any amount: longer text is refused before it is turned into an integer
_BINARY_NOISE = 5e-16  # two units in the last place: 35 * 0.01 is meant as 0.35
_CENT = Decimal("0.01")
_CENTS = tuple(f".{cents:02d}" for cents in range(100))  # looked up: formatting them took longer than all the rest


class MoneyError(ValueError):
    """The value is not an amount of money; the message says what is wrong."""


def parse_money(text: str) -> int:
    """Parse decimal text as minor units: ``"33267.16"`` gives ``3326716``. Raises MoneyError."""
    return _parse(text, MAX_MINOR)


def parse_priority(text: str) -> int:
    """Parse a priority or a threshold, which may be larger than an amount. Raises MoneyError."""
    return _parse(text, MAX_PRIORITY)


def format_money(minor: int) -> str:
    """Format minor units as decimal text with exactly two places; priorities of any size too."""
    if minor < 0:
        return f"-{format_money(-minor)}"
    return f"{minor // 100}{_CENTS[minor % 100]}"


def _parse(text: str, maximum: int) -> int:
    if _USUAL.fullmatch(text):
        return int(text.replace(".", "", 1))
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise MoneyError(_what_is_wrong(text))
    whole, decimals = match[1], match[2] or ""
    if len(decimals) > 2:
        raise MoneyError("must have at most 2 decimal places")
    if len(whole) > _MAX_DIGITS:
        raise MoneyError(f"must be at most {format_money(maximum)}")
    return _within(int(whole + decimals.ljust(2, "0")), maximum)


def _what_is_wrong(text: str) -> str:
    if text.startswith("-"):
        return "must not be negative"
    return "must be a plain decimal number such as 1234.50"


def _within(minor: int, maximum: int) -> int:
    if minor > maximum:
        raise MoneyError(f"must be at most {format_money(maximum)}")
    if minor < 0:
        raise MoneyError("must not be negative")
    return minor


def _to_minor(value: object, maximum: int) -> int:
    """Parse what a client may send for an amount in major units: text, or a number with at most two decimals."""
    if isinstance(value, str):
        return _parse(value, maximum)
    if isinstance(value, int) and not isinstance(value, bool):
        minor = _within(value * 100, maximum)
    elif isinstance(value, float | Decimal):
        minor = _fraction_to_minor(value, maximum)
    else:
        raise MoneyError("must be decimal text such as 1234.50, or a number")
    if minor > MAX_AS_NUMBER * 100:
        raise MoneyError(f"must be written as text when it is above {MAX_AS_NUMBER}")
    return minor


def _fraction_to_minor(value: float | Decimal, maximum: int) -> int:
    if not math.isfinite(value):
        raise MoneyError("must be a finite number")
    if value < 0:
        raise MoneyError("must not be negative")
    if value > maximum:  # a first, coarse bound: rounding would fail for much larger numbers
        raise MoneyError(f"must be at most {format_money(maximum)}")
    rounded = Decimal(value).quantize(_CENT)
    if value != rounded and not _is_noise(value, rounded):
        raise MoneyError("must have at most 2 decimal places")
    return _within(int(rounded * 100), maximum)


def _is_noise(value: float | Decimal, rounded: Decimal) -> bool:
    """Return whether a binary float differs only because no float is exact; a Decimal is always exact."""
    return isinstance(value, float) and math.isclose(value, float(rounded), rel_tol=_BINARY_NOISE)


class _MoneyType:
    """Teaches pydantic to parse an amount in major units, to store it in minor units and to write it as text."""

    def __init__(self, minimum: int, maximum: int, pattern: str) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.pattern = pattern

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.plain_serializer_function_ser_schema(format_money)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "pattern": _FORMATTED_PATTERN, "examples": ["1234.50"]}
        if handler.mode == "serialization":
            return text
        largest = min(self.maximum / 100, MAX_AS_NUMBER)
        number = {"type": "number", "minimum": self.minimum / 100, "maximum": largest, "multipleOf": 0.01}
        return {"anyOf": [{**text, "pattern": self.pattern}, number], "examples": ["1234.50"]}

    def validate(self, value: object) -> int:
        try:
            minor = _to_minor(value, self.maximum)
        except MoneyError as error:
            raise PydanticCustomError("money", "{problem}", {"problem": str(error)}) from None
        if minor < self.minimum:
            raise PydanticCustomError("money", "must be greater than 0")
        return minor


Money = Annotated[int, _MoneyType(0, MAX_MINOR, MONEY_PATTERN)]
"""An amount, zero or more. A number given to it counts major units (``5`` is 5.00); the value counts minor units."""

PositiveMoney = Annotated[int, _MoneyType(1, MAX_MINOR, POSITIVE_MONEY_PATTERN)]
"""An amount greater than zero; otherwise as Money."""

Threshold = Annotated[int, _MoneyType(0, MAX_PRIORITY, PRIORITY_PATTERN)]
"""A border between priorities, zero or more; as large as a priority can be, otherwise as Money."""
