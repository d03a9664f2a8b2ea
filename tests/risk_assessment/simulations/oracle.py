"""The report of a simulation a second time: straight from the design, in plain Python, over the outcomes of runs."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.exclusions.eligibility import ACTIONS, Judge, Outcome, Placed, outcome

NAMES = (
    "NO_ACTION",
    "SELF_SERVICE_REMINDER",
    "PAYMENT_PLAN_OFFER",
    "AGENT_CALL",
    "SPECIALIST_REVIEW",
    "LEGAL_REVIEW",
)
LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
assert len(NAMES) == ACTIONS

Rows = dict[int, Mapping[str, Any]]


def a_report(
    rows: list[dict[str, Any]],
    placed: list[Placed],
    policies: tuple[str, str],
    treatments: tuple[Any, Any],
    *,
    threshold: int,
    top_k: int,
    unit: str,
    judges: tuple[Judge | None, Judge | None] = (None, None),
    capacities: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the report of a simulation of one policy against another; both score as these built-in ones do."""
    by_id = {row["id"]: row for row in rows}
    sides = [
        _Side(
            by_id,
            outcome(rows, placed, NOON, policy=policy, unit=unit, judge=judge, capacities=capacities),
            policy,
            treatment,
            threshold,
        )
        for policy, treatment, judge in zip(policies, treatments, judges, strict=True)
    ]
    accounts = [outcome(rows, placed, NOON, policy=policy, unit="account") for policy in policies]
    both = {one for _, one in accounts[0].order} & {one for _, one in accounts[1].order}
    levels: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for debtor_id in both:
        old, new = (level_of(by_id[debtor_id], policy) for policy in policies)
        levels[old][new] += 1
    today, proposed = sides
    named = {"today": today, "proposed": proposed}
    return {
        "debtors": len(both),
        "levels": {level: dict(row) for level, row in levels.items()},
        "lanes": {name: side.lanes() for name, side in named.items()},
        "actions": {name: side.actions() for name, side in named.items()},
        "excluded": {name: side.result.counts for name, side in named.items()},
        "exposure": {name: side.exposure() for name, side in named.items()},
        "top_k": top(by_id, today, proposed, top_k),
        "movers": movers(today, proposed, top_k),
    }


class _Side:
    def __init__(self, rows: Rows, result: Outcome, policy: str, treatment: Any, threshold: int) -> None:
        self.rows, self.result, self.policy = rows, result, policy
        self.treatment, self.threshold = treatment, threshold
        self.ids = [debtor_id for _, debtor_id in result.order]
        self.rank = {debtor_id: rank for rank, debtor_id in enumerate(self.ids, start=1)}

    def lanes(self) -> dict[str, int]:
        high = sum(priority > self.threshold for priority, _ in self.result.order)
        return {"high": high, "standard": len(self.ids) - high}

    def actions(self) -> dict[str, int]:
        found = Counter(self._action(priority, debtor_id) for priority, debtor_id in self.result.order)
        return {name: found[name] for name in NAMES if found[name]}

    def _action(self, priority: int, debtor_id: int) -> str | None:
        row, lane = self.rows[debtor_id], "high" if priority > self.threshold else "standard"
        blocked = {NAMES[bit] for bit in self.result.blocked.get(debtor_id, (frozenset(), ""))[0]}
        for line in self.treatment:
            conditions = (
                ("level", level_of(row, self.policy)),
                ("lane", lane),
                ("payment_status", row["payment_status"]),
            )
            if any(value not in line.get(name, (value,)) for name, value in conditions):
                continue
            least, most = (round(100 * float(line.get(name, default))) for name, default in DEBTS)
            if least <= row["total_debt_amount"] < most and line["action"] not in blocked:
                return str(line["action"])
        return None

    def exposure(self) -> dict[str, dict[str, Any]]:
        found: dict[str, list[int]] = defaultdict(list)
        for debtor_id in self.ids:
            found[level_of(self.rows[debtor_id], self.policy)].append(self.rows[debtor_id]["total_debt_amount"])
        return {
            level: {"debtors": len(found[level]), "debt": independent.money(sum(found[level]))}
            for level in LEVELS
            if level in found
        }


DEBTS = (("min_debt", 0), ("max_debt", 10**10))


def level_of(row: Mapping[str, Any], policy: str) -> str:
    return independent.level(independent.score(row, policy), policy)


def top(rows: Rows, today: _Side, proposed: _Side, k: int) -> dict[str, Any]:
    before, after = set(today.ids[:k]), set(proposed.ids[:k])
    return {
        "k": k,
        "entered": len(after - before),
        "left": len(before - after),
        "stayed": len(before & after),
        "debt_entered": independent.money(sum(rows[one]["total_debt_amount"] for one in after - before)),
        "debt_left": independent.money(sum(rows[one]["total_debt_amount"] for one in before - after)),
    }


def movers(today: _Side, proposed: _Side, k: int) -> list[dict[str, Any]]:
    found = []
    for debtor_id in set(today.ids[:k]) | set(proposed.ids[:k]):
        before, after = today.rank.get(debtor_id), proposed.rank.get(debtor_id)
        if before != after:
            found.append({"debtor_id": debtor_id, "rank_today": before, "rank_proposed": after})
    return sorted(found, key=_change)[:100]


def _change(mover: dict[str, Any]) -> tuple[float, int]:
    before, after = mover["rank_today"], mover["rank_proposed"]
    change = float("inf") if before is None or after is None else abs(before - after)
    return -change, mover["debtor_id"]
