"""Decisions in words, and the answer to why a debtor was not worked."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery_client.run_shapes import Decision, Explanation, Run, RunError, Skip
from recovery_console import words
from recovery_console.formatting import Reader

MAX_REASONS = 3
OVER = frozenset({"completed", "cancelled", "failed"})


@dataclass(frozen=True, slots=True)
class Row:
    """A decision as its row shows it."""

    decision: Decision
    action: str
    why: str
    blocked: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What is known of one debtor in one run; at most one of decision, skip and error is there."""

    explanation: Explanation | None = None
    decision: Decision | None = None
    skip: Skip | None = None
    error: RunError | None = None
    looked_through_all: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a debtor was not worked, or that it was. `hold_id` and `lead_debtor_id` lead to what it rests on."""

    worked: bool
    sentence: str
    detail: str = ""
    hold_id: str | None = None
    lead_debtor_id: int | None = None


def rows(decisions: Sequence[Decision]) -> list[Row]:
    """Return decisions as rows."""
    return [
        Row(one, words.plain(one["action"]), why(one), ", ".join(words.plain(action) for action in one["blocked"]))
        for one in decisions
    ]


def why(decision: Decision) -> str:
    """Return the reasons for a score in words, the largest first."""
    texts = [reason["text"] for reason in decision["reasons"][:MAX_REASONS]]
    return " ".join(f"{text.rstrip('.')}." for text in texts) or "Nothing raises the score."


def answer(fate: Fate, run: Run, reader: Reader) -> Answer:
    """Return why a debtor was not worked in a run, from what left it out, skipped it or stopped it."""
    if fate.decision is not None:
        return Answer(True, f"It was worked: {words.plain(fate.decision['action'])}.", why(fate.decision))
    if fate.explanation is None or fate.explanation["outcome"] == "excluded":
        return _left_out(fate.explanation, run)
    if fate.skip is not None:
        return Answer(
            False,
            f"It was skipped when its batch was worked: {words.reason(fate.skip['reason'])}.",
            fate.skip["detail"],
        )
    if fate.error is not None:
        stage, detail = fate.error["stage"], fate.error["detail"]
        return Answer(False, f"It could not be decided: an error at the stage {stage}.", detail)
    return _not_yet(fate, run, reader)


def _left_out(explanation: Explanation | None, run: Run) -> Answer:
    if run["planned_at"] is None:
        return Answer(False, f"The run has ranked no debtor: it is {run['state']}.")
    if explanation is None:
        return Answer(False, "It was not in the run's portfolio when the run ranked it.")
    reason = explanation.get("reason")
    return Answer(
        False,
        f"The run left it out: {words.reason(reason)}.",
        hold_id=explanation.get("hold_id"),
        lead_debtor_id=explanation.get("lead_debtor_id"),
    )


def _not_yet(fate: Fate, run: Run, reader: Reader) -> Answer:
    found, place = fate.explanation, ""
    if found is not None:
        place = f"Rank {reader.number(found['rank'])} in batch {reader.number(found['batch_sequence'])}."
    if not fate.looked_through_all:
        return Answer(
            False, "It has no decision. The run has too many skips and errors to look through all of them.", place
        )
    if run["state"] == "cancelled":
        return Answer(False, "The run was cancelled before its batch was sent or worked.", place)
    if run["state"] in OVER:
        return Answer(False, "Its batch was never worked: it is among the dead letters.", place)
    return Answer(False, "It is ranked, and its batch is not worked yet.", place)
