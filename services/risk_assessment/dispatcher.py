"""The dispatcher: carries accepted runs and scoring jobs out, one lease holder at a time.

It plans runs, sends their batches through the outbox, reads what the debt service reports, sends again what the queue
lost, and scores portfolios anew. It keeps no state that the database does not have: killed anywhere, its successor
goes on. It refuses to plan, to send and to score without the lease; what others report, anybody may write down.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from recovery_core.messages import UnreadableMessage, decode_results
from risk_assessment import idempotency, leases, outbox, planning, results, runs, scoring_jobs
from risk_assessment.clock import utc_now
from risk_assessment.metrics import (
    BATCHES,
    LEASE_HELD,
    MESSAGE_BYTES,
    OLDEST,
    OUTAGES,
    OUTSTANDING,
    PLAN_SECONDS,
    RANKED,
    RUN_SECONDS,
    RUNS,
    SCORED,
    SEND_SECONDS,
)
from risk_assessment.outbox import BatchKey, Lot
from risk_assessment.policies import PolicyShelf
from risk_assessment.results import Completion
from risk_assessment.settings import Settings
from risk_assessment.sqs_sender import SqsSender
from service_kit import tracing
from service_kit.backoff import Backoff
from service_kit.database import Database, describe_outage, is_unavailable
from service_kit.lifecycle import Stop
from service_kit.sqs import Received, describe_sqs_outage, is_sqs_unavailable

log = structlog.get_logger()
T = TypeVar("T")

LOOK_SECONDS = 0.1  # how often an idle dispatcher looks for work
TIDY_SECONDS = 1.0  # how often it looks for batches that were lost
RENEW_SECONDS = 3.0
BATCHES_A_SEND = 10  # one request: the next is built while it is under way
NO_CAP = 1_000_000


class Dispatcher:
    """One process's attempt to be the dispatcher, until it is asked to stop."""

    def __init__(self, settings: Settings, database: Database, sender: SqsSender, shelf: PolicyShelf) -> None:
        self._settings, self._database, self._sender, self._shelf = settings, database, sender, shelf
        self._owner = leases.new_owner()
        self._fence = leases.fence(self._owner)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="dispatch")
        self._held: list[Received] = []
        self._more_to_send = asyncio.Event()
        self._lease_lost = asyncio.Event()
        self._interrupted: Callable[[], bool] = self._lease_lost.is_set
        self._waiting_for: dict[str, set[str]] = {"database": set(), "queues": set()}

    async def run(self, stop: Stop) -> None:
        """Wait for the lease, work while holding it, stand by again when it is lost."""
        log.info("risk.dispatcher.started")
        self._interrupted = partial(self._over, stop)
        while not stop.is_set():
            if not await self._resilient("lease", self._acquire, stop):
                await stop.wait(LOOK_SECONDS * 10)
                continue
            log.info("risk.lease.taken")
            self._lease_lost.clear()
            LEASE_HELD.set(1)
            await self._work(stop)
            for gauge in (LEASE_HELD, OUTSTANDING, OLDEST):
                gauge.set(0)  # whoever has the lease now shows them
        await self._release()
        self._threads.shutdown(wait=True)
        log.info("risk.dispatcher.stopped")

    async def _work(self, stop: Stop) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renewing(stop))
            group.create_task(self._publishing(stop))
            group.create_task(self._repeating("plan", self._plan_next, LOOK_SECONDS, stop))
            group.create_task(self._repeating("results", self._read_results, 0, stop))
            group.create_task(self._repeating("tidy", self._tidy, TIDY_SECONDS, stop))
            group.create_task(self._repeating("score", self._score_next, LOOK_SECONDS * 5, stop))

    def _over(self, stop: Stop) -> bool:
        return stop.is_set() or self._lease_lost.is_set()

    async def _repeating(self, what: str, step: Callable[[], Awaitable[bool]], pause: float, stop: Stop) -> None:
        """Repeat a step, pausing whenever it found nothing to do."""
        while not self._over(stop):
            if not await self._resilient(what, step, stop) and pause:
                await stop.wait(pause)

    async def _resilient(self, what: str, step: Callable[[], Awaitable[T]], stop: Stop) -> T | None:
        """Do a step, again with growing pauses while a neighbour is away. None when it was given up for stopping."""
        backoff = Backoff(base=0.2, cap=30)
        away = ""
        try:
            while True:
                try:
                    done = await step()
                except leases.LeaseLostError:
                    self._lose_lease()
                    return None
                except Exception as error:
                    away = away or self._without(what, error)
                else:
                    if away:
                        log.info("risk.outage.ended", step=what)
                    return done
                if await stop.wait(backoff.next()) or self._over(stop):
                    return None
        finally:
            if away:
                self._waiting_for[away].discard(what)

    def _without(self, step: str, error: Exception) -> str:
        """Note that a step has to wait for a neighbour, and tell for which. Raises the error when it is no outage.

        An outage counts once, however many steps it stops.
        """
        reason = _outage(error)
        if reason is None:
            raise error
        log.warning("risk.outage.began", step=step, reason=reason)
        neighbour = "database" if is_unavailable(error) else "queues"
        if not self._waiting_for[neighbour]:
            OUTAGES.labels(neighbour).inc()
        self._waiting_for[neighbour].add(step)
        return neighbour

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that proves the lease first. Raises LeaseLostError."""

        def fenced(connection: Connection) -> T:
            self._fence(connection)
            return work(connection)

        return self._database.transact(fenced)

    # The lease

    async def _acquire(self) -> bool:
        return await self._in_thread(
            lambda: self._database.transact(lambda c: leases.acquire(c, self._owner, utc_now()))
        )

    async def _renewing(self, stop: Stop) -> None:
        while not self._over(stop):
            await stop.wait(RENEW_SECONDS)
            if not self._over(stop) and not await self._resilient("lease", self._acquire, stop):
                self._lose_lease()

    def _lose_lease(self) -> None:
        if not self._lease_lost.is_set():
            LEASE_HELD.set(0)
            log.warning("risk.lease.lost")
        self._lease_lost.set()

    async def _release(self) -> None:
        try:
            await self._in_thread(lambda: self._database.transact(lambda c: leases.release(c, self._owner, utc_now())))
        except Exception as error:
            # Only a courtesy: an unreleased lease ends by itself.
            log.warning("risk.lease.kept", reason=_outage(error) or type(error).__name__)

    # Planning

    async def _plan_next(self) -> bool:
        found = await self._in_thread(self._plan_one)
        if found:
            self._more_to_send.set()
        return found

    def _plan_one(self) -> bool:
        with self._database.read() as connection:
            run = outbox.next_to_plan(connection)
            if run is None:
                return False
            scorer = self._shelf.scorer(connection, run.policy_id)
        plan = planning.Plan(self._database, run, scorer, self._fence, self._settings.risk_rank_spill_after)
        try:
            began = time.monotonic()
            with PLAN_SECONDS.time():
                ranked = plan.carry_out(utc_now, self._interrupted)
        except planning.RunWithdrawnError:
            log.info("risk.run.withdrawn", run_id=run.id)
            RUNS.labels("withdrawn").inc()
        except planning.PlanInterruptedError:
            log.info("risk.run.plan_interrupted", run_id=run.id)
        except Exception as error:
            if _outage(error) is not None or isinstance(error, leases.LeaseLostError):
                raise
            # One run that cannot be planned must not keep the others from being planned.
            log.exception("risk.run.failed", run_id=run.id)
            self._write(lambda c: runs.fail(c, run.number, "planning failed; see the log", utc_now()))
            RUNS.labels("failed").inc()
        else:
            log.info("risk.run.planned", run_id=run.id)
            RUNS.labels("planned").inc()
            RANKED.inc(ranked)
            if not ranked:
                self._completed([Completion(run.id, (utc_now() - run.created_at).total_seconds(), published=True)])
            tracing.tell("plan run", run.traceparent, began, time.monotonic(), run_id=run.id, debtors=ranked)
        return True

    # Publishing: while one lot is on its way, the next is being built

    async def _publishing(self, stop: Stop) -> None:
        flying: frozenset[BatchKey] = frozenset()
        sending: asyncio.Task[bool | None] | None = None
        while not self._over(stop):
            self._more_to_send.clear()
            build = partial(self._in_thread, partial(self._next_lot, flying))
            lot = await self._resilient("build", build, stop) or Lot()
            if sending is not None and await sending is False:
                await stop.wait(TIDY_SECONDS)  # the queues answer, but take nothing
            flying, sending = frozenset(lot.bodies), None
            if lot:
                sending = asyncio.create_task(self._resilient("send", partial(self._send, lot), stop))
            else:
                await self._rest(stop)
        if sending is not None:
            await sending

    async def _rest(self, stop: Stop) -> None:
        """Wait until there may be something to send, or for a moment."""
        waiting = [asyncio.create_task(self._more_to_send.wait()), asyncio.create_task(stop.wait(LOOK_SECONDS))]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    def _next_lot(self, flying: frozenset[BatchKey]) -> Lot:
        with self._database.read() as connection:
            outstanding = outbox.outstanding(connection)
            OUTSTANDING.set(outstanding)
            room = (self._settings.risk_max_outstanding or NO_CAP) - outstanding - len(flying)
            keys = outbox.next_batches(connection, min(room, BATCHES_A_SEND), flying)
            return outbox.lot(connection, keys, self._shelf)

    async def _send(self, lot: Lot, outcome: str = "sent") -> bool:
        began = time.monotonic()
        with SEND_SECONDS.time():
            sent = await self._sender.send(lot)
        ended = time.monotonic()
        await self._in_thread(lambda: self._mark_sent(sent))
        for key in sent:
            BATCHES.labels(outcome, key.lane).inc()
            MESSAGE_BYTES.observe(len(lot.bodies[key]))
        for number, (run_id, trace) in lot.traces.items():
            batches = sum(key.run_number == number for key in sent)
            tracing.tell("send batches", trace, began, ended, run_id=run_id, batches=batches, outcome=outcome)
        return bool(sent)

    def _mark_sent(self, sent: list[BatchKey]) -> None:
        now = utc_now()

        def mark(connection: Connection) -> list[str]:
            outbox.mark_sent(connection, sent, now)
            return outbox.mark_published(connection, now)

        for run_id in self._write(mark):
            self._published(run_id)

    def _published(self, run_id: str) -> None:
        log.info("risk.run.published", run_id=run_id)
        RUNS.labels("published").inc()

    # Results

    async def _read_results(self) -> bool:
        # What was taken in is kept while the database is away: taking in more would only use up its receives.
        self._held = received = self._held or await self._sender.receive_results()
        if received:
            await self._in_thread(lambda: self._apply(received))
            self._held = []
            self._more_to_send.set()
            await self._sender.delete_results(received)
        return bool(received)

    def _apply(self, received: list[Received]) -> None:
        reports = []
        for message in received:
            try:
                reports += decode_results(message.body)
            except UnreadableMessage as error:
                # Deleting it loses nothing: a batch that nobody reports is sent again.
                log.warning("risk.result.unreadable", message_id=message.message_id, reason=str(error))
        now = utc_now()
        self._completed(self._database.transact(lambda c: results.apply(c, reports, now)))
        for report in reports:
            BATCHES.labels(report.outcome, "").inc()

    def _completed(self, completions: list[Completion]) -> None:
        for run in completions:
            if run.published:
                self._published(run.run_id)
            log.info("risk.run.completed", run_id=run.run_id)
            RUNS.labels("completed").inc()
            RUN_SECONDS.observe(run.seconds)

    # Tidying: what was lost, what nobody will report, what has expired

    async def _tidy(self) -> bool:
        lost = await self._in_thread(self._lost)
        if not lost:
            return False
        log.warning("risk.batches.resent", batches=len(lost.bodies))
        return await self._send(lost, "resent")

    def _lost(self) -> Lot:
        now, after = utc_now(), self._settings.risk_resend_after_seconds
        with self._database.read() as connection:
            hopeless = results.any_hopeless(connection, now, after)
            stale_answers = idempotency.any_old(connection, now)
        if stale_answers:
            self._database.transact(lambda c: idempotency.forget_old(c, now))
        if hopeless:
            completions, dead = self._database.transact(lambda c: results.give_up(c, now, after))
            BATCHES.labels("dead", "").inc(dead)
            self._completed(completions)
        with self._database.read() as connection:
            oldest = outbox.oldest_sent(connection)
            OLDEST.set((now - oldest).total_seconds() if oldest else 0)
            keys = outbox.due_again(connection, now, after)[:BATCHES_A_SEND]
            return outbox.lot(connection, keys, self._shelf)

    # Scoring jobs

    async def _score_next(self) -> bool:
        return await self._in_thread(self._score_chunk)

    def _score_chunk(self) -> bool:
        with self._database.read() as connection:
            job = scoring_jobs.next_job(connection)
            if job is None:
                return False
            scorer = self._shelf.scorer(connection, job.policy_id)
        try:
            scored = scoring_jobs.score_chunk(self._database, job, scorer, utc_now(), self._fence)
        except Exception as error:
            if _outage(error) is not None or isinstance(error, leases.LeaseLostError):
                raise
            log.exception("risk.scoring_job.failed", scoring_job_id=job.id)
            self._write(lambda c: scoring_jobs.fail(c, job.number, "scoring failed; see the log", utc_now()))
            return True
        SCORED.inc(scored)
        if not scored:
            log.info("risk.scoring_job.completed", scoring_job_id=job.id)
        return True


def _outage(error: Exception) -> str | None:
    """Why a neighbour is away, None when the error is no outage but ours."""
    if is_unavailable(error):
        return describe_outage(error)
    return describe_sqs_outage(error) if is_sqs_unavailable(error) else None
