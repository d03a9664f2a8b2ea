"""Who is ranked and who is left out, a second time: straight from the design, in plain Python, to compare with."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from tests.risk_assessment import independent

ACTIONS = 6
KINDS = (
    "DISPUTE",
    "CEASE_CONTACT",
    "ATTORNEY_REPRESENTED",
    "BANKRUPTCY",
    "DECEASED",
    "VULNERABLE",
    "HARDSHIP",
    "BREATHING_SPACE",
    "PROMISE_TO_PAY",
    "PAYMENT_PLAN",
    "TIME_BARRED",
    "FRAUD_REVIEW",
    "OTHER",
)
ACTION_NAMES = (
    "NO_ACTION",
    "SELF_SERVICE_REMINDER",
    "PAYMENT_PLAN_OFFER",
    "AGENT_CALL",
    "SPECIALIST_REVIEW",
    "LEGAL_REVIEW",
)
CAPACITIES = tuple(f"CAPACITY_{action}" for action in ACTION_NAMES)
ORDER = ("PAID", *(f"HOLD_{kind}" for kind in KINDS), "NOT_SCORABLE", "FILTERED", "COVERED", *CAPACITIES, "LIMIT")


class Placed(NamedTuple):
    """A hold of a debtor or of a person, as it was placed, and its early end."""

    number: int
    debtor_id: int | None
    person_id: int | None
    kind: str
    blocked: frozenset[int]
    starts_at: datetime
    ends_at: datetime | None
    ended_at: datetime | None


class Left(NamedTuple):
    """Why a debtor is left out."""

    debtor_id: int
    reason: str
    hold: int | None = None
    lead: int | None = None


class Outcome(NamedTuple):
    """What a run must come to: (priority, id) in order, who is left out, and what is blocked for the ranked."""

    order: list[tuple[int, int]]
    left: list[Left]
    blocked: dict[int, tuple[frozenset[int], str]]

    @property
    def counts(self) -> dict[str, int]:
        """How many each reason leaves out, in the order of the reasons."""
        found = Counter(left.reason for left in self.left)
        return {reason: found[reason] for reason in ORDER if found[reason]}


class Judge(Protocol):
    """Says what a policy's objective and treatment make of a debtor; `blocked` are the actions that holds block."""

    def priority(self, row: Mapping[str, Any], blocked: AbstractSet[int]) -> int: ...

    def action(self, row: Mapping[str, Any], priority: int, blocked: AbstractSet[int]) -> str | None: ...


def outcome(
    rows: Iterable[Mapping[str, Any]],
    holds: list[Placed],
    at: datetime,
    *,
    policy: str = "standard",
    filters: Mapping[str, Any] | None = None,
    limit: int | None = None,
    unit: str = "person",
    judge: Judge | None = None,
    capacities: Mapping[str, int] | None = None,
) -> Outcome:
    """Return what a run over these debtors must come to; filters as they are stored. Capacities need a judge."""
    left, eligible = [], []
    blocked: dict[int, tuple[frozenset[int], str]] = {}
    for row in rows:
        hold = hold_of(row, holds, at)
        if hold and len(hold[0]) < ACTIONS:
            blocked[row["id"]] = hold[0], hold[1].kind
        reason = _reason(row, hold, filters or {}, policy)
        if reason is None:
            eligible.append(row)
        else:
            left.append(Left(row["id"], reason, hold[1].number if hold and reason.startswith("HOLD_") else None))
    masks = {one: found[0] for one, found in blocked.items()}
    ranked, covered = _leaders(eligible, _ranking(eligible, policy, judge, masks), unit)
    left += covered
    if capacities and judge:
        ranked, without = _with_room(ranked, {row["id"]: row for row in eligible}, judge, masks, capacities)
        left += without
    left += [Left(debtor_id, "LIMIT") for _, debtor_id in (ranked[limit:] if limit else [])]
    order = ranked[:limit] if limit else ranked
    return Outcome(order, left, {one: blocked[one] for _, one in order if one in blocked})


def _reason(row: Mapping[str, Any], hold: Any, filters: Mapping[str, Any], policy: str) -> str | None:
    if row["payment_status"] == "PAID":
        return "PAID"
    if hold and len(hold[0]) == ACTIONS:
        return f"HOLD_{hold[1].kind}"
    if policy == "classic" and row["family_situation"] is None:
        return "NOT_SCORABLE"
    level = independent.level(independent.score(row, policy), policy)
    inside = (
        row["payment_status"] in filters.get("payment_status", ("UNPAID", "PARTIAL"))
        and filters.get("min_debt", 0) <= row["total_debt_amount"] <= filters.get("max_debt", 10**12)
        and level in filters.get("risk_level", ("LOW", "MEDIUM", "HIGH", "CRITICAL"))
    )
    return None if inside else "FILTERED"


def hold_of(row: Mapping[str, Any], holds: list[Placed], at: datetime) -> tuple[frozenset[int], Placed] | None:
    """Return the actions that holds block for a debtor, and the hold that is named."""
    mine = [
        hold
        for hold in holds
        if (hold.debtor_id == row["id"] or (hold.person_id is not None and hold.person_id == row["person_id"]))
        and hold.starts_at <= at
        and (hold.ends_at is None or at < hold.ends_at)
        and (hold.ended_at is None or at < hold.ended_at)
    ]
    if not mine:
        return None
    naming = [hold for hold in mine if len(hold.blocked) == ACTIONS] or mine
    named = sorted(naming, key=lambda hold: (KINDS.index(hold.kind), hold.number))[0]
    return frozenset().union(*(hold.blocked for hold in mine)), named


def _ranking(
    eligible: list[Mapping[str, Any]], policy: str, judge: Judge | None, masks: Mapping[int, AbstractSet[int]]
) -> list[tuple[int, int]]:
    if judge is None:
        return independent.ranking(eligible, policy)
    entries = [(judge.priority(row, masks.get(row["id"], set())), row["id"]) for row in eligible]
    return sorted(entries, key=lambda entry: (-entry[0], entry[1]))


def _with_room(
    ranking: list[tuple[int, int]],
    rows: Mapping[int, Mapping[str, Any]],
    judge: Judge,
    masks: Mapping[int, AbstractSet[int]],
    capacities: Mapping[str, int],
) -> tuple[list[tuple[int, int]], list[Left]]:
    taken: Counter[str | None] = Counter()
    ranked, without = [], []
    for priority, debtor_id in ranking:
        action = judge.action(rows[debtor_id], priority, masks.get(debtor_id, set()))
        taken[action] += 1
        if taken[action] > capacities.get(action or "none", 10**9):
            without.append(Left(debtor_id, f"CAPACITY_{action}"))
        else:
            ranked.append((priority, debtor_id))
    return ranked, without


def _leaders(
    eligible: list[Mapping[str, Any]], ranking: list[tuple[int, int]], unit: str
) -> tuple[list[tuple[int, int]], list[Left]]:
    if unit == "account":
        return ranking, []
    person_of = {row["id"]: row["person_id"] or f"alone {row['id']}" for row in eligible}
    of_person = defaultdict(list)
    for _, debtor_id in ranking:
        of_person[person_of[debtor_id]].append(debtor_id)
    leads = {debtor_id: debtors[0] for debtors in of_person.values() for debtor_id in debtors}
    covered = [Left(one, "COVERED", None, lead) for one, lead in leads.items() if one != lead]
    return [(priority, one) for priority, one in ranking if leads[one] == one], covered
