"""Shipments: the messages of a few batches, built to be sent together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection, select

from recovery_core.messages.wire import digest_of
from risk_assessment.batches.messages import MessageWriter, inputs_of
from risk_assessment.batches.queries import BatchKey, by_run, contents_of
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import runs


class RunTrace(NamedTuple):
    """A run that belongs to a trace."""

    run_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """Messages to be sent together, and the traces that their runs belong to, by number."""

    bodies: dict[BatchKey, str] = field(default_factory=dict)
    traces: dict[int, RunTrace] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there is anything to send."""
        return bool(self.bodies)


def build_shipment(connection: Connection, keys: Sequence[BatchKey], registry: PolicyRegistry) -> Shipment:
    """Build the message of each of these batches."""
    if not keys:
        return Shipment()
    contents = contents_of(connection, keys)
    inputs = inputs_of(connection, chain.from_iterable(content.entries for content in contents.values()))
    rows = connection.execute(select(runs).where(runs.c.number.in_(by_run(keys)))).all()
    writers = {
        run.number: MessageWriter(
            run, registry.scorer(connection, run.policy_id), run.batches_total, run.debtors_ranked
        )
        for run in rows
    }
    return Shipment(
        {
            key: writers[key.run_number].body(key.sequence, key.lane, content.entries, inputs, content.blocked).decode()
            for key, content in contents.items()
        },
        {run.number: RunTrace(run.id, run.traceparent) for run in rows if run.traceparent},
    )


def rebuilt_digests(connection: Connection, keys: Sequence[BatchKey], registry: PolicyRegistry) -> dict[BatchKey, str]:
    """Return the digests of the messages that these batches are sent as, built once more: it gives the same bytes."""
    return {key: digest_of(body) for key, body in build_shipment(connection, keys, registry).bodies.items()}
