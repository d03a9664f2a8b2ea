"""The message of a batch: its entries, the facts they refer to, and the body made of both.

A body is built from immutable rows, so it is the same bytes each time. A batch that would not fit raises.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row

from recovery_core.attributes import MAX_VALUE_CHARS, PREFIX, text_of, values_of
from recovery_core.holds import Block
from recovery_core.messages.batch import BatchHeader, PolicyHeader, batch_id_of, encode_batch, encode_debtor
from recovery_core.messages.wire import MAX_BODY_BYTES
from recovery_core.policies.builtin import built_in_versions
from recovery_core.policies.document import Policy, canonical_json
from recovery_core.policies.factors import OwnValueFactor
from recovery_core.policies.parts import NumberRange
from recovery_core.profile import ATTRIBUTES_AT, FACTS, PROFILE_FIELDS
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer
from risk_assessment.debtors.tables import assessments
from service_kit.database.bulk import rows_by_key

FACTS_A_QUERY = 500
_FAMILY_AT = FACTS.index("family_situation")
_COLUMNS = ("debtor_id", "version", *PROFILE_FIELDS)

# An entry's payload is the version of the assessment.
Inputs = dict[tuple[int, int], Sequence[Any]]
"""By (debtor id, version) of an assessment: these two, the facts that it judged, and the payment status."""


def inputs_of(connection: Connection, entries: Iterable[Entry]) -> Inputs:
    """Return the inputs of each entry's assessment."""
    keys = sorted((debtor_id, version) for _, debtor_id, version in entries)
    found: Inputs = {}
    for start in range(0, len(keys), FACTS_A_QUERY):
        for row in rows_by_key(connection, assessments, _COLUMNS, keys[start : start + FACTS_A_QUERY]):
            found[row[0], row[1]] = row
    return found


HEADER_BYTES = 1_500
"""The most that a message has around its debtors, without the document of a policy."""
ENTRY_BYTES, BLOCKED_BYTES = 400, 150
"""The longest entry of a debtor without attributes, and what blocked actions add to it."""
_NUMBER_BYTES, _VALUE_BYTES = 17, 6 * MAX_VALUE_CHARS + 2
"""The longest number or amount as JSON, and the longest text, each character of which may be escaped."""


class MessageWriter:
    """Writes the messages of one run."""

    def __init__(self, run: Row[Any], scorer: Scorer, batches_total: int, debtors_total: int) -> None:
        self._run, self._totals, self._score = run, (batches_total, debtors_total), scorer.score
        self._policy = _policy_header(scorer.policy)
        self._includes_family = scorer.policy.factors.family_situation is not None
        self._is_second = run.stops_before is not None
        self._attributes = scorer.policy.attributes
        document = self._policy.document
        self._room = MAX_BODY_BYTES - HEADER_BYTES - (len(canonical_json(document)) if document else 0)
        self._entry_bytes = ENTRY_BYTES + _attribute_bytes(scorer.policy)

    def always_fits(self, *, with_blocks: bool) -> int:
        """Return how many debtors fit into a message however long their entries are; 0 where no number is sure to."""
        return max(0, self._room) // (self._entry_bytes + (BLOCKED_BYTES if with_blocks else 0))

    def body(
        self, sequence: int, lane: str, entries: Iterable[Entry], inputs: Inputs, blocked: Mapping[int, Block]
    ) -> bytes:
        """Return the message of a batch, `blocked` being those of its debtors who are partly on hold.

        A run that version 1.0 planned gets the message that version 1.0 wrote. Raises MessageTooLarge.
        """
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
            stops_before=self._run.stops_before,
        )
        return encode_batch(header, (self._debtor(entry, inputs, blocked.get(entry[1])) for entry in entries))

    def _debtor(self, entry: Entry, inputs: Inputs, block: Block | None) -> str:
        priority, debtor_id, version = entry
        _, _, *facts, status = inputs[debtor_id, version]
        if not self._includes_family:
            facts[_FAMILY_AT] = None  # sent only where the policy may use it: no other reader needs it
        if facts[ATTRIBUTES_AT] is not None:  # only what the policy looks at leaves the database
            facts[ATTRIBUTES_AT] = self._seen(facts[ATTRIBUTES_AT]) if self._attributes else None
        total_score = self._score(facts).total_score
        if not self._is_second:
            return encode_debtor(debtor_id, priority, total_score, facts, status)
        if block is None:
            return encode_debtor(debtor_id, priority, total_score, facts, status, version)
        return encode_debtor(debtor_id, priority, total_score, facts, status, version, block.mask, block.kind)

    def _seen(self, stored: str) -> str | None:
        """Return the attributes that the policy looks at, of those that are stored."""
        values = values_of(stored)
        return text_of({name: values[name] for name in self._attributes if name in values})


def _attribute_bytes(policy: Policy) -> int:
    """Return the most bytes that the attributes of one debtor take, of those that a policy looks at."""
    if not policy.attributes:
        return 0
    longest = dict.fromkeys(policy.attributes, _VALUE_BYTES)
    for row in policy.treatment:
        numbers = (name for name, asked in (row.attributes or {}).items() if isinstance(asked, NumberRange))
        longest |= dict.fromkeys(numbers, _NUMBER_BYTES)
    for factor in policy.factors.own().values():
        most = _NUMBER_BYTES
        if isinstance(factor, OwnValueFactor):  # a debtor with another value could not be scored: no message has it
            most = max(len(orjson.dumps(value)) for value in factor.points)
        longest |= {one.removeprefix(PREFIX): most for one in factor.inputs if one.startswith(PREFIX)}
    return len('"attributes":{},') + sum(len(f'"{name}":,') + most for name, most in longest.items())


def _policy_header(policy: Policy) -> PolicyHeader:
    """Return the header of a policy, with its document unless it is built in."""
    document = None if policy.hash in built_in_versions() else policy.document
    return PolicyHeader(policy.name, policy.version, policy.hash, document)
