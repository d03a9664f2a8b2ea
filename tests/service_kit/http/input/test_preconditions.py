"""`If-Match` and `If-None-Match`, as RFC 9110 says: lists, weak ETags, `*`, several lines."""

import time

import pytest
from fastapi import Request

from service_kit.http.input.preconditions import BadETagsError, Preconditions, preconditions_of


def given(header: str, *lines: str) -> Preconditions:
    headers = [(header.lower().encode(), line.encode("latin-1")) for line in lines]
    return preconditions_of(Request({"type": "http", "headers": [(b"accept", b"*/*"), *headers]}))


MATCHES = [
    ([], True),
    (['"3"'], True),
    (["*"], True),
    ([" * "], True),
    (['"2", "3"'], True),
    (['"2","3" ,, "4",'], True),
    (['"2"', '"3"'], True),
    (['"2"'], False),
    (['"3-gzip"'], False),
    (['"3-gzip", "3"'], True),
    (['W/"3"'], False),
    (['W/"3", "3"'], True),
    (['""'], False),
    (['"abc"'], False),
    (['"a,b"'], False),
    (['"\xe9"'], False),
    ([f'"{"3" * 40}"'], False),
]


@pytest.mark.parametrize(("lines", "holds"), MATCHES, ids=str)
def test_if_match_compares_strongly(lines: list[str], holds: bool) -> None:
    preconditions = given("If-Match", *lines)

    assert preconditions.holds('"3"') is holds
    assert preconditions.allows_change('"3"') is holds
    assert not preconditions.is_known('"3"')


NONE_MATCHES = [
    ([], False),
    (['"3"'], True),
    (['W/"3"'], True),
    (["*"], True),
    (['"1", W/"3"'], True),
    (['"1"', '"3"'], True),
    (['"1", "2"'], False),
    (['"3-gzip"'], False),
    (['W/"1"'], False),
]


@pytest.mark.parametrize(("lines", "known"), NONE_MATCHES, ids=str)
def test_if_none_match_compares_weakly(lines: list[str], known: bool) -> None:
    preconditions = given("If-None-Match", *lines)

    assert preconditions.is_known('"3"') is known
    assert preconditions.allows_change('"3"') is not known
    assert preconditions.holds('"3"')


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize(
    "text",
    ["", "3", '"3', 'w/"3"', "W/3", '"3" "4"', '*, "3"', '"3", *', "**", "'3'", '"a b"', '"\t"', ",", '"3";'],
)
def test_what_is_no_list_of_etags_is_refused_in_words(header: str, text: str) -> None:
    with pytest.raises(BadETagsError, match="write ETags in their quotes") as caught:
        given(header, text)

    assert caught.value.field == header


def test_a_long_list_is_read_at_once() -> None:
    started = time.process_time()
    with pytest.raises(BadETagsError):
        given("If-Match", '"1" , ,, \t' * 6_000 + "x")

    assert time.process_time() - started < 2
