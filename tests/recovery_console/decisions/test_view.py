"""Why a debtor was not worked: each way it can end, as a table."""

from typing import Any

import pytest
from tests.recovery_console.run_builders import a_completed_run, a_decision, a_run, a_skip, an_error, an_explanation

from recovery_console.decisions.view import Fate, answer, why
from recovery_console.formatting import Reader

DONE = a_completed_run()


@pytest.mark.parametrize(
    ("fate", "run", "sentence"),
    [
        (Fate(an_explanation(), a_decision()), DONE, "It was worked: Agent call."),
        (Fate(), DONE, "It was not in the run's portfolio when the run ranked it."),
        (Fate(), a_run(state="cancelled", planned_at=None), "The run has ranked no debtor: it is cancelled."),
        (Fate(an_explanation(outcome="excluded", reason="PAID")), DONE, "The run left it out: paid."),
        (
            Fate(an_explanation(outcome="excluded", reason="HOLD_BANKRUPTCY", hold_id="h1")),
            DONE,
            "The run left it out: on hold: bankruptcy.",
        ),
        (Fate(an_explanation(), skip=a_skip()), DONE, "It was skipped when its batch was worked: paid."),
        (Fate(an_explanation(), error=an_error()), DONE, "It could not be decided: an error at the stage score."),
        (Fate(an_explanation()), a_run(), "It is ranked, and its batch is not worked yet."),
        (
            Fate(an_explanation()),
            a_run(state="cancelled"),
            "The run was cancelled before its batch was sent or worked.",
        ),
        (Fate(an_explanation()), DONE, "Its batch was never worked: it is among the dead letters."),
        (
            Fate(an_explanation(), looked_through_all=False),
            DONE,
            "It has no decision. The run has too many skips and errors to look through all of them.",
        ),
    ],
)
def test_every_end_has_its_sentence(fate: Fate, run: Any, sentence: str) -> None:
    assert answer(fate, run, Reader()).sentence == sentence


def test_a_hold_and_a_leading_account_are_named() -> None:
    held = answer(Fate(an_explanation(outcome="excluded", reason="HOLD_DISPUTE", hold_id="h1")), DONE, Reader())
    covered = answer(Fate(an_explanation(outcome="excluded", reason="COVERED", lead_debtor_id=3)), DONE, Reader())
    assert (held.hold_id, covered.lead_debtor_id) == ("h1", 3)


def test_reasons_are_the_largest_ones_in_words() -> None:
    reasons = [{"code": "A", "text": f"reason {n}.", "contribution": 9 - n} for n in range(5)]
    assert why(a_decision(reasons=reasons)) == "reason 0. reason 1. reason 2."
    assert why(a_decision(reasons=[])) == "Nothing raises the score."
