"""Amounts at the HTTP boundary: whatever form they come in, they are taken exactly or refused, and never change.

Up to a hundred amounts travel in one `POST /scores`, each as the very text that a client might have written.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.contracts.conftest import EFFORT
from tests.contracts.in_process import Calls, calling
from tests.risk_assessment.builders import a_debtor, a_profile

from recovery_core.money import MAX_AS_NUMBER, format_money
from service_kit.database.migrations import upgrade

LARGEST = Decimal("9999999999.99")
AS_TEXT = re.compile(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,2})?", re.ASCII)

near_amounts = st.one_of(
    st.decimals(-5, 20_000_000_000, places=2).map(str),
    st.decimals(-5, 20_000_000_000, places=3).map(str),
    st.integers(-5, 20_000_000_000).map(str),
    st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{0,4})?", fullmatch=True),
    st.sampled_from(["9999999999.99", "9999999999.991", "10000000000", "0.01", "0.001", "0", "-0", "0.00", "00.10"]),
)
texts = st.one_of(
    near_amounts,
    near_amounts.map(lambda text: f" {text}"),
    near_amounts.map(lambda text: f"{text}\n"),
    st.sampled_from(
        ["１２", "٣", "1_000", "1,000.00", "+1", "1e3", "0x10", "NaN", "Infinity", "", ".5", "5.", "1.10€"]
    ),
    st.text(max_size=20),
    st.from_regex(r"[0-9]{13,400}", fullmatch=True),
)
numbers = st.one_of(
    st.integers(-5, 20_000_000_000).map(str),
    st.decimals(0, 20_000_000_000, places=2).map(str),
    st.decimals(0, 20_000_000_000, places=3).map(str),
    st.builds(lambda digits, power: f"{digits}e{power}", st.integers(0, 10**6), st.integers(-12, 12)),
    st.floats(0, 2e10, allow_subnormal=False).map(repr),
    st.sampled_from(["0.1", "0.10", "1E2", "1e+2", "100e-2", "0e9", "-0.0", "9999999999.99", "1e400", "5e-324"]),
)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory, aws_environment: None) -> Iterator[Calls]:
    url = f"sqlite:///{tmp_path_factory.mktemp('money') / 'risk.db'}"
    upgrade(url, "risk_assessment")
    with calling(url) as call:
        assert call("POST", "/debtors", json=a_debtor()).status_code == 201  # a portfolio for runs and previews
        yield call


@settings(max_examples=EFFORT.examples(30))
@given(st.lists(texts, min_size=20, max_size=100))
@example(["0.01", "9999999999.99", "10000000000.00", "1" * 5_000])
def test_an_amount_as_text_is_taken_exactly_or_refused(call: Calls, amounts: list[str]) -> None:
    literals = [orjson.dumps(text).decode() for text in amounts if "\0" not in text] or ['"1"']

    for literal, priority in zip(literals, _scored(call, literals), strict=True):
        text = orjson.loads(literal)
        if AS_TEXT.fullmatch(text) and Decimal(text) > 0:
            assert priority == Decimal(text), text
        else:
            assert priority is None, text


@settings(max_examples=EFFORT.examples(30))
@given(st.lists(numbers, min_size=20, max_size=100))
def test_an_amount_as_a_number_is_taken_to_the_cent_or_refused(call: Calls, literals: list[str]) -> None:
    for literal, priority in zip(literals, _scored(call, literals), strict=True):
        written = Decimal(literal)
        if priority is None:
            exact = written == written.quantize(Decimal("0.01")) if abs(written) < 10**11 else True
            assert not exact or not 0 < written <= LARGEST, literal
        else:
            # A float distinguishes cents up to 15 digits at most.
            assert abs(priority - written) <= written * Decimal("1e-15"), literal
            assert 0 < priority <= LARGEST, literal


@settings(max_examples=EFFORT.examples(20))
@given(st.lists(st.integers(1, 999_999_999_999), min_size=3, max_size=3))
def test_an_amount_comes_back_as_it_was_given(call: Calls, amounts: list[int]) -> None:
    for minor in amounts:
        given = format_money(minor)
        shown = call("POST", "/debtors", json={"name": "N"} | a_profile(total_debt_amount=given, monthly_income=given))
        assert (shown.json()["total_debt_amount"], shown.json()["monthly_income"]) == (given, given)
        again = call("PUT", shown.headers["location"].removeprefix("/risk-service"), json=shown.json())
        assert again.json()["total_debt_amount"] == given


@settings(max_examples=EFFORT.examples(60))
@given(st.one_of(near_amounts, texts, st.integers(0, 10**18).map(str), st.decimals(0, 10**17, places=2).map(str)))
@example("92233720368547758.07")
@example("92233720368547758.08")
@example("70368744177664.01")
def test_a_threshold_is_taken_exactly_or_refused(call: Calls, text: str) -> None:
    limit = Decimal("92233720368547758.07")
    fits = re.fullmatch(r"(0|[1-9][0-9]{0,16})(\.[0-9]{1,2})?", text, re.ASCII) and Decimal(text) <= limit

    as_text = call("GET", "/runs/preview", params={"threshold": text})

    if fits:
        assert Decimal(as_text.json()["threshold"]) == Decimal(text)
    elif "\0" in text:
        assert as_text.status_code == 422
    else:
        assert as_text.status_code == 422
        assert [error["field"] for error in as_text.json()["errors"]] == ["threshold"]


@settings(max_examples=EFFORT.examples(40))
@given(st.integers(0, 2 * MAX_AS_NUMBER) | st.floats(0, 2.0 * MAX_AS_NUMBER))
def test_a_threshold_as_a_number_is_taken_exactly_or_refused(call: Calls, number: float) -> None:
    number = round(number, 2)
    response = call("POST", "/runs", content=b'{"threshold": %s}' % repr(number).encode(), headers=JSON)
    if number <= MAX_AS_NUMBER:
        assert Decimal(response.json()["threshold"]) == Decimal(repr(number))
    else:
        assert response.status_code == 422


JSON = {"Content-Type": "application/json"}


def _scored(call: Calls, literals: list[str]) -> list[Decimal | None]:
    """What the API took each literal for, by the priority that came of it; None for one refused by name."""
    rest = orjson.dumps(a_profile()).decode().replace('"total_debt_amount":"5000.00",', "")
    assert "total_debt" not in rest
    profiles = ",".join(f'{rest[:-1]},"total_debt_amount":{literal}}}' for literal in literals)
    response = call("POST", "/scores", content=f'{{"profiles": [{profiles}]}}'.encode(), headers=JSON)
    if response.status_code == 400:  # a number too large for any JSON reader; found alone
        assert len(literals) == 1 or any("e" in literal.lower() for literal in literals)
        return [None] if len(literals) == 1 else [one for literal in literals for one in _scored(call, [literal])]
    assert response.status_code == 200, response.text
    return [_priority(result) for result in response.json()["results"]]


def _priority(result: dict[str, Any]) -> Decimal | None:
    if result["status"] == "error":
        assert [error["field"] for error in result["errors"]] == ["total_debt_amount"]
        return None
    return Decimal(result["priority"]) / int(result["assessment"]["total_score"])
