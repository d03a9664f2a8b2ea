"""Decides prefetched batches by what is known, when they are begun, of their debtors.

It reads before the transaction that records. A stop that comes in between was not known in time; which stops were known
is recorded with the batch.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from debt_processing.consumer.prefetch import PrefetchedBatch
from debt_processing.stops import queries
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.messages.batch import BatchHeader
from recovery_core.messages.entries import ItemError
from recovery_core.messages.stops import DebtorStop
from service_kit.database.engine import Database

Snapshot = tuple[datetime, int | None]
"""What the batches of a run have in common: when it was ranked, and the last stop that was known then."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was known at one moment of the debtors of some batches."""

    at: datetime
    through: int
    stops: dict[Snapshot, dict[int, DebtorStop]]

    def decide(self, one: PrefetchedBatch) -> DecidedBatch:
        """Decide one of these batches."""
        stops = self.stops[_snapshot_of(one.batch.header)]
        return decide(one.batch, one.policy, stops, self.at, self.through)


def look_up(database: Database, group: Sequence[PrefetchedBatch], now: datetime) -> Knowledge:
    """Read what is known of the debtors of these batches, run by run.

    How far knowledge reaches is read first, so that the stops read after it are at least those.
    """
    by_snapshot: dict[Snapshot, list[PrefetchedBatch]] = defaultdict(list)
    for one in group:
        by_snapshot[_snapshot_of(one.batch.header)].append(one)
    with database.read(snapshot=False) as connection:
        known = queries.known(connection)
        found = {
            snapshot: queries.states_for(connection, known, some[0].batch.header, _debtors_of(some), now)
            for snapshot, some in by_snapshot.items()
        }
    return Knowledge(now, known.through, found)


def _snapshot_of(header: BatchHeader) -> Snapshot:
    return header.as_of, header.stops_before


def _debtors_of(group: Sequence[PrefetchedBatch]) -> list[int]:
    return [item["debtor_id"] for one in group for item in one.batch.items if not isinstance(item, ItemError)]
