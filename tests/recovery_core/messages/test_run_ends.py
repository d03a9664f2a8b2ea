"""The end of a run travels and is read back; anything else is no end, or not readable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import NOON
from tests.recovery_core.messages.strategies import moments, names

from recovery_core.messages.run_ends import RunEnd, decode_run_end, encode_run_end, is_run_end
from recovery_core.messages.wire import UnreadableMessage


@given(st.builds(RunEnd, run_id=names, state=st.just("cancelled"), ended_at=moments))
def test_an_end_that_is_written_is_read_back(end: RunEnd) -> None:
    body = encode_run_end(end)

    assert decode_run_end(body) == decode_run_end(body.decode()) == end
    assert is_run_end(body.decode())


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '{"schema": "smartrecover.debt-batch.v1"}', "[" * 100_000])
def test_other_messages_are_no_end(body: str) -> None:
    assert not is_run_end(body)


@pytest.mark.parametrize(
    "change", [{"state": "lost"}, {"run_id": ""}, {"run_id": "x" * 65}, {"ended_at": "2026-03-01T12:00:00"}]
)
def test_a_bad_end_is_unreadable(change: dict[str, object]) -> None:
    message = json.loads(encode_run_end(RunEnd("run-1", "cancelled", NOON)))
    message["end"] |= change

    with pytest.raises(UnreadableMessage, match=rf"end\.{next(iter(change))}"):
        decode_run_end(json.dumps(message))
