"""The consequences of a run, as a table of numbers."""

from typing import Any

import pytest
from tests.recovery_console.run_builders import a_completed_run, a_preview

from recovery_console.formatting import Reader
from recovery_console.runs.form import RunForm
from recovery_console.runs.planning import Difference, LeftOut, consequences, in_batches

READER = Reader()


def shown(batch_size: str = "500", last: Any = None, **preview: Any) -> Any:
    return consequences(a_preview(**preview), RunForm.of({"batch_size": batch_size}, None, READER), last, READER)


def test_the_button_says_what_it_does() -> None:
    assert shown().button == "Start: 44,994 debtors in 91 batches"


def test_one_is_said_in_the_singular() -> None:
    assert shown(ranked=1, lanes={"high": 1, "standard": 0}).button == "Start: 1 debtor in 1 batch"


@pytest.mark.parametrize(("debtors", "size", "batches"), [(0, 100, 0), (1, 100, 1), (100, 100, 1), (101, 100, 2)])
def test_each_lane_is_cut_by_itself(debtors: int, size: int, batches: int) -> None:
    assert in_batches(debtors, size) == batches


def test_two_lanes_have_each_their_last_batch() -> None:
    assert shown("100", ranked=102, lanes={"high": 1, "standard": 101}).batches == 3


def test_who_is_left_out_has_code_words_and_number() -> None:
    assert shown(excluded={"HOLD_DISPUTE": 6, "PAID": 0, "CAPACITY_AGENT_CALL": 2}).left_out == [
        LeftOut("HOLD_DISPUTE", "on hold: dispute", 6),
        LeftOut("CAPACITY_AGENT_CALL", "no capacity left for: agent call", 2),
    ]


def test_what_differs_from_the_last_run() -> None:
    last = a_completed_run(debtors_ranked=44000, debtors_high=94, excluded={"PAID": 3000, "COVERED": 5})
    differences = shown(last=last).differences
    assert list(differences) == [
        Difference("ranked", 44000, 44994),
        Difference("standard", 43906, 44900),
        Difference("on hold: dispute", 0, 6),
        Difference("another account of the same person leads", 5, 0),
    ]
    assert [one.change for one in differences] == [994, 994, 6, -5]
