"""Cursors come back as they were given out, and nothing else is taken for one."""

import base64

import pytest

from service_kit.http.pages import BadCursor, decode_cursor, encode_cursor


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("values", [[1], [2**63 - 1, -5], ["größe", 7], [""]])
def test_a_cursor_brings_its_values_back(values: list[int | str]) -> None:
    cursor = encode_cursor(values)

    assert decode_cursor(cursor, [type(value) for value in values]) == values
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    ["", "%%%", "größe", "a", forged("{}"), forged("[1]"), forged("[1,2,3]"), forged('["1",2]'), forged("[true,1]")],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="not one that this list gave out"):
        decode_cursor(text, [int, int])


@pytest.mark.parametrize("text", ["[9223372036854775808]", "[1.0]", "[1e999]", "[NaN]", '["\\ud800"]', "[null]"])
def test_values_that_no_database_takes_are_refused(text: str) -> None:
    for wanted in (int, str):
        with pytest.raises(BadCursor):
            decode_cursor(forged(text), [wanted])
