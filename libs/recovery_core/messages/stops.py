"""Stops: what the risk service says, in order and without names, of debtors that may no longer be processed as sent.

A stop is the whole state of one debtor as far as it forbids work, not a change of it. So the stop with the highest
sequence counts, and repeats and a wrong order do no harm.
"""

from dataclasses import dataclass
from datetime import datetime

from recovery_core.holds import HoldSpan

STOPS_SCHEMA = "smartrecover.stops.v1"


@dataclass(frozen=True, slots=True)
class DebtorStop:
    """What is known of a debtor. Only the id and the sequence of a deleted one."""

    debtor_id: int
    sequence: int
    deleted: bool
    portfolio: str | None = None
    payment_status: str | None = None
    total_debt_amount: int | None = None
    """In minor units."""
    holds: tuple[HoldSpan, ...] = ()
    """Every hold that is not over, of the debtor and of its person; those that begin later too."""


@dataclass(frozen=True, slots=True)
class Stops:
    """A stretch of the feed: every stop after ``after`` up to and including ``through`` that is still the newest of its
    debtor. All that was acknowledged before ``as_of`` has a sequence of at most ``through``.
    """

    after: int
    through: int
    as_of: datetime
    stops: tuple[DebtorStop, ...]
