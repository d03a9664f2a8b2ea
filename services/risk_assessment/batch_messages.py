"""What a batch's message says: its entries as they are kept, the facts they refer to, and the body made of both.

A body is built from immutable rows, so it is the same bytes each time. Refuses a batch that would not fit in a message.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row

from recovery_core.messages import BatchHeader, PolicyHeader, batch_id_of, encode_batch, encode_debtor
from recovery_core.policy import Policy, built_in_versions
from recovery_core.scoring import Scorer
from risk_assessment.tables import PROFILE_FIELDS, assessments
from service_kit.bulk import rows_by_key

FACTS_A_QUERY = 500
_TOLD = ("debtor_id", "version", *PROFILE_FIELDS)

Entry = tuple[int, int, int]  # priority, debtor id, version of the assessment
Facts = dict[tuple[int, int], Sequence[Any]]
"""By (debtor id, version) of an assessment: these two, and then the inputs that it judged."""


def pack(rows: Iterable[Sequence[int]]) -> bytes:
    """Whole numbers as they are kept: 8 bytes each, little-endian."""
    flat = list(chain.from_iterable(rows))
    return struct.pack(f"<{len(flat)}q", *flat)


def unpack_entries(packed: bytes) -> list[Entry]:
    """The entries in what pack made of them."""
    return list(struct.iter_unpack("<3q", packed))


def facts_of(connection: Connection, entries: Iterable[Entry]) -> Facts:
    """The inputs each assessment judged."""
    keys = sorted((debtor_id, version) for _, debtor_id, version in entries)
    found: Facts = {}
    for start in range(0, len(keys), FACTS_A_QUERY):
        for row in rows_by_key(connection, assessments, _TOLD, keys[start : start + FACTS_A_QUERY]):
            found[row[0], row[1]] = row
    return found


class MessageWriter:
    """Writes the messages of one run."""

    def __init__(self, run: Row[Any], scorer: Scorer, batches_total: int, debtors_total: int) -> None:
        self._run, self._totals = run, (batches_total, debtors_total)
        self._policy = _policy_header(scorer.policy)
        self._tells_family = scorer.policy.factors.family_situation is not None

    def body(self, sequence: int, lane: str, entries: Iterable[Entry], facts: Facts) -> bytes:
        """The message of a batch. Raises MessageTooLarge."""
        header = BatchHeader(
            batch_id=batch_id_of(self._run.id, sequence),
            run_id=self._run.id,
            sequence=sequence,
            lane=lane,
            portfolio=self._run.portfolio,
            policy=self._policy,
            as_of=self._run.as_of,
            threshold=self._run.threshold,
            batches_total=self._totals[0],
            debtors_total=self._totals[1],
        )
        return encode_batch(header, (self._debtor(entry, facts) for entry in entries))

    def _debtor(self, entry: Entry, facts: Facts) -> str:
        priority, debtor_id, version = entry
        _, _, debt, income, late, employment, contract, industry, family, status = facts[debtor_id, version]
        # Told only where the policy may use it: nobody else needs to know.
        family = family if self._tells_family else None
        return encode_debtor(
            debtor_id, priority, priority // debt, debt, income, late, employment, contract, industry, family, status
        )


def _policy_header(policy: Policy) -> PolicyHeader:
    """A policy that is not built in travels with its document."""
    document = None if policy.hash in built_in_versions() else policy.document
    return PolicyHeader(policy.name, policy.version, policy.hash, document)
