"""Decides one batch: scores each debtor from the snapshot in the message, picks the action, and counts. Pure.

A debtor that cannot be decided becomes one error, and the rest of the batch is decided all the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import Final

from recovery_core.messages.batch import BatchHeader, ReceivedBatch
from recovery_core.messages.entries import ItemError
from recovery_core.messages.shapes import DebtorEntry
from recovery_core.money import parse_priority
from recovery_core.policies.document import Policy
from recovery_core.policies.treatment import treatment_for
from recovery_core.ranking.objective import priority_of
from recovery_core.scoring.scorer import Score, Scorer, ScoringError, scorer_for

# Plain tuples, because millions of them go into the database.
Decision = tuple[int, int, int, int, str, str, str]
"""position, debtor_id, priority, total_score, risk_level, action, reason codes separated by blanks"""
Failure = tuple[int, int | None, str, str, str]
"""position, debtor_id where known, stage, error, detail"""
Outcomes = dict[str, dict[str, int]]
"""How many debtors got which action, by level: {level: {action: n}}"""

DEBTOR_ID: Final = 1  # in both
PRIORITY: Final = 2
STAGE: Final = 2  # of a failure
MAX_ERROR_CHARS = 100
MAX_DETAIL_CHARS = 1_000


class Stage(StrEnum):
    """How far a debtor came that could not be decided."""

    READ = "read"
    SCORE = "score"
    DECIDE = "decide"


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """A decision or an error for every debtor of a batch, ready to be recorded."""

    header: BatchHeader
    policy: Policy
    decisions: Sequence[Decision]
    failures: Sequence[Failure]
    outcomes: Outcomes
    score_mismatches: int
    debtors: int
    """How many the message contained."""
    digest: str
    """Of the message."""


def decide(batch: ReceivedBatch, policy: Policy) -> DecidedBatch:
    """Return a decision or an error for every debtor of the batch, each in its position."""
    scorer, action_for = scorer_for(policy), treatment_for(policy).action
    decisions: list[Decision] = []
    failures: list[Failure] = []
    mismatches = 0
    lane = batch.header.lane
    for position, item in enumerate(batch.items):
        if isinstance(item, ItemError):
            failures.append(_failure(position, item.debtor_id, Stage.READ, item.field, item.message))
            continue
        try:
            debt, score = _score(item, scorer)
        except Exception as error:  # one debtor must not halt the batch
            failures.append(_failed_at(Stage.SCORE, position, item, error))
            continue
        total, level, _, codes = score
        try:
            action = action_for(level, lane, item["payment_status"], debt)
        except Exception as error:
            failures.append(_failed_at(Stage.DECIDE, position, item, error))
            continue
        priority = priority_of(total, debt)
        # The score computed here counts; the one in the message is only compared with it.
        if total != item["total_score"] or priority != _minor(item["priority"]):
            mismatches += 1
        decisions.append((position, item["debtor_id"], priority, total, level, action, " ".join(codes)))
    outcomes = count_outcomes(decisions)
    return DecidedBatch(batch.header, policy, decisions, failures, outcomes, mismatches, len(batch.items), batch.digest)


def count_outcomes(decisions: Sequence[Decision]) -> Outcomes:
    """Count decisions by level and action."""
    found: Outcomes = {}
    for (level, action), count in Counter(map(itemgetter(4, 5), decisions)).items():
        found.setdefault(level, {})[action] = count
    return found


def count_high_priority(decisions: Sequence[Decision], threshold: int) -> int:
    """Count decisions whose priority is above the threshold, in minor units."""
    return sum(decision[PRIORITY] > threshold for decision in decisions)


def _score(item: DebtorEntry, scorer: Scorer) -> tuple[int, Score]:
    debt = _minor(item["total_debt_amount"])
    facts = (  # in the order of `Facts`: made by name it would take half as long as a whole decision
        debt,
        _minor(item["monthly_income"]),
        item["late_payments_count"],
        item["employment_status"],
        item["contract_type"],
        item["industry_sector"],
        item["family_situation"],
    )
    return debt, scorer.score(facts)


def _minor(text: str) -> int:
    """Parse an amount that the decoder has checked; the usual form with two decimals takes the quick way."""
    return int(text.replace(".", "")) if text[-3:-2] == "." else parse_priority(text)


def _failed_at(stage: Stage, position: int, item: DebtorEntry, error: Exception) -> Failure:
    if isinstance(error, ScoringError):
        return _failure(position, item["debtor_id"], stage, error.field, error.message)
    return _failure(position, item["debtor_id"], stage, type(error).__name__, str(error))


def _failure(position: int, debtor_id: int | None, stage: Stage, error: str, detail: str) -> Failure:
    # The plain value: rows of plain types take the fast way into the database.
    return position, debtor_id, stage.value, error[:MAX_ERROR_CHARS], detail[:MAX_DETAIL_CHARS]
