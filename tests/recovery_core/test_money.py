import json
import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from recovery_core.money import (
    MAX_MINOR,
    MAX_PRIORITY,
    PRIORITY_PATTERN,
    Money,
    MoneyError,
    PositiveMoney,
    Threshold,
    format_money,
    parse_money,
    parse_priority,
)

money = TypeAdapter(Money)
positive = TypeAdapter(PositiveMoney)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("33267.16", 3326716), ("0", 0), ("0.00", 0), ("0.5", 50), ("7", 700), ("9999999999.99", MAX_MINOR)],
)
def test_text_is_read_as_minor_units(text: str, minor: int) -> None:
    assert parse_money(text) == minor


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-1", "negative"),
        ("-0.00", "negative"),
        ("1.234", "at most 2 decimal places"),
        ("10000000000", "at most 9999999999.99"),
        ("9" * 10_000, "at most 9999999999.99"),
        *((text, "plain decimal number") for text in ["", " 1", "1 ", "1\n", "+1", "1e3", "1_000", "1,5", ".5", "5."]),
        *((text, "plain decimal number") for text in ["NaN", "inf", "007", "١٢", "1\x00", "\ud800", "0x1f"]),
    ],
)
def test_text_that_is_no_amount_is_rejected_saying_why(text: str, problem: str) -> None:
    with pytest.raises(MoneyError, match=problem):
        parse_money(text)


@given(st.integers(0, MAX_MINOR))
def test_what_is_written_is_read_back(minor: int) -> None:
    assert parse_money(format_money(minor)) == minor


@given(st.integers(0, MAX_PRIORITY))
def test_priorities_may_be_larger_than_amounts(minor: int) -> None:
    assert parse_priority(format_money(minor)) == minor


def test_money_is_written_with_exactly_two_places() -> None:
    assert [format_money(minor) for minor in (0, 5, 50, 12345, -12345)] == ["0.00", "0.05", "0.50", "123.45", "-123.45"]


@pytest.mark.parametrize("value", ["12.5", 12.5, Decimal("12.50"), Decimal("12.500")])
def test_a_field_takes_text_and_numbers_in_major_units(value: object) -> None:
    assert money.validate_python(value) == 1250
    assert positive.validate_python(value) == 1250


def test_a_whole_number_counts_major_units() -> None:
    assert money.validate_python(5) == 500
    assert money.validate_json("5") == 500


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, [], {}, b"1", math.nan, math.inf, -math.inf, -1, -0.01, 1.234, 5e-324, 1e300, 10**400, MAX_MINOR),
        *map(Decimal, ("NaN", "sNaN", "1E+999999", "1E-999999", "0.001", "-1")),
    ],
)
def test_a_field_rejects_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValidationError):
        money.validate_python(value)


def test_a_positive_amount_is_not_zero() -> None:
    for nothing in ("0", "0.00", 0, 0.0):
        with pytest.raises(ValidationError, match="greater than 0"):
            positive.validate_python(nothing)


@given(st.integers(0, MAX_MINOR))
def test_a_float_is_taken_for_the_cents_it_was_meant_to_be(minor: int) -> None:
    assert money.validate_python(minor / 100) == minor
    assert money.validate_python(minor * 0.01) == minor


@given(st.integers(0, MAX_MINOR))
def test_a_field_is_written_as_text_and_read_back(minor: int) -> None:
    text = money.dump_json(minor)
    assert text == f'"{format_money(minor)}"'.encode()
    assert money.validate_json(text) == minor


@pytest.mark.parametrize("adapter", [money, positive])
@given(value=st.floats(0, 2e10) | st.integers(-5, 2 * 10**10) | st.from_regex(r"^[0-9]{0,11}(\.[0-9]{0,3})?\Z"))
def test_the_schema_of_a_field_agrees_with_its_validator(adapter: TypeAdapter[int], value: object) -> None:
    schema = adapter.json_schema()
    for option in schema["anyOf"]:
        option.pop("multipleOf", None)  # jsonschema divides floats: it refuses 0.07 as a multiple of 0.01
    if isinstance(value, float):
        value = round(value, 2)
    try:
        adapter.validate_python(value)
        accepted = True
    except ValidationError:
        accepted = False
    assert Draft202012Validator(schema).is_valid(value) == accepted


def test_the_schema_of_a_response_is_decimal_text() -> None:
    schema = money.json_schema(mode="serialization")
    assert schema["type"] == "string"
    assert Draft202012Validator(schema).is_valid(json.loads(money.dump_json(123)))


@pytest.mark.parametrize("value", [2**46 + 1, float(2**46 + 1), 1e15])
def test_a_number_too_large_to_hold_its_cents_must_be_text(value: float) -> None:
    assert TypeAdapter(Threshold).validate_python(2**46) == 2**46 * 100
    with pytest.raises(ValidationError, match="written as text"):
        TypeAdapter(Threshold).validate_python(value)


def test_a_threshold_may_be_as_large_as_a_priority() -> None:
    threshold = TypeAdapter(Threshold)
    assert threshold.validate_python("92233720368547758.07") == MAX_PRIORITY == 2**63 - 1
    assert threshold.validate_python(750000) == 75_000_000
    with pytest.raises(ValidationError, match=r"at most 92233720368547758\.07"):
        threshold.validate_python("92233720368547758.08")


@given(st.integers(0, 10 * MAX_PRIORITY) | st.integers(MAX_PRIORITY - 200, MAX_PRIORITY + 200))
def test_whatever_has_the_shape_of_a_priority_fits_63_bits(minor: int) -> None:
    for text in (format_money(minor), str(minor // 100), f"{minor // 100}.{minor % 100 // 10}"):
        digits = int(text.replace(".", "")) * 10 ** (2 - len(text.partition(".")[2]))
        assert bool(re.search(PRIORITY_PATTERN, text)) == (digits <= MAX_PRIORITY)
