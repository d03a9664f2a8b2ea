"""A world of dispatchers, consumers and queues in which every step is taken by itself."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, select
from tests.contracts.stateful.feeding import KeptStops, may_begin
from tests.contracts.stateful.people import REGISTRY, People
from tests.contracts.stateful.plans import check_plan

from debt_processing import tables as debt
from debt_processing.consumer.deliveries import Delivery
from debt_processing.consumer.prefetch import PrefetchedBatch
from debt_processing.consumer.recording import process_batch, process_group
from debt_processing.queues.envelopes import dead_result
from recovery_core.messages.batch import decode_batch, resolve_policy
from recovery_core.messages.results import BatchResult, decode_results
from recovery_core.messages.wire import digest_of
from risk_assessment import tables as risk
from risk_assessment.batches import queries as batches
from risk_assessment.batches import reports
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.shipments import build_shipment, rebuilt_digests
from risk_assessment.runs import planning, results
from risk_assessment.runs import queries as runs
from risk_assessment.runs.schemas import RunIn
from risk_assessment.runs.service import accept
from risk_assessment.runs.tables import RunState
from risk_assessment.stops.jobs import FeedSender
from service_kit.database.engine import Database
from service_kit.message_keys import MessageKeys
from service_kit.sqs.messages import Received
from service_kit.worker.leader_lease import LEASE_SECONDS, LeaderLease, LeaseLostError

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESEND_AFTER = 10.0
MAX_OUTSTANDING = 4
NO_KEYS = MessageKeys({})


@dataclass
class Wire:
    """A queue that keeps no promise: the receiver says whether a message stays, and any message may be next."""

    bodies: list[str] = field(default_factory=list)

    def take(self, chance: Random, *, stays: bool) -> str:
        index = chance.randrange(len(self.bodies))
        return self.bodies[index] if stays else self.bodies.pop(index)


@dataclass
class Dispatcher:
    """What one dispatcher has in memory."""

    lease: LeaderLease
    sender: FeedSender
    shipment: dict[BatchKey, str] = field(default_factory=dict)
    sent: dict[BatchKey, str] = field(default_factory=dict)


class World:
    """Two dispatchers that take turns, consumers, and the queues between them."""

    def __init__(self, risk_database: Database, debt_database: Database) -> None:
        self.risk, self.debt = risk_database, debt_database
        for database, tables in ((self.risk, risk.metadata), (self.debt, debt.metadata)):
            _empty(database, [table for table in tables.sorted_tables if table is not risk.policies])
        self.now = START
        self.batches, self.dead_letters, self.reports, self.stops = Wire(), Wire(), Wire(), Wire()
        self.people = People(self)
        self.dispatchers = [self.a_dispatcher("host-a:1:a"), self.a_dispatcher("host-b:1:b")]
        self.holder = self.dispatchers[0]
        self.unreported: list[BatchResult] = []
        self.bodies: dict[str, str] = {}
        self.forged: set[str] = set()

    def begin(self, bodies: list[dict[str, Any]], wishes: list[dict[str, Any]]) -> None:
        for body in bodies:
            self.people.add(body)
        for wish in wishes:
            self.start(wish)
        self.take_lease(self.dispatchers[0])
        self.plan(self.dispatchers[0])

    # People

    def start(self, wish: dict[str, Any]) -> None:
        self.risk.transact(lambda c: accept(c, RunIn.model_validate(wish), REGISTRY, self.now))

    # Dispatchers

    def a_dispatcher(self, owner: str) -> Dispatcher:
        lease = LeaderLease(self.risk, risk.leases, "dispatcher")
        lease.owner = owner  # on another host, so that the lease does not look whether its process lives
        queue = KeptStops(self.stops.bodies)
        sender = FeedSender(self.risk, lease, queue, self._clock, self._seconds)  # type: ignore[arg-type]
        return Dispatcher(lease, sender)

    def _clock(self) -> datetime:
        return self.now

    def _seconds(self) -> float:
        return self.now.timestamp()

    def take_lease(self, dispatcher: Dispatcher) -> None:
        if dispatcher.lease.acquire(self.now):
            self.holder = dispatcher

    def plan(
        self, dispatcher: Dispatcher, *, dies_at: int | None = None, overtaken_by: Dispatcher | None = None
    ) -> None:
        with self.risk.read() as connection:
            run = runs.next_to_plan(connection)
            scorer = REGISTRY.scorer(connection, run.policy_id) if run else None
        if run is None or scorer is None:
            return
        others = [overtaken_by] if overtaken_by else []

        def between_writes() -> bool:
            if others:
                self.now += timedelta(seconds=LEASE_SECONDS + 1)
                self.take_lease(others[0])
                self.plan(others.pop())
            return False

        write = _dying(dispatcher.lease.write, dies_at)
        try:
            planning.Plan(self.risk, write, run, scorer, 1_000).carry_out(lambda: self.now, between_writes)
        except (LeaseLostError, _Died):
            return
        check_plan(self.risk, REGISTRY, run.id, self.now)

    def build(self, dispatcher: Dispatcher) -> None:
        with self.risk.read() as connection:
            room = MAX_OUTSTANDING - batches.outstanding(connection)
            publishing = runs.numbers_in(connection, (RunState.PUBLISHING,))
            keys = batches.next_batches(connection, publishing, min(room, 20), frozenset())
            dispatcher.shipment = build_shipment(connection, keys, REGISTRY).bodies

    def look_for_lost(self, dispatcher: Dispatcher) -> None:
        with self.risk.read() as connection:
            unreportable = results.any_unreportable(connection, self.now, RESEND_AFTER)
        if unreportable:
            self.risk.transact(lambda c: results.give_up(c, self.now, RESEND_AFTER))
        with self.risk.read() as connection:
            keys = batches.due_again(connection, self.now, RESEND_AFTER)
            dispatcher.shipment = build_shipment(connection, keys, REGISTRY).bodies

    def send(self, dispatcher: Dispatcher, refused: float, chance: Random) -> None:
        shipment, dispatcher.shipment = dispatcher.shipment, {}
        for key, body in shipment.items():
            name = f"{key.run_number}-{key.sequence}"
            assert self.bodies.setdefault(name, body) == body, "a message differs from when it was sent before"
            if chance.random() >= refused:
                self.batches.bodies.append(body)
                dispatcher.sent[key] = digest_of(body)

    def mark(self, dispatcher: Dispatcher) -> None:
        sent, dispatcher.sent = dispatcher.sent, {}
        with contextlib.suppress(LeaseLostError):
            dispatcher.lease.write(lambda connection: results.mark_sent(connection, sent, self.now))

    def read_reports(self, bodies: list[str]) -> None:
        """Believe every report that the debt service made, and none of those that were forged."""
        messages = [Received(str(number), "handle", body, {}, 1, self.now) for number, body in enumerate(bodies)]
        rebuild = partial(rebuilt_digests, registry=REGISTRY)
        with self.risk.read() as connection:
            found = reports.check(connection, messages, NO_KEYS, rebuild, self.now)
        refused = {bodies[int(one.message_id)] for one in found.refused}
        assert refused == self.forged & set(bodies)
        assert len(found.believed) + len(found.refused) == sum(len(decode_results(body)) for body in bodies)
        self.risk.transact(lambda c: results.apply(c, found.believed, self.now))

    # Consumers

    def process(self, bodies: list[str], how: str) -> None:
        if how == "not recorded":
            return
        group = [_prefetched(body, redelivered=how == "alone") for body in bodies]
        waiting = [batch for batch in group if not may_begin(self.debt, batch.batch.header, self.now)]
        group = [batch for batch in group if batch not in waiting]
        self.batches.bodies += [batch.delivery.message.body for batch in waiting]
        bodies = [batch.delivery.message.body for batch in group]
        if how == "poison":
            self.dead_letters.bodies += bodies
            dead = [dead_result(batch.batch.header, batch.batch.digest, "poison", self.now) for batch in group]
            self.unreported += [report for report in dead if report is not None]
            return
        if how == "together":
            done = process_group(self.debt, group, lambda: self.now, lambda: False)
        else:
            done = [(batch, process_batch(self.debt, batch, lambda: self.now)) for batch in group]
        for batch, one in done:
            assert (one.recorded.succeeded + one.recorded.skipped, one.recorded.failed) == (len(batch.batch.items), 0)
            self.unreported.append(one.result(batch))
        # What was not begun for want of time is begun the next time.
        self.batches.bodies += [body for body, batch in zip(bodies, group, strict=True) if batch not in dict(done)]

    # What there is

    def runs(self) -> list[Row[Any]]:
        with self.risk.read() as connection:
            return list(connection.execute(select(risk.runs).order_by(risk.runs.c.number)))

    def debtor_ids(self) -> list[int]:
        with self.risk.read() as connection:
            return list(connection.execute(select(risk.debtors.c.id).order_by(risk.debtors.c.id)).scalars())


class _Died(Exception):  # noqa: N818
    """The process ended here."""


def _dying(write: planning.Write, at: int | None) -> planning.Write:
    """Let the process die in its n-th transaction, before it writes anything."""
    calls = iter(range(1, 1_000))

    def dying(work: Callable[[Connection], None]) -> None:
        if next(calls) == at:
            raise _Died
        write(work)

    return dying


def _prefetched(body: str, *, redelivered: bool) -> PrefetchedBatch:
    """A message as the consumer prefetches it."""
    batch = decode_batch(body)
    received = Received("message", "handle", body, {}, 2 if redelivered else 1, START)
    return PrefetchedBatch(Delivery(batch.header.lane, received), batch, resolve_policy(batch.header))


def _empty(database: Database, tables: list[Table]) -> None:
    with database.write() as connection:
        for table in tables:
            connection.execute(delete(table))
