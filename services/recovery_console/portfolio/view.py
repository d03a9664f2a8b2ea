"""What the first page shows, made of what the APIs answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from recovery_client.shapes import Concentration, Debtor, Portfolio, Summary
from recovery_console import words
from recovery_console.failures import Away
from recovery_console.formatting import Reader

ACTIVE_STATES = frozenset({"accepted", "planning", "publishing", "published"})
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that needs attention: what, and where to look."""

    text: str
    path: str
    urgent: bool = False
    is_pending: bool = False
    """Whether it stands for others that the page shows later."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the ranked table."""

    debtor_id: int
    rank: int | None
    is_pending: bool
    is_paid: bool
    left_out: str | None
    name: str
    reference: str
    level: str
    score: int
    debt: str
    priority: str
    why: str


def choose(portfolios: Sequence[Portfolio], name: str | None) -> Portfolio | None:
    """Return the portfolio of this name; without one, `default` if it has debtors, otherwise the largest."""
    by_name = {one["name"]: one for one in portfolios}
    if name is not None:
        return by_name.get(name)
    default = by_name.get("default")
    if default is not None and default["debtors"]:
        return default
    return max(portfolios, key=lambda one: (one["debtors"], one["name"]), default=None)


def sentence(summary: Summary, reader: Reader) -> str:
    """Return the portfolio in one sentence: how many owe how much, and how many a run could rank."""
    count, rankable = summary["debtors"], summary["rankable"]
    owed = reader.short_money(summary["debt"], summary["currency"])
    return (
        f"{reader.number(count)} {'debtor owes' if count == 1 else 'debtors owe'} {owed}; "
        f"{reader.number(rankable)} can be ranked"
    )


def share_of_top(concentration: Concentration, percent: int, reader: Reader) -> str | None:
    """Return how much of the debt the top part holds, in whole percent; None without any debtor."""
    point = next((one for one in concentration["points"] if one["top_percent"] == percent), None)
    if point is None:
        return None
    whole = Decimal(point["debt_share_percent"]).quantize(Decimal(1), ROUND_HALF_EVEN)
    return reader.percent(whole)


def priority_at(concentration: Concentration, percent: int) -> str | None:
    """Return the priority of the last debtor in the top part; None without any debtor."""
    return next((one["priority"] for one in concentration["points"] if one["top_percent"] == percent), None)


def row(debtor: Debtor, rank: Mapping[str, Any] | None) -> Row:
    """Return a line of the ranked table. A debtor that cannot be ranked has the reason in place of a rank.

    Without `rank` the service is still counting it: the page shows it later.
    """
    is_pending = rank is None
    rank = rank or {"rank": None, "reason": None}
    assessment = debtor["assessment"]
    return Row(
        debtor_id=debtor["id"],
        rank=rank["rank"],
        is_pending=is_pending,
        is_paid=debtor["payment_status"] == "PAID",
        left_out=words.reason(rank["reason"]) if rank["reason"] else None,
        name=debtor["name"],
        reference=debtor["external_ref"] or "",
        level=assessment["risk_level"],
        score=assessment["total_score"],
        debt=debtor["total_debt_amount"],
        priority=debtor["priority"],
        why=" ".join(one["text"] for one in assessment["reasons"][:3]) or "No factor is above its neutral mark.",
    )


def attention(runs: Any, holds: Any, queues: Any, workers: Any, now: datetime, reader: Reader) -> list[Notice]:
    """Return what needs attention, the urgent first: services away, dead letters, no consumer, runs, holds that end."""
    notices = [
        *(Notice(answer.text, "/operations", True) for answer in _away(runs, holds, queues, workers)),
        *_stuck(queues, workers, reader),
        *_running(runs, reader),
        *_ending(holds, now, reader),
    ]
    return sorted(notices, key=lambda notice: not notice.urgent)


def _away(*answers: Any) -> list[Away]:
    found = {answer.service: answer for answer in answers if isinstance(answer, Away)}
    return list(found.values())


def _stuck(queues: Any, workers: Any, reader: Reader) -> list[Notice]:
    if queues is None:
        return [Notice("The queues are still being counted", "/operations", is_pending=True)]
    if isinstance(queues, Away):
        return []
    dead = sum(lane["dead"] for lane in queues["lanes"])
    waiting = sum(lane["waiting"] for lane in queues["lanes"])
    idle = isinstance(workers, dict) and not workers["items"] and waiting > 0
    return [
        *([Notice(reader.counted(dead, "dead letter"), "/operations", True)] if dead else []),
        *([Notice("Batches wait, and no consumer is alive", "/operations", True)] if idle else []),
    ]


def _running(runs: Any, reader: Reader) -> list[Notice]:
    if isinstance(runs, Away):
        return []
    return [
        Notice(f"A run is {run['state']}{_progress(run, reader)}", f"/runs/{run['id']}")
        for run in runs["items"]
        if run["state"] in ACTIVE_STATES
    ]


def _progress(run: Mapping[str, Any], reader: Reader) -> str:
    total = run["batches_total"]
    return f": {reader.number(run['batches_done'])} of {reader.number(total)} batches done" if total else ""


def _ending(holds: Any, now: datetime, reader: Reader) -> list[Notice]:
    if isinstance(holds, Away):
        return []
    ends = [datetime.fromisoformat(hold["until"]) for hold in holds["items"] if hold["until"]]
    count = sum(now < end <= now + SOON for end in ends)
    least = "At least " if holds["next_cursor"] and count else ""
    if not count:
        return []
    return [Notice(f"{least}{reader.counted(count, 'hold ends', 'holds end')} within 7 days", "/holds")]
