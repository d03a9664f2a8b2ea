import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import NOON
from tests.recovery_core.messages.strategies import counts, digests, lines, moments, names

from recovery_core.messages.results import BatchResult, Outcome, decode_results, encode_results
from recovery_core.messages.wire import UnreadableMessage

results = st.builds(
    BatchResult,
    batch_id=names,
    run_id=names,
    sequence=counts,
    outcome=st.sampled_from(Outcome),
    succeeded=st.integers(0, 1000),
    failed=st.integers(0, 1000),
    skipped=st.integers(0, 1000),
    reason=st.none() | lines,
    finished_at=moments,
    digest=st.none() | digests,
)


@given(st.lists(results, max_size=5))
def test_results_that_are_written_are_read_back(some: list[BatchResult]) -> None:
    assert decode_results(encode_results(some)) == decode_results(encode_results(some).decode()) == some


def test_outcomes_travel_as_plain_words() -> None:
    results = [BatchResult("run-1-0000007", "run-1", 7, outcome, 99, 1, None, NOON) for outcome in Outcome]
    assert [result["outcome"] for result in json.loads(encode_results(results))["results"]] == ["done", "dead"]


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "lost"},
        {"sequence": 0},
        {"sequence": True},
        {"succeeded": -1},
        {"failed": 1.0},
        {"skipped": -1},
        {"skipped": None},
        {"finished_at": "2026-03-01T12:00:00"},
        {"batch_id": ""},
        {"run_id": None},
        {"digest": ""},
        {"digest": "A" * 64},
        {"digest": "0" * 63},
        {"digest": "0" * 65},
        {"digest": "0" * 64 + "\n"},
        {"digest": 0},
    ],
)
def test_bad_results_are_unreadable(change: dict[str, object]) -> None:
    result = BatchResult("run-1-0000007", "run-1", 7, Outcome.DONE, 99, 1, None, NOON)
    message = json.loads(encode_results([result]))
    message["results"][0] |= change
    with pytest.raises(UnreadableMessage, match=rf"results\.0\.{next(iter(change))}"):
        decode_results(json.dumps(message))


def test_version_1_0_reported_without_a_digest() -> None:
    result = BatchResult("run-1-0000007", "run-1", 7, Outcome.DONE, 99, 1, None, NOON)
    message = json.loads(encode_results([result]))
    del message["results"][0]["digest"]
    assert decode_results(json.dumps(message)) == [result]


def test_a_report_that_does_not_speak_of_skips_has_none() -> None:
    message = json.loads(encode_results([BatchResult("run-1-0000007", "run-1", 7, Outcome.DONE, 99, 1, None, NOON)]))
    assert message["results"][0].pop("skipped") == 0
    [result] = decode_results(json.dumps(message))
    assert result.skipped == 0


def test_results_of_another_schema_are_unreadable() -> None:
    with pytest.raises(UnreadableMessage, match="schema"):
        decode_results('{"schema": "smartrecover.batch-results.v2", "results": []}')
