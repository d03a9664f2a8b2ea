"""Stops and stretches with honest defaults."""

from datetime import UTC, datetime
from typing import Any

from recovery_core.holds import ALL_ACTIONS, HoldSpan
from recovery_core.messages.stops import DebtorStop, Stops

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_hold(starts_at: datetime = NOON, ends_at: datetime | None = None, **changes: Any) -> HoldSpan:
    return HoldSpan(
        **{"number": 1, "kind": "DISPUTE", "blocked": ALL_ACTIONS} | changes, starts_at=starts_at, ends_at=ends_at
    )


def a_stop(debtor_id: int, sequence: int, **changes: Any) -> DebtorStop:
    values = {"deleted": False, "portfolio": "default", "payment_status": "UNPAID", "total_debt_amount": 1_200_000}
    return DebtorStop(debtor_id, sequence, **values | changes)


def a_stretch(after: int, through: int, *stops: DebtorStop, as_of: datetime | None = NOON) -> Stops:
    return Stops(after, through, as_of, stops)
