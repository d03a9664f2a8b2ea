"""Numbers as the reader's language groups them, money exact, times with their instant."""

import pytest

from recovery_console.formatting import Reader, moment, seconds


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("", "1,234,567.50"),
        ("en-US,en;q=0.9", "1,234,567.50"),
        ("de-DE,en;q=0.5", "1.234.567,50"),
        ("fr", "1\u202f234\u202f567,50"),
        ("pl", "1\u00a0234\u00a0567,50"),
        ("de-CH", "1’234’567.50"),
        ("en-IN", "12,34,567.50"),
        ("xx,sv;q=0.1", "1\u00a0234\u00a0567,50"),
    ],
)
def test_numbers_have_the_groups_of_the_readers_language(language: str, shown: str) -> None:
    assert Reader.of(language).number("1234567.50") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (999, "999"), (1_000, "1,000"), ("-1234.5", "−1,234.5"), (None, "–"), ("9" * 20, "99" + ",999" * 6)],
)
def test_numbers_are_exact(value: int | str | None, shown: str) -> None:
    assert Reader().number(value) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("34012345678.12", "34.0 B"),
        ("1000000", "1.0 M"),
        ("999999.99", "1,000 k"),
        ("123456", "123 k"),
        ("999", "999"),
        ("0", "0"),
        ("-1500", "−1.5 k"),
        (None, "–"),
    ],
)
def test_large_amounts_are_shown_to_three_digits(amount: str | None, shown: str) -> None:
    assert Reader().short(amount).replace("\u00a0", " ") == shown


def test_money_has_its_currency_where_the_portfolio_has_one() -> None:
    assert Reader().money("1234.50", "EUR") == "1,234.50\u00a0EUR"
    assert Reader().money("1234.50", None) == "1,234.50"
    assert Reader().money(None, "EUR") == "–"


def test_a_change_has_its_sign_and_a_count_its_noun() -> None:
    assert [Reader().signed(change) for change in (1745, 0, -1142)] == ["+1,745", "0", "−1,142"]
    assert [Reader(".").counted(count, "batch", "batches") for count in (1, 4000)] == ["1 batch", "4.000 batches"]


def test_a_time_carries_its_exact_instant() -> None:
    shown = moment("2026-03-01T10:30:00.123456+01:00")

    assert shown == (
        '<time datetime="2026-03-01T09:30:00.123456Z" title="2026-03-01T09:30:00.123456Z">2026-03-01 09:30 UTC</time>'
    )
    assert moment(None) == "–"


@pytest.mark.parametrize(
    ("count", "shown"), [(None, "–"), (4.7, "4 s"), (240, "4 min"), (7_500, "2 h 5 min"), (200_000, "2 d")]
)
def test_durations_are_words(count: float | None, shown: str) -> None:
    assert seconds(count).replace("\u00a0", " ") == shown
