"""What a person types, and what the API is asked."""

import pytest

from recovery_console.formatting import Reader
from recovery_console.runs.form import RunForm

ENGLISH, GERMAN, FRENCH = Reader(), Reader(".", ","), Reader("\u202f", ",")


def a_form(**typed: str) -> RunForm:
    return RunForm.of(typed, "default", ENGLISH)


@pytest.mark.parametrize(
    ("text", "reader", "meant"),
    [
        ("500000", ENGLISH, "500000"),
        ("500000.00", GERMAN, "500000.00"),
        ("500,000", ENGLISH, "500000"),
        ("500.000", GERMAN, "500000"),
        ("500 000,50", FRENCH, "500000.50"),
        ("1.234,5", GERMAN, "1234.5"),
        ("many", ENGLISH, "many"),
        ("", ENGLISH, ""),
    ],
)
def test_numbers_as_people_write_them(text: str, reader: Reader, meant: str) -> None:
    assert reader.plain_number(text) == meant


def test_an_untouched_form_asks_with_the_defaults() -> None:
    assert a_form().preview_options() == {
        "portfolio": "default",
        "unit": "person",
        "threshold": "500000",
        "capacity": None,
    }
    assert a_form().body() == {
        "portfolio": "default",
        "unit": "person",
        "threshold": "500000",
        "batch_size": 100,
        "filters": None,
        "capacities": None,
    }


def test_every_field_reaches_the_api() -> None:
    form = a_form(
        batch_size="200",
        threshold="750,000",
        limit="1,000",
        policy="classic",
        unit="account",
        level_HIGH="on",
        level_LOW="on",
        status_PARTIAL="on",
        min_debt="10",
        max_debt="99.50",
        capacity_AGENT_CALL="40",
    )
    filters = {"risk_level": ["HIGH", "LOW"], "payment_status": ["PARTIAL"], "min_debt": "10", "max_debt": "99.50"}
    shared = {"portfolio": "default", "policy": "classic", "unit": "account", "threshold": "750000", "limit": 1000}
    assert form.preview_options() == {**shared, **filters, "capacity": ["AGENT_CALL:40"]}
    assert form.body() == {**shared, "batch_size": 200, "filters": filters, "capacities": {"AGENT_CALL": 40}}


@pytest.mark.parametrize("text", ["0", "1001", "ten", "1.5", "-3", "²"])
def test_a_batch_size_that_is_none_is_seen(text: str) -> None:
    assert a_form(batch_size=text).batch_size is None


def test_blanks_count_as_nothing_typed() -> None:
    assert a_form(batch_size="  ", limit=" ").body()["batch_size"] == 100
    assert "limit" not in a_form(limit=" ").body()
