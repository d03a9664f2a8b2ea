"""Works one batch: scores each debtor from the snapshot in the message, decides, and counts. Pure: no clock, no SQL.

A debtor that cannot be worked becomes one error, and the rest of the batch is worked all the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from recovery_core.messages import BatchHeader, DebtorEntry, ItemError, ReceivedBatch
from recovery_core.money import parse_priority
from recovery_core.policy import Policy
from recovery_core.scoring import Score, Scorer, ScoringError
from recovery_core.treatment import Treatment

# Plain tuples, because millions pass here on their way into the database.
Decision = tuple[int, int, int, int, str, str, str]
"""position, debtor_id, priority, total_score, risk_level, action, reason codes separated by blanks"""
Failure = tuple[int, int | None, str, str, str]
"""position, debtor_id where known, stage, error, detail"""
Outcomes = dict[str, dict[str, int]]
"""How many debtors got which action, by level: {level: {action: n}}"""

DEBTOR_ID: Final = 1  # in both
PRIORITY: Final = 2
READ, SCORE, DECIDE = "read", "score", "decide"
MAX_ERROR_CHARS = 100
MAX_DETAIL_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class WorkedBatch:
    """What was concluded for every debtor of a batch, ready to be recorded."""

    header: BatchHeader
    policy: Policy
    decisions: Sequence[Decision]
    failures: Sequence[Failure]
    outcomes: Outcomes
    score_mismatches: int
    debtors: int
    """How many the message held."""


def decide(batch: ReceivedBatch, scorer: Scorer, treatment: Treatment) -> WorkedBatch:
    """Conclude a decision or an error for every debtor of the batch, each in its place."""
    decisions: list[Decision] = []
    failures: list[Failure] = []
    mismatches = 0
    lane, action_for = batch.header.lane, treatment.action
    for position, item in enumerate(batch.items):
        if isinstance(item, ItemError):
            failures.append(_failure(position, item.debtor_id, READ, item.field, item.message))
            continue
        try:
            debt, score = _score(item, scorer)
        except Exception as error:  # one debtor must not halt the batch
            failures.append(_failed_at(SCORE, position, item, error))
            continue
        total, level, _, codes = score
        try:
            action = action_for(level, lane, item["payment_status"], debt)
        except Exception as error:
            failures.append(_failed_at(DECIDE, position, item, error))
            continue
        priority = total * debt
        # What we score from the snapshot is the truth; what the message says of it is only compared.
        if total != item["total_score"] or priority != _minor(item["priority"]):
            mismatches += 1
        decisions.append((position, item["debtor_id"], priority, total, level, action, " ".join(codes)))
    counts = outcomes(decisions)
    return WorkedBatch(batch.header, scorer.policy, decisions, failures, counts, mismatches, len(batch.items))


def outcomes(decisions: Sequence[Decision]) -> Outcomes:
    """Count decisions by level and action."""
    found: Outcomes = {}
    for (level, action), count in Counter(map(itemgetter(4, 5), decisions)).items():
        found.setdefault(level, {})[action] = count
    return found


def high_priority(decisions: Sequence[Decision], threshold: int) -> int:
    """Count decisions whose priority is above the threshold, in minor units."""
    return sum(decision[PRIORITY] > threshold for decision in decisions)


def _score(item: DebtorEntry, scorer: Scorer) -> tuple[int, Score]:
    debt = _minor(item["total_debt_amount"])
    score = scorer.score(
        debt,
        _minor(item["monthly_income"]),
        item["late_payments_count"],
        item["employment_status"],
        item["contract_type"],
        item["industry_sector"],
        item["family_situation"],
    )
    return debt, score


def _minor(text: str) -> int:
    """Read an amount that the decoder has checked; the usual form with two decimals the quick way."""
    return int(text.replace(".", "")) if text[-3:-2] == "." else parse_priority(text)


def _failed_at(stage: str, position: int, item: DebtorEntry, error: Exception) -> Failure:
    if isinstance(error, ScoringError):
        return _failure(position, item["debtor_id"], stage, error.field, error.message)
    return _failure(position, item["debtor_id"], stage, type(error).__name__, str(error))


def _failure(position: int, debtor_id: int | None, stage: str, error: str, detail: str) -> Failure:
    return position, debtor_id, stage, error[:MAX_ERROR_CHARS], detail[:MAX_DETAIL_CHARS]
