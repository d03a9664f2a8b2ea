"""Attributes: the facts of a debtor that a portfolio declares beyond the built-in profile.

They are kept and sent as JSON: whole numbers, true and false, and text; an amount is decimal text. A number that a
policy reads counts in hundredths, so that whole numbers and amounts compare exactly.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter, ValidationError

from recovery_core.money import Money, MoneyError, format_money, parse_money

PREFIX = "attributes."
ATTRIBUTE_NAME = r"[a-z][a-z0-9_]{0,63}"
MAX_ATTRIBUTES = 100
MAX_VALUES = 1_000
"""The most values of a category."""
MAX_VALUE_CHARS = 64
MAX_INTEGER = 999_999_999_999
"""The largest whole number, and below zero the least: its hundredths fit 63 bits."""

Value = bool | int | str
Values = Mapping[str, Value]
NO_VALUES: Values = {}

_MONEY: TypeAdapter[int] = TypeAdapter(Money)


class AttributeType(StrEnum):
    """What the values of an attribute are."""

    INTEGER = "integer"
    MONEY = "money"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATE = "date"


NUMBERS = frozenset({AttributeType.INTEGER, AttributeType.MONEY})
NAMED = frozenset({AttributeType.CATEGORY, AttributeType.BOOLEAN})
"""The types whose values get points one by one."""


class Declared(NamedTuple):
    """What a portfolio declares of one attribute."""

    type: AttributeType
    required: bool = False
    values: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return the values that a policy may name: those of a category, or true and false."""
        return ("true", "false") if self.type == AttributeType.BOOLEAN else self.values


Declaration = Mapping[str, Declared]
"""What a portfolio declares, by name."""


@lru_cache(maxsize=256)
def declaration_of(text: str) -> Declaration:
    """Return the declaration in its JSON text."""
    return {
        name: Declared(AttributeType(one["type"]), one.get("required", False), tuple(one.get("values", ())))
        for name, one in orjson.loads(text).items()
    }


def values_of(stored: str | Values | None) -> Values:
    """Return the values in their stored text, or as they came in a message; none for None."""
    return orjson.loads(stored) if isinstance(stored, str) else stored or NO_VALUES


def text_of(values: Values) -> str | None:
    """Return values as they are stored: one text for equal values, None for none at all."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode() if values else None


def number_of(value: Value) -> int:
    """Return a whole number or an amount in hundredths. Raises ValueError for anything else."""
    if isinstance(value, str):
        try:
            return parse_money(value)
        except MoneyError:
            raise ValueError("must be a number") from None
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - of a document, not of a call
    return value * 100


def name_of(value: Value) -> str:
    """Return how a policy names a value of a category, or true or false. Raises ValueError for a number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise ValueError("must be one of the values that the policy names")


class Checked(NamedTuple):
    """Values as they are stored, and what is wrong: pairs of `attributes.NAME` and a message."""

    values: dict[str, Value]
    problems: list[tuple[str, str]]


def check(given: Mapping[str, Any], declaration: Declaration) -> Checked:
    """Check values against a declaration. Null is an absent value."""
    checked = Checked({}, [])
    for name, value in given.items():
        declared = declaration.get(name)
        try:
            if declared is None:
                raise ValueError(_undeclared(declaration))  # noqa: TRY301
            if value is not None:
                checked.values[name] = read_value(declared, value)
        except ValueError as error:
            checked.problems.append((PREFIX + name, str(error)))
    missing = (name for name, declared in declaration.items() if declared.required and given.get(name) is None)
    checked.problems.extend((PREFIX + name, "must be given") for name in missing)
    return checked


def read_value(declared: Declared, value: Any) -> Value:
    """Return a value as it is stored. Raises ValueError that says what it must be."""
    match declared.type:
        case AttributeType.INTEGER:
            return _integer(value)
        case AttributeType.MONEY:
            return _money(value)
        case AttributeType.BOOLEAN:
            if isinstance(value, bool):
                return value
            raise ValueError("must be true or false")
        case AttributeType.CATEGORY:
            if isinstance(value, str) and value in declared.values:
                return value
            raise ValueError(f"must be one of {', '.join(declared.values)}")
        case AttributeType.DATE:
            return _date(value)


def plain_value(value: Any) -> Value:
    """Return a value of an attribute that nothing declares: a fraction is an amount. Raises ValueError."""
    if isinstance(value, float) and not value.is_integer():
        return _money(value)
    return value if isinstance(value, bool | str) else _integer(value)


def _undeclared(declaration: Declaration) -> str:
    known = ", ".join(declaration) or "none"
    return f"is not an attribute of this portfolio; declared: {known}"


def _integer(value: Any) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(whole, int) or isinstance(whole, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - of a document, not of a call
    if abs(whole) > MAX_INTEGER:
        raise ValueError(f"must be from -{MAX_INTEGER} to {MAX_INTEGER}")
    return whole


def _money(value: Any) -> str:
    try:
        return format_money(_MONEY.validate_python(value))
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["msg"])) from None


def _date(value: Any) -> str:
    try:
        if isinstance(value, str) and date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise ValueError("must be a date such as 2026-03-31")
