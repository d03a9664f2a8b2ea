"""Decides one batch: scores each debtor from the snapshot in the message, picks the action, and counts. Pure.

A debtor that cannot be decided becomes one error, one that may no longer be processed as sent becomes one skip, and the
rest of the batch is decided all the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from recovery_core.decisions.restraints import Reconsideration, Refused, mask_as_sent, restraint_on
from recovery_core.messages.batch import BatchHeader, ReceivedBatch
from recovery_core.messages.entries import Entry, ItemError
from recovery_core.messages.stops import DebtorStop
from recovery_core.money import parse_priority
from recovery_core.policies.document import Policy
from recovery_core.policies.treatment import treatment_for
from recovery_core.profile import ATTRIBUTES_AT
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.scorer import scorer_for

# Plain tuples, because millions of them go into the database.
Decision = tuple[int, int, int, int, str, str, str, int | None]
"""position, debtor_id, priority, total_score, risk_level, action, reason codes separated by blanks, and the mask of the
actions that holds blocked, None where they blocked none"""
Skip = tuple[int, int, str, str]
"""position, debtor_id, reason, detail"""
Failure = tuple[int, int | None, str, str, str]
"""position, debtor_id where known, stage, error, detail"""
Outcomes = dict[str, dict[str, int]]
"""How many debtors got which action, by level: {level: {action: n}}"""

NO_STOPS: Mapping[int, DebtorStop] = MappingProxyType({})

DEBTOR_ID: Final = 1  # in all three
PRIORITY: Final = 2
STAGE: Final = 2  # of a failure
REASON: Final = 2  # of a skip
BLOCKED: Final = 7  # of a decision, its last value
MAX_ERROR_CHARS = 100
MAX_DETAIL_CHARS = 1_000


class Stage(StrEnum):
    """How far a debtor came that could not be decided."""

    READ = "read"
    SCORE = "score"
    DECIDE = "decide"


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """A decision, a skip or an error for every debtor of a batch, ready to be recorded."""

    header: BatchHeader
    policy: Policy
    decisions: Sequence[Decision]
    skips: Sequence[Skip]
    failures: Sequence[Failure]
    outcomes: Outcomes
    score_mismatches: int
    debtors: int
    """How many the message contained."""
    digest: str
    """Of the message."""
    stops_seen: int | None
    """The sequence of the last stop that was known."""


def decide(
    batch: ReceivedBatch,
    policy: Policy,
    stops: Mapping[int, DebtorStop] = NO_STOPS,
    now: datetime | None = None,
    stops_seen: int | None = None,
) -> DecidedBatch:
    """Return a decision, a skip or an error for every debtor of the batch, each in its position.

    ``stops`` are what is known of its debtors, by id. Their holds apply at ``now``.
    """
    header, treatment = batch.header, treatment_for(policy)
    scorer, action_for, objective = scorer_for(policy), treatment.action, objective_for(policy)
    careful = Reconsideration(scorer, objective.priority, treatment, header.lane, header.threshold)
    decisions: list[Decision] = []
    skips: list[Skip] = []
    failures: list[Failure] = []
    mismatches, lane, any_stops = 0, header.lane, bool(stops)
    priority_of, asks_action = objective.priority, objective.asks_action
    facts_of = _facts_with_attributes if policy.attributes else _facts
    scoring, deciding = Stage.SCORE, Stage.DECIDE  # looked up once: an enum is slow at it
    for position, item in enumerate(batch.items):
        if isinstance(item, ItemError):
            failures.append(_failure(position, item.debtor_id, Stage.READ, item.field, item.message))
            continue
        stage, stop, restraint, blocked = scoring, None, None, None
        try:
            if any_stops or "blocked" in item:
                stop = stops.get(item["debtor_id"])
                restraint = restraint_on(item, stop, header.portfolio, now)
                blocked = restraint.blocked or None
            facts = facts_of(item)
            score, status = scorer.score(facts), item["payment_status"]
            total, level, _, codes = score
            stage = deciding
            if restraint is None:
                action = action_for(level, lane, status, facts[0], facts[ATTRIBUTES_AT])
            else:
                action = careful.action(facts, level, status, restraint, stop)
            # The priority it was ranked with: what holds block since then changes the action, and no place.
            priority = priority_of(score, facts, status, mask_as_sent(item) if asks_action else 0)
        except Refused as refusal:
            skips.append((position, item["debtor_id"], refusal.reason, refusal.detail))
            continue
        except Exception as error:  # one debtor must not halt the batch
            failures.append(_failed_at(stage, position, item, error))
            continue
        # The score computed here counts; the one in the message is only compared with it.
        if total != item["total_score"] or priority != _minor(item["priority"]):
            mismatches += 1
        decisions.append((position, item["debtor_id"], priority, total, level, action, " ".join(codes), blocked))
    outcomes, debtors = count_outcomes(decisions), len(batch.items)
    return DecidedBatch(
        header, policy, decisions, skips, failures, outcomes, mismatches, debtors, batch.digest, stops_seen
    )


def count_reasons(skips: Sequence[Skip]) -> dict[str, int]:
    """Count skips by reason."""
    return dict(Counter(map(itemgetter(REASON), skips)))


def count_outcomes(decisions: Sequence[Decision]) -> Outcomes:
    """Count decisions by level and action."""
    found: Outcomes = {}
    for (level, action), count in Counter(map(itemgetter(4, 5), decisions)).items():
        found.setdefault(level, {})[action] = count
    return found


def count_high_priority(decisions: Sequence[Decision], threshold: int) -> int:
    """Count decisions whose priority is above the threshold, in minor units."""
    return sum(decision[PRIORITY] > threshold for decision in decisions)


def _facts(item: Entry) -> tuple[Any, ...]:
    try:
        return (  # in the order of `Facts`: made by name it would take half as long as a whole decision
            _minor(item["total_debt_amount"]),
            _minor(item["monthly_income"]),
            item["late_payments_count"],
            item["employment_status"],
            item["contract_type"],
            item["industry_sector"],
            item["family_situation"],
            None,
        )
    except KeyError:
        return _facts_with_attributes(item)


def _facts_with_attributes(item: Entry) -> tuple[Any, ...]:
    """Return the facts of a debtor with its attributes, and None for what it lacks."""
    found: Callable[[str], Any] = item.get
    income = found("monthly_income")
    return (
        _minor(item["total_debt_amount"]),
        None if income is None else _minor(income),
        found("late_payments_count"),
        found("employment_status"),
        found("contract_type"),
        found("industry_sector"),
        item["family_situation"],
        found("attributes"),
    )


def _minor(text: str) -> int:
    """Parse an amount that the decoder has checked; the usual form with two decimals takes the quick way."""
    return int(text.replace(".", "")) if text[-3:-2] == "." else parse_priority(text)


def _failed_at(stage: Stage, position: int, item: Entry, error: Exception) -> Failure:
    if isinstance(error, ScoringError):
        return _failure(position, item["debtor_id"], stage, error.field, error.message)
    return _failure(position, item["debtor_id"], stage, type(error).__name__, str(error))


def _failure(position: int, debtor_id: int | None, stage: Stage, error: str, detail: str) -> Failure:
    # The plain value: rows of plain types take the fast way into the database.
    return position, debtor_id, stage.value, error[:MAX_ERROR_CHARS], detail[:MAX_DETAIL_CHARS]
