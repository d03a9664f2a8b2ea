"""Numbers of other systems are read where it is clear what they are; otherwise the message says what to declare."""

import pytest

from service_kit.csv_files.numbers import NumberStyle

OURS = NumberStyle()
GERMAN = NumberStyle(",", ".")

READ: list[tuple[NumberStyle, str, str]] = [
    (OURS, "1234.5000", "1234.5"),
    (OURS, "1234.560000001", "1234.560000001"),
    (OURS, "+12.00", "12"),
    (OURS, "0012.50", "12.5"),
    (OURS, ".50", "0.5"),
    (OURS, "1234.", "1234"),
    (OURS, "\u00a055.00\u202f", "55"),
    (OURS, "\ufeff7\u200b", "7"),
    (OURS, "-5.00", "-5"),
    (OURS, "0.00", "0"),
    (GERMAN, "1.234,50", "1234.5"),
    (GERMAN, "1.234.567", "1234567"),
    (GERMAN, "980,5", "980.5"),
    (GERMAN, "1234,5", "1234.5"),
    (NumberStyle(".", ","), "1,23,456.78", "123456.78"),
    (NumberStyle(",", " "), "1\u202f234\u00a0567,8", "1234567.8"),
    (NumberStyle(".", "'"), "1\u2019234.5", "1234.5"),
]


@pytest.mark.parametrize(("style", "text", "plain"), READ)
def test_harmless_spellings_are_read(style: NumberStyle, text: str, plain: str) -> None:
    assert style.plain(text) == plain


REFUSED: list[tuple[NumberStyle, str, str]] = [
    (OURS, "1.234,50", 'set decimal = "," and thousands = "."'),
    (OURS, "1,234.50", 'set thousands = ","'),
    (OURS, "1,234,567", 'set thousands = ","'),
    (OURS, "1,234", 'set thousands = "," or decimal = ","'),
    (OURS, "980,5", 'set decimal = ","'),
    (OURS, "1.234.567", 'thousands = "."'),
    (OURS, "1 234.50", 'set thousands = " "'),
    (OURS, "1\u00a0234,50", 'set decimal = "," and thousands = " "'),
    (OURS, "1'234.50", 'set thousands = "\'"'),
    (OURS, "1.00E+05", "a spreadsheet shortened it"),
    (OURS, "1e3", "a spreadsheet shortened it"),
    (OURS, "$1,234.50", "without a currency"),
    (OURS, "EUR 99.00", "without a currency"),
    (OURS, "99.00 €", "without a currency"),
    (OURS, "(123.45)", "must have its minus in front, such as -12.00"),
    (OURS, "123.45-", "must have its minus in front, such as -12.00"),
    (OURS, "", "must not be empty"),
    (OURS, "\u200b", "must not be empty"),
    (OURS, "n/a", "must be a plain decimal number such as 1234.50"),
    (OURS, "１２３", "must be a plain decimal number"),
    (OURS, "٣٤", "must be a plain decimal number"),
    (OURS, "nan", "must be a plain decimal number"),
    (OURS, ".", "must be a plain decimal number"),
    (OURS, "-", "must be a plain decimal number"),
    (OURS, "5\udce9", "is not UTF-8"),
    (GERMAN, "1234.50", "must be a number such as 1.234,50"),
    (GERMAN, "1.23", "must be a number such as 1.234,50"),
    (GERMAN, "12.34,5", "must be a number such as 1.234,50"),
    (NumberStyle(","), "1.5", "must be a number such as 1234,50"),
]


@pytest.mark.parametrize(("style", "text", "reason"), REFUSED)
def test_what_may_mean_two_things_is_refused_with_what_to_do(style: NumberStyle, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not") as refused:
        style.plain(text)

    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("style", "text", "count"),
    [(OURS, "3.0", 3), (OURS, "03", 3), (OURS, "+3", 3), (GERMAN, "3,0", 3), (OURS, "-1", -1)],
)
def test_a_count_may_have_an_empty_fraction(style: NumberStyle, text: str, count: int) -> None:
    assert style.count(text) == count


@pytest.mark.parametrize(
    ("text", "hint"), [("1.5", ""), ("three", ""), ("3,0", 'set decimal = ","'), ("3e0", "shortened")]
)
def test_a_count_is_a_whole_number(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"must be a whole number.*{hint}"):
        OURS.count(text)


def test_a_border_takes_what_a_spreadsheet_shortened() -> None:
    assert OURS.number("1.00E+05") == 100_000
    assert GERMAN.number("1.234,5") == 1234.5
