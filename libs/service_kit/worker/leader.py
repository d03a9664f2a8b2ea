"""A loop of which one process works at a time: it runs its steps while it has the leader lease."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from service_kit.lifecycle import Stop
from service_kit.worker.dependencies import Dependency, explain_outage
from service_kit.worker.leader_lease import LeaderLease, LeaseLostError
from service_kit.worker.steps import Step, run_steps
from service_kit.worker.waiting import in_thread

RENEW_SECONDS = 3.0
STANDBY_SECONDS = 1.0


class LeaderEvents(Protocol):
    """What a service logs and shows about its leader lease."""

    def taken(self) -> None:
        """Record that this process leads from now on."""

    def lost(self) -> None:
        """Record that another process leads."""

    def term_ended(self) -> None:
        """Record that this process no longer leads, for whatever reason."""

    def kept(self, reason: str) -> None:
        """Record that the lease could not be given back; it ends by itself."""


def concerns_all_work(error: Exception) -> bool:
    """Return whether an error is an outage or a lost lease: any work would meet it, so none has failed by it."""
    return explain_outage(error) is not None or isinstance(error, LeaseLostError)


class Leader:
    """One process's attempt to lead, until it is asked to stop."""

    def __init__(
        self, lease: LeaderLease, database: Dependency, events: LeaderEvents, clock: Callable[[], datetime]
    ) -> None:
        self._lease, self._database, self._events, self._clock = lease, database, events, clock
        self._term, self._leads = Stop(), False

    def interrupted(self) -> bool:
        """Return whether work under way should end: the process stops, or another one leads."""
        return self._term.is_set()

    @property
    def leads(self) -> bool:
        """Whether this process leads now."""
        return self._leads

    async def run(self, steps: Sequence[Step], stop: Stop, always: Sequence[Step] = ()) -> None:
        """Stand by until the lease is free, run the steps while it is ours, and stand by again when it was lost.

        The steps `always` run whether it leads or not.
        """
        acquire = Step("acquire", STANDBY_SECONDS, partial(self._lead, steps, stop), (self._database,))
        await run_steps([acquire, *always], stop)
        await self._release()

    async def _lead(self, steps: Sequence[Step], stop: Stop) -> bool:
        if not await self._acquire():
            return False
        self._term, self._leads = Stop(), True
        term = self._term
        self._events.taken()
        renew = Step("renew", RENEW_SECONDS, self._renew, (self._database,))
        ending = asyncio.create_task(_pass_on(stop, term))
        try:
            await run_steps([renew, *map(self._guarded, steps)], term)
        finally:
            ending.cancel()
            self._leads = False
            self._events.term_ended()
        return True

    def _guarded(self, step: Step) -> Step:
        """Return the step, ending the term when it finds the lease lost."""

        async def work() -> bool:
            try:
                return await step.work()
            except LeaseLostError:
                self._lose()
                return False

        return Step(step.name, step.interval, work, step.needs, step.bell)

    async def _acquire(self) -> bool:
        return await in_thread(lambda: self._lease.acquire(self._clock()))

    async def _renew(self) -> bool:
        if not await self._acquire():
            self._lose()
        return False

    def _lose(self) -> None:
        if not self._term.is_set():
            self._events.lost()
        self._term.set()

    async def _release(self) -> None:
        try:
            await in_thread(lambda: self._lease.release(self._clock()))
        except Exception as error:
            # Only a courtesy: a lease that is not released ends by itself.
            self._events.kept(explain_outage(error) or type(error).__name__)


async def _pass_on(stop: Stop, term: Stop) -> None:
    await stop.wait()
    term.set()
