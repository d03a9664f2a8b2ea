"""The consumer: receives batches, processes the best of those it has, records, reports, and only then deletes.

It keeps no state that the database or the queues do not have. Killed anywhere, it loses nothing: its messages come
again, and the inbox knows what was done.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from debt_processing.consumer.acknowledger import Acknowledger
from debt_processing.consumer.deliveries import DeliveryQueues
from debt_processing.consumer.intake import Intake
from debt_processing.consumer.prefetch import Prefetch
from debt_processing.consumer.processing import BatchWork
from debt_processing.consumer.recording import end_attempt
from debt_processing.consumer.visibility import Visibility
from debt_processing.metadata import workers
from debt_processing.metrics import OUTAGES, QUEUE_MESSAGES
from debt_processing.queues import queries
from debt_processing.settings import PACKAGE, Settings
from debt_processing.stops.freshness import Freshness
from debt_processing.stops.jobs import StopsReceiver
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.sqs.client import Sqs
from service_kit.worker.dependencies import LoggedOutages, database_dependency, queues_dependency
from service_kit.worker.presence import Presence, WorkerState, waiting_for
from service_kit.worker.steps import Step, run_steps
from service_kit.worker.waiting import Bell, in_thread

log = structlog.get_logger()

STOP_SECONDS = 18.0  # within the 20 that an operator is promised
LOOK_SECONDS = 1.0
WATCH_SECONDS = 15.0  # how often the queues are counted, for the metrics


class Consumer:
    """One process's work on the queues, until it is asked to stop."""

    def __init__(
        self, settings: Settings, database: Database, sqs: Sqs, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._settings, self._database, self._sqs = settings, database, sqs
        queues = DeliveryQueues(sqs, settings)
        self._bell = bell = Bell()
        self._prefetch = prefetch = Prefetch()
        outages = LoggedOutages("debt", OUTAGES)
        self._database_service = database_dependency(database, PACKAGE, outages)
        self._queue_service = queues_dependency(queues.ping, outages)
        self._freshness = freshness = Freshness(database, settings.debt_stops_max_lag_seconds, outages, clock)
        self._stops = StopsReceiver(settings, database, sqs, freshness, bell, clock)
        self._visibility = visibility = Visibility(queues)
        self._acknowledger = acknowledger = Acknowledger(
            queues, visibility, self._queue_service, bell, enough=settings.debt_prefetch // 2
        )
        self._intake = Intake(settings, queues, visibility, prefetch, acknowledger, database, freshness, bell, clock)
        services = (self._database_service, self._queue_service)
        self._presence = Presence(database, workers, "consume", clock)
        self._work = BatchWork(settings, database, prefetch, visibility, acknowledger, services, freshness, bell, clock)

    async def run(self, stop: Stop) -> None:
        """Work until asked to stop; then finish what is begun, release the rest, report, and return."""
        log.info("debt.consumer.started", workers=self._settings.workers, prefetch=self._settings.debt_prefetch)
        finish, end = Stop(), Stop()
        async with asyncio.TaskGroup() as group:
            services = (self._database_service, self._queue_service)
            intake = group.create_task(self._intake.run(stop, services, lambda: len(self._work.in_process)))
            working = group.create_task(run_steps(self._workers(stop), stop))
            stops = group.create_task(run_steps(self._stops.steps(*services), stop))
            acknowledging = group.create_task(self._acknowledger.run(finish, self._is_idle))
            upkeep = group.create_task(run_steps(self._upkeep(), end))
            await stop.wait()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._wind_up([intake, working, stops], acknowledging, finish)
            except TimeoutError:
                log.warning("debt.consumer.abandoned", **self._counts())
            for task in (intake, working, stops, acknowledging, upkeep):
                task.cancel()
        await self._presence.leave()
        log.info("debt.consumer.stopped", **self._counts())

    def _workers(self, stop: Stop) -> list[Step]:
        process = partial(self._work.process_next, stop)
        step = Step("process", LOOK_SECONDS, process, (self._database_service,), self._bell)
        return [step] * self._settings.workers

    def _upkeep(self) -> list[Step]:
        """Return the steps that go on while winding up: what is ours stays hidden until it is acknowledged."""
        return [
            Step("heartbeat", self._settings.recovery_visibility_seconds / 3, self._extend_visibility),
            Step("watch queues", WATCH_SECONDS, self._watch_queues),
            self._presence.step(self._state, (self._database_service,)),
        ]

    async def _wind_up(
        self, sources: list[asyncio.Task[None]], acknowledging: asyncio.Task[None], finish: Stop
    ) -> None:
        self._bell.ring()
        await self._release_waiting()
        await asyncio.wait(sources)
        await self._release_waiting()  # what was put back in the meantime
        finish.set()
        self._bell.ring()
        await acknowledging

    async def _release_waiting(self) -> None:
        """Release what is not begun, so that others can have it at once."""
        waiting = self._prefetch.clear()
        try:
            await self._visibility.release([batch.delivery for batch in waiting])
            for batch in waiting:
                await in_thread(partial(end_attempt, self._database, batch))
        except Exception as error:
            # It comes back by its visibility timeout. At most one attempt stays recorded that the batch did not cause.
            log.warning("debt.consumer.not_given_back", error=type(error).__name__, messages=len(waiting))

    def _is_idle(self) -> bool:
        return not self._work.in_process and not self._prefetch

    def _state(self) -> WorkerState:
        holding = len(self._work.in_process) + len(self._prefetch)
        away = waiting_for((self._database_service, self._queue_service))
        return WorkerState(holding, leader=False, waiting_for=away or self._freshness.waiting_for)

    def _counts(self) -> dict[str, int]:
        return {
            "working": len(self._work.in_process),
            "waiting": len(self._prefetch),
            "unreported": len(self._acknowledger),
        }

    async def _extend_visibility(self) -> bool:
        """Keep every message of ours hidden from others for another visibility timeout."""
        self._work.give_up_hung()
        try:
            lost = await self._visibility.extend()
        except Exception as error:
            self._queue_service.note_outage(error)
            return False
        in_process = self._work.in_process
        not_begun = [batch for batch in in_process if batch.begun_at is None and batch.delivery in lost]
        for batch in [*self._prefetch.drop(lost), *not_begun]:
            batch.given_up = True
            log.warning("debt.lease.lost", **batch.ids())
        return False

    async def _watch_queues(self) -> bool:
        """Show what is in the queues. A failure is no outage: whatever needs the queues notices by itself."""
        try:
            found = await queries.report(self._sqs, self._settings)
        except Exception as error:
            log.info("debt.queues.not_counted", error=type(error).__name__)
            return False
        for lane in found.lanes:
            for state in ("waiting", "in_flight", "dead"):
                QUEUE_MESSAGES.labels(lane.lane, state).set(getattr(lane, state))
        return False
