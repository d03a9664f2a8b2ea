"""The manifest: an order cut into batches by lane, with the totals and the hashes that stand for the whole of it.

`docs/evidence.md` says how each hash is made, so that others can compute it.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from recovery_core.policies.document import canonical_json
from recovery_core.policies.parts import Lane
from recovery_core.ranking.queue import Entry

Batch = tuple[Lane, list[Entry]]
NumberedBatch = tuple[int, Lane, list[Entry]]

UNHASHED = ("run_id", "as_of", "code_version", "manifest_hash")
"""The fields of a manifest that its hash does not cover: they differ between runs that ranked the same."""


def pack(rows: Iterable[Sequence[int]]) -> bytes:
    """Write whole numbers as 8 bytes each, little-endian."""
    flat = list(chain.from_iterable(rows))
    return struct.pack(f"<{len(flat)}q", *flat)


def unpack_entries(packed: bytes) -> list[Entry]:
    """Read the entries that ``pack`` wrote."""
    return list(struct.iter_unpack("<3q", packed))


def hash_manifest(manifest: Mapping[str, Any]) -> str:
    """Return the hash of a manifest as clients see it: SHA-256 of its canonical JSON without the UNHASHED fields."""
    covered = {name: value for name, value in manifest.items() if name not in UNHASHED}
    return hashlib.sha256(canonical_json(covered)).hexdigest()


class Manifest:
    """Cuts an order into batches by lane, and counts and hashes them on the way."""

    def __init__(self, policy_hash: str, threshold: int, batch_size: int) -> None:
        self._threshold, self._batch_size = threshold, batch_size
        self._whole = hashlib.sha256(policy_hash.encode())
        self._lanes = {lane: hashlib.sha256() for lane in Lane}
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
            packed = pack((debtor_id, priority) for priority, debtor_id, _ in entries)
            self._whole.update(packed)
            self._lanes[lane].update(packed)
            self.ranked += len(entries)
            self.high += len(entries) if lane is Lane.HIGH else 0
            self.batches_total += 1
            yield self.batches_total, lane, entries

    def order_hash(self, lane: Lane) -> str:
        """Return SHA-256 over every (debtor id, priority) of a lane in order."""
        return self._lanes[lane].hexdigest()

    @property
    def first_hash(self) -> str:
        """SHA-256 over the policy's hash and every (debtor id, priority) in order: the hash up to version 1.2."""
        return self._whole.hexdigest()
