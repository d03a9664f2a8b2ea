"""Decided batches of one policy, from debtors and stops with honest defaults."""

from datetime import datetime, timedelta
from typing import Any

from tests.recovery_core.builders import NOON, a_header, a_scored_entry, written

from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.holds import ALL_ACTIONS, HoldSpan, mask_of
from recovery_core.messages.batch import PolicyHeader, decode_batch, encode_batch
from recovery_core.messages.stops import DebtorStop
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy

HOUR = timedelta(hours=1)
CALL, PLAN, LEGAL = mask_of(["AGENT_CALL"]), mask_of(["PAYMENT_PLAN_OFFER"]), mask_of(["LEGAL_REVIEW"])
STANDARD = built_in_policy("standard")


def a_debtor(debtor_id: int = 1, **changes: Any) -> dict[str, Any]:
    """A debtor of level MEDIUM: in the high lane the standard treatment has an agent call for it."""
    facts = {"total_debt_amount": "12000.00", "monthly_income": "2500.00", "late_payments_count": 3, "version": 1}
    return a_scored_entry(debtor_id, **facts | {"industry_sector": "RETAIL"} | changes)


def a_stop(debtor_id: int = 1, **changes: Any) -> DebtorStop:
    """What the risk service says of a debtor that is as it was sent."""
    values = {"portfolio": "default", "payment_status": "UNPAID", "total_debt_amount": 1_200_000}
    return DebtorStop(debtor_id, **{"sequence": 13, "deleted": False} | values | changes)


def a_hold(kind: str = "DISPUTE", blocked: int = ALL_ACTIONS, **changes: Any) -> HoldSpan:
    return HoldSpan(**{"number": 1, "kind": kind, "blocked": blocked, "starts_at": NOON, "ends_at": None} | changes)


def decided(
    *stops: DebtorStop,
    entries: list[dict[str, Any]] | None = None,
    policy: Policy = STANDARD,
    now: datetime | None = NOON + HOUR,
    **header: Any,
) -> DecidedBatch:
    named = PolicyHeader(policy.name, policy.version, policy.hash, policy.document)
    body = encode_batch(a_header(policy=named, **{"stops_before": 12} | header), map(written, entries or [a_debtor()]))
    return decide(decode_batch(body), policy, {stop.debtor_id: stop for stop in stops}, now, 14)


def outcome(*stops: DebtorStop, **given: Any) -> tuple[str, int | None]:
    """Return the action and what is blocked, or the reason of the skip, of a batch's only debtor."""
    result = decided(*stops, **given)
    assert result.failures == []
    assert result.debtors == 1
    [found] = [*((row[5], row[7]) for row in result.decisions), *((row[2], None) for row in result.skips)]
    return found
