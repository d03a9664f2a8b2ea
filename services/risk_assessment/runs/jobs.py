"""The dispatcher's steps for runs: plan them, publish their batches, read the results, send again what was lost.

The steps keep no state that the database does not have: killed anywhere, a successor goes on.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from recovery_core.messages.wire import digest_of
from risk_assessment.batches import queries as batch_queries
from risk_assessment.batches import reports, run_ends
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.sending import BatchQueues
from risk_assessment.batches.shipments import Shipment, build_shipment, rebuilt_digests
from risk_assessment.metadata import IDEMPOTENCY
from risk_assessment.metrics import (
    BATCHES,
    MESSAGE_BYTES,
    OLDEST,
    OUTSTANDING,
    PLAN_SECONDS,
    RANKED,
    REPORTS_REFUSED,
    RUN_SECONDS,
    RUNS,
    SEND_SECONDS,
)
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs import planning, queries, results, service
from risk_assessment.runs.results import Completion
from risk_assessment.runs.tables import RunState
from risk_assessment.settings import Settings
from risk_assessment.stops.messages import acknowledgements_in
from risk_assessment.stops.service import record_known
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.observability import tracing
from service_kit.sqs.messages import Received
from service_kit.worker.dependencies import Dependency
from service_kit.worker.leader import Leader, concerns_all_work
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.steps import Step
from service_kit.worker.temporary_files import explain_lack_of_room
from service_kit.worker.waiting import Bell, in_thread

log = structlog.get_logger()

LOOK_SECONDS = 0.1  # how often an idle dispatcher looks for work
TIDY_SECONDS = 1.0  # how often it looks for batches that were lost
REFUSED_SECONDS = 1.0  # how long it waits when the queues respond but take nothing
BATCHES_A_SHIPMENT = 10  # one request: the next is built while it is under way
NO_CAP = 1_000_000


@dataclass(frozen=True, slots=True)
class RunParts:
    """What the steps work with."""

    settings: Settings
    database: Database
    registry: PolicyRegistry
    batch_queues: BatchQueues
    lease: LeaderLease
    leader: Leader
    needs_database: Sequence[Dependency]
    needs_both: Sequence[Dependency]
    needs_to_plan: Sequence[Dependency]


def steps_of(parts: RunParts) -> list[Step]:
    """Return the steps of this noun."""
    bell = Bell()
    planner, publisher = Planner(parts, bell), Publisher(parts)
    reader, tidier, resender = ResultsReader(parts, bell), Tidier(parts), Resender(parts, publisher)
    return [
        Step("plan", LOOK_SECONDS, planner.plan_next, parts.needs_to_plan),
        Step("publish", LOOK_SECONDS, publisher.publish, parts.needs_both, bell),
        Step("results", 0, reader.read, parts.needs_both),
        Step("tidy", TIDY_SECONDS, tidier.tidy, parts.needs_database),
        Step("resend", TIDY_SECONDS, resender.resend, parts.needs_both),
        run_ends.step(parts.settings, parts.database, parts.lease, parts.batch_queues, parts.needs_both),
    ]


class Planner:
    """Plans accepted runs, the oldest first."""

    def __init__(self, parts: RunParts, to_publish: Bell) -> None:
        self._parts, self._to_publish = parts, to_publish

    async def plan_next(self) -> bool:
        """Plan a run; return whether there was one."""
        found = await in_thread(self._plan_one)
        if found:
            self._to_publish.ring()
        return found

    def _plan_one(self) -> bool:
        parts = self._parts
        with parts.database.read(snapshot=False) as connection:
            run = queries.next_to_plan(connection)
            if run is None:
                return False
            scorer = parts.registry.scorer(connection, run.policy_id)
        plan = planning.Plan(parts.database, parts.lease.write, run, scorer, parts.settings.risk_rank_spill_after)
        began = time.monotonic()
        try:
            with PLAN_SECONDS.time():
                ranked = plan.carry_out(utc_now, parts.leader.interrupted)
        except planning.RunWithdrawnError:
            log.info("risk.run.withdrawn", run_id=run.id)
            RUNS.labels("withdrawn").inc()
        except planning.PlanInterruptedError:
            log.info("risk.run.plan_interrupted", run_id=run.id)
        except Exception as error:
            # Ranking spills to disk, so a full disk is waited out: it is no fault of the run.
            if concerns_all_work(error) or explain_lack_of_room(error):
                raise
            # One run that cannot be planned must not keep the others from being planned.
            log.exception("risk.run.failed", run_id=run.id)
            parts.lease.write(lambda c: service.fail(c, run.number, "planning failed; see the log", utc_now()))
            RUNS.labels("failed").inc()
        else:
            log.info("risk.run.planned", run_id=run.id)
            RUNS.labels("planned").inc()
            RANKED.inc(ranked)
            if not ranked:
                record_completed([Completion(run.id, (utc_now() - run.created_at).total_seconds(), published=True)])
            tracing.record_span("plan run", run.traceparent, began, time.monotonic(), run_id=run.id, debtors=ranked)
        return True


class Publisher:
    """Sends planned batches: while one shipment is on its way, it builds the next."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def publish(self) -> bool:
        """Send what may be sent, shipment after shipment; there is never a reason to look again at once."""
        shipment, sent = await self._build(frozenset()), True
        while shipment and sent:
            in_flight = frozenset(shipment.bodies)
            sending = asyncio.create_task(self.send(shipment))
            try:
                over = self._parts.leader.interrupted()
                shipment = Shipment() if over else await self._build(in_flight)
            finally:
                sent = await sending  # never left alone: a batch that went out must be marked
        if not sent:
            await asyncio.sleep(REFUSED_SECONDS)
        return False

    async def send(self, shipment: Shipment, outcome: str = "sent") -> bool:
        """Send a shipment and mark what went out; return whether anything did."""
        began = time.monotonic()
        with SEND_SECONDS.time():
            sent = await self._parts.batch_queues.send(shipment)
        ended = time.monotonic()
        await in_thread(lambda: self._mark_sent({key: digest_of(shipment.bodies[key]) for key in sent}))
        for key in sent:
            BATCHES.labels(outcome, key.lane).inc()
            MESSAGE_BYTES.observe(len(shipment.bodies[key]))
        for number, (run_id, trace) in shipment.traces.items():
            batches = sum(key.run_number == number for key in sent)
            tracing.record_span("send batches", trace, began, ended, run_id=run_id, batches=batches, outcome=outcome)
        return bool(sent)

    async def _build(self, in_flight: frozenset[BatchKey]) -> Shipment:
        return await in_thread(partial(self._build_next, in_flight))

    def _build_next(self, in_flight: frozenset[BatchKey]) -> Shipment:
        with self._parts.database.read(snapshot=False) as connection:
            outstanding = batch_queries.outstanding(connection)
            OUTSTANDING.set(outstanding)
            room = (self._parts.settings.risk_max_outstanding or NO_CAP) - outstanding - len(in_flight)
            publishing = queries.numbers_in(connection, (RunState.PUBLISHING,))
            keys = batch_queries.next_batches(connection, publishing, min(room, BATCHES_A_SHIPMENT), in_flight)
            return build_shipment(connection, keys, self._parts.registry)

    def _mark_sent(self, sent: dict[BatchKey, str]) -> None:
        now = utc_now()
        for run_id in self._parts.lease.write(lambda connection: results.mark_sent(connection, sent, now)):
            record_published(run_id)


class ResultsReader:
    """Reads what the debt service reports. A leader that was just replaced may still record it: that needs no lease."""

    def __init__(self, parts: RunParts, to_publish: Bell) -> None:
        self._parts, self._to_publish = parts, to_publish
        self._received: list[Received] = []

    async def read(self) -> bool:
        """Record the next reports; return whether there were any."""
        # Messages that cannot be recorded are kept while the database is away: receiving more would use up receives.
        self._received = received = self._received or await self._parts.batch_queues.receive_results()
        if received:
            now = utc_now()
            refused = await in_thread(lambda: self._apply(received, now))
            self._received = []
            self._to_publish.ring()
            await self._parts.batch_queues.dead_letter_results(refused, received, now)
            await self._parts.batch_queues.delete_results(received)
        return bool(received)

    def _apply(self, received: list[Received], now: datetime) -> dict[str, str]:
        """Record the reports that are believed; return why others are not, by message id.

        Refusing a report loses nothing: its batch stays outstanding, and is sent again when its time comes.
        """
        parts = self._parts
        known, received = acknowledgements_in(received, parts.settings.message_keys, now)
        if known:
            parts.database.transact(lambda c: record_known(c, known, now))
        rebuild = partial(rebuilt_digests, registry=parts.registry)
        with parts.database.read(snapshot=False) as connection:
            checked = reports.check(connection, received, parts.settings.message_keys, rebuild, now)
        if checked.believed:
            record_completed(parts.database.transact(lambda c: results.apply(c, checked.believed, now)))
        for _, report in checked.believed:
            BATCHES.labels(report.outcome, "").inc()
        for refused in checked.refused:
            _record_refused(refused)
        return {refused.message_id: refused.refusal for refused in checked.refused}


def _record_refused(refused: reports.Refused) -> None:
    ids = {} if (result := refused.result) is None else {"run_id": result.run_id, "sequence": result.sequence}
    about = {"message_id": refused.message_id, "reason": refused.refusal, "detail": refused.detail}
    log.error("risk.report.refused", **about, **ids)
    REPORTS_REFUSED.labels(refused.refusal).inc()


class Tidier:
    """Gives up batches that no report will come for, and deletes expired responses."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def tidy(self) -> bool:
        """Tidy once; there is never a reason to do so again at once."""
        await in_thread(self._tidy)
        return False

    def _tidy(self) -> None:
        database, now, after = self._parts.database, utc_now(), self._parts.settings.risk_resend_after_seconds
        with database.read(snapshot=False) as connection:
            unreportable = results.any_unreportable(connection, now, after)
            expired = IDEMPOTENCY.any_expired(connection, now)
            oldest = batch_queries.oldest_sent(connection)
        OLDEST.set((now - oldest).total_seconds() if oldest else 0)
        if expired:
            database.transact(lambda c: IDEMPOTENCY.delete_expired(c, now))
        if unreportable:
            completions, dead = database.transact(lambda c: results.give_up(c, now, after))
            BATCHES.labels("dead", "").inc(dead)
            record_completed(completions)


class Resender:
    """Sends batches again that were sent and not reported for too long."""

    def __init__(self, parts: RunParts, publisher: Publisher) -> None:
        self._parts, self._publisher = parts, publisher

    async def resend(self) -> bool:
        """Send the next of them; return whether any went out."""
        lost = await in_thread(self._lost)
        if not lost:
            return False
        log.warning("risk.batches.resent", batches=len(lost.bodies))
        return await self._publisher.send(lost, "resent")

    def _lost(self) -> Shipment:
        with self._parts.database.read(snapshot=False) as connection:
            keys = batch_queries.due_again(connection, utc_now(), self._parts.settings.risk_resend_after_seconds)
            return build_shipment(connection, keys[:BATCHES_A_SHIPMENT], self._parts.registry)


def record_published(run_id: str) -> None:
    """Log and count a run whose batches have all been sent."""
    log.info("risk.run.published", run_id=run_id)
    RUNS.labels("published").inc()


def record_completed(completions: list[Completion]) -> None:
    """Log and count runs that have come to their end."""
    for run in completions:
        if run.published:
            record_published(run.run_id)
        log.info("risk.run.completed", run_id=run.run_id)
        RUNS.labels("completed").inc()
        RUN_SECONDS.observe(run.seconds)
