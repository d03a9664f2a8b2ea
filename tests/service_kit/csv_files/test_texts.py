"""References lose what cannot be seen at their ends, and are refused where a spreadsheet damaged them."""

import pytest

from service_kit.csv_files.texts import constant, reference, trimmed, visible_reference


@pytest.mark.parametrize(
    "text", ["1001\u200b", "\ufeff1001", " 1001 ", "1001\u00a0", "\u2060\u00a0\u200b1001\u200e", "1001\u00ad"]
)
def test_what_cannot_be_seen_at_the_ends_of_a_reference_is_dropped(text: str) -> None:
    assert reference(text) == "1001"


@pytest.mark.parametrize("text", ["10\u200b01", "1001\ufeff-A", "A\u00ad1", "A\u202e1"])
def test_an_invisible_character_inside_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"has an invisible character inside \(U\+[0-9A-F]{4} [A-Z -]+\)"):
        reference(text)


@pytest.mark.parametrize("text", ["1001.0", "1001,00", " 1001.0", "7.000"])
def test_a_reference_that_became_a_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ends in \.0, as spreadsheets write"):
        reference(text)


@pytest.mark.parametrize("text", ["1.23457E+11", "1,23457E+11", "1E+11", "1.2E11"])
def test_a_reference_that_was_shortened_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="shortened to powers of ten"):
        reference(text)


@pytest.mark.parametrize(
    "text", ["001001", "acc-1", "ACC-1", "Müller-1", "1001.5", "1.0.3", "12E3", "A.0", "3/7", "李"]
)
def test_other_references_stay_as_they_are(text: str) -> None:
    assert reference(text) == text


def test_a_reference_put_together_on_purpose_may_look_like_a_number() -> None:
    assert visible_reference("1001.0") == "1001.0"
    assert visible_reference(" \u200b") is None


@pytest.mark.parametrize("text", ["Self-Employed", "SELF EMPLOYED", "self_employed", " self -  employed\u200b"])
def test_a_spelling_of_a_constant_is_read(text: str) -> None:
    assert constant(text) == "SELF_EMPLOYED"


def test_a_text_is_trimmed_at_both_ends() -> None:
    assert trimmed("\u200b \u00a0a b\ufeff") == "a b"
