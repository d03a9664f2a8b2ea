"""The manifest: an order cut into batches by lane, with the totals and the hash that stand for the whole of it."""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from recovery_core.policies.parts import Lane
from recovery_core.ranking.queue import Entry

Batch = tuple[Lane, list[Entry]]
NumberedBatch = tuple[int, Lane, list[Entry]]


def pack(rows: Iterable[Sequence[int]]) -> bytes:
    """Write whole numbers as 8 bytes each, little-endian."""
    flat = list(chain.from_iterable(rows))
    return struct.pack(f"<{len(flat)}q", *flat)


def unpack_entries(packed: bytes) -> list[Entry]:
    """Read the entries that ``pack`` wrote."""
    return list(struct.iter_unpack("<3q", packed))


class Manifest:
    """Cuts an order into batches by lane, and counts and hashes them on the way."""

    def __init__(self, policy_hash: str, threshold: int, batch_size: int) -> None:
        self._threshold, self._batch_size = threshold, batch_size
        self._digest = hashlib.sha256(policy_hash.encode())
        self.ranked = self.high = self.batches_total = 0

    def cut(self, order: Iterable[Entry]) -> Iterator[Batch]:
        """Yield batches in order of work: the whole high lane, then the standard lane."""
        order, lane = iter(order), Lane.HIGH
        while taken := list(islice(order, self._batch_size)):
            # The order falls, so the first debtor at or below the threshold ends the high lane for good.
            if lane is Lane.HIGH and taken[-1][0] <= self._threshold:
                high = [entry for entry in taken if entry[0] > self._threshold]
                if high:
                    yield lane, high
                lane = Lane.STANDARD
                taken = [*taken[len(high) :], *islice(order, len(high))]
            yield lane, taken

    def numbered(self, batches: Iterable[Batch]) -> Iterator[NumberedBatch]:
        """Yield the batches with their sequence, counting and hashing them on the way."""
        for lane, entries in batches:
            self._digest.update(pack((debtor_id, priority) for priority, debtor_id, _ in entries))
            self.ranked += len(entries)
            self.high += len(entries) if lane is Lane.HIGH else 0
            self.batches_total += 1
            yield self.batches_total, lane, entries

    @property
    def hash(self) -> str:
        """SHA-256 over the policy's hash and every (debtor id, priority) in order."""
        return self._digest.hexdigest()
