"""The dispatcher's steps for simulations: one at a time, each in a process of its own; see `child`. Old ones go.

A simulation that was cut off, because the dispatcher ended or another one leads, begins again.
"""

import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import IO, Any

import orjson
import structlog
from sqlalchemy import Row

from risk_assessment.settings import Settings
from risk_assessment.simulations import queries, service
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.worker.dependencies import Dependency
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

log = structlog.get_logger()

LOOK_SECONDS = 0.5
FORGET_SECONDS = 60.0
FORGOTTEN_AT_ONCE = 100
LISTEN_SECONDS = 0.2
PROGRESS_SECONDS = 1.0
CHILD = (sys.executable, "-m", "risk_assessment.simulations.child")
ENDED = "simulating failed; see the log"


def steps_of(
    settings: Settings,
    database: Database,
    lease: LeaderLease,
    interrupted: Callable[[], bool],
    needs: Sequence[Dependency],
) -> list[Step]:
    """Return the steps of this noun."""
    simulator, forgetter = Simulator(settings, database, lease, interrupted), Forgetter(settings, database, lease)
    return [
        Step("simulate", LOOK_SECONDS, simulator.simulate_next, needs),
        Step("forget simulations", FORGET_SECONDS, forgetter.forget, needs),
    ]


class Simulator:
    """Carries out accepted simulations, the oldest first."""

    def __init__(
        self, settings: Settings, database: Database, lease: LeaderLease, interrupted: Callable[[], bool]
    ) -> None:
        self._settings, self._database, self._lease = settings, database, lease
        self._interrupted = interrupted

    async def simulate_next(self) -> bool:
        """Carry out a simulation; return whether to look again at once."""
        return await in_thread(self._simulate_one)

    def _simulate_one(self) -> bool:
        with self._database.read(snapshot=False) as connection:
            simulation = queries.next_open(connection)
        if simulation is None:
            return False
        self._lease.write(lambda c: service.begin(c, simulation.number, utc_now()))
        with _child(self._orders(simulation)) as said:
            for message in said:
                if self._interrupted() or "unavailable" in message:
                    return False  # it stays open, and begins again
                if self._take(simulation, message):
                    return True
        self._lease.write(lambda c: service.fail(c, simulation.number, ENDED, utc_now()))
        return True

    def _orders(self, simulation: Row[Any]) -> dict[str, Any]:
        folder = self._settings.risk_policy_dir
        return {
            "simulation_id": simulation.id,
            "database": self._database.url._asdict(),
            "policy": self._settings.risk_policy,
            "folder": None if folder is None else str(folder),
            "log_level": self._settings.recovery_log_level,
        }

    def _take(self, simulation: Row[Any], message: dict[str, Any]) -> bool:
        """Record what a simulation says; return whether it has ended."""
        number = simulation.number
        if "report" in message:
            self._lease.write(lambda c: service.complete(c, number, message["report"], utc_now()))
            log.info("risk.simulation.completed", simulation_id=simulation.id)
            return True
        if "failed" in message:
            self._lease.write(lambda c: service.fail(c, number, ENDED, utc_now()))
            return True
        if "judged" in message:
            self._lease.write(partial(_progress, number=number, judged=message["judged"]))
        return False


class Forgetter:
    """Deletes simulations that ended long ago: they are no evidence, and their reports would pile up."""

    def __init__(self, settings: Settings, database: Database, lease: LeaderLease) -> None:
        self._kept = timedelta(days=settings.risk_simulations_kept_days)
        self._database, self._lease = database, lease

    async def forget(self) -> bool:
        """Delete some of them; return whether there may be more."""
        return bool(self._kept) and await in_thread(self._forget)

    def _forget(self) -> bool:
        with self._database.read(snapshot=False) as connection:
            numbers = queries.over_before(connection, utc_now() - self._kept, FORGOTTEN_AT_ONCE)
        if not numbers:
            return False
        self._lease.write(lambda c: service.forget(c, numbers))
        log.info("risk.simulations.forgotten", simulations=len(numbers))
        return True


def _progress(connection: Any, number: int, judged: Sequence[int]) -> None:
    service.progress(connection, number, *judged)


@contextmanager
def _child(orders: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """Start the process, and yield what it says; it is killed when the block ends before it does."""
    # In a session of its own: Ctrl-C in a terminal is for the dispatcher, which ends it.
    with subprocess.Popen(  # noqa: S603 - our own
        CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
    ) as process:
        try:
            assert process.stdin is not None  # noqa: S101 - as asked for
            assert process.stdout is not None  # noqa: S101
            with suppress(BrokenPipeError):  # it has died, which the reader finds
                process.stdin.write(orjson.dumps(orders) + b"\n")
                process.stdin.close()
            yield _messages(process.stdout)
        finally:
            process.kill()


def _messages(out: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield messages, and an empty one whenever there is nothing to read for a while, until the process has ended."""
    shown = 0.0
    while True:
        if not select.select([out], [], [], LISTEN_SECONDS)[0]:
            yield {}
            continue
        if not (line := out.readline()):
            return
        message = orjson.loads(line)
        # Progress is written once a second at most.
        if "judged" in message and time.monotonic() < shown + PROGRESS_SECONDS:
            yield {}
            continue
        shown = time.monotonic()
        yield message
