"""What can happen to a system in a storm, and how it ends again."""

import contextlib
import random
import signal
import time
from collections.abc import Callable
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from tests.support.faults.forging import forged_batch, forged_reports
from tests.support.faults.proxy import Proxy
from tests.support.system.mortal_mariadb import MortalMariaDb
from tests.support.system.queues import Queues
from tests.support.system.system import System

LOOPS = ("dispatcher", "dispatcher-2", "consumer", "consumer-2", "consumer-3")
SERVICES = ("risk-api", "debt-api", *LOOPS)
ACTIONS = ("sendmessagebatch", "receivemessage", "deletemessagebatch", "changemessagevisibilitybatch")


class Mishaps:
    """Kills, freezes, cuts and losses in one system; most of them end by themselves after a while."""

    def __init__(
        self, system: System, sqs: Proxy, server: MortalMariaDb | None, database: Proxy | None, rng: random.Random
    ) -> None:
        self._system, self._sqs, self._server, self._database = system, sqs, server, database
        self._rng = rng
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._down: set[str] = set()  # dead by our hand, to be started later
        self._frozen: set[str] = set()
        self.wrongs: list[str] = []
        self.runs: list[str] = []

    def end_what_is_due(self) -> None:
        """Undo what has lasted long enough."""
        now = time.monotonic()
        for at, undo in [due for due in self._due if due[0] <= now]:
            self._due.remove((at, undo))
            undo()

    def end_all(self) -> None:
        """Undo everything; what was killed may be started again."""
        for _, undo in self._due:
            undo()
        self._due.clear()
        self._sqs.come_back()
        if self._database is not None:
            self._database.come_back()
        self._down.clear()

    def has_killed(self, name: str) -> bool:
        """Whether a process is dead by our hand."""
        return name in self._down

    def possible(self) -> list[Callable[[], None]]:
        """What chance chooses from, the frequent repeated."""
        often = [self._kill_one] * 6 + [self._freeze_one] * 2 + [self._stop_one] * 2
        on_the_way = [
            self._cut_queues,
            self._lose_responses,
            self._slow_queues,
            self._queues_away,
            self._queues_refuse,
            self._forge,
        ]
        seldom = [self._kill_all_services, self._kill_queues]
        if self._database is None:
            return often + on_the_way + seldom
        return often + on_the_way + seldom + [self._cut_database, self._database_away, self._kill_database]

    def _standing(self, names: tuple[str, ...]) -> list[str]:
        hit = self._down | self._frozen
        return [name for name in names if name not in hit and self._system.is_running(name)]

    def _one_of(self, names: list[str]) -> list[str]:
        return [self._rng.choice(names)] if names else []

    def _later(self, undo: Callable[[], None], longest: float) -> None:
        self._due.append((time.monotonic() + self._rng.uniform(0.2, longest), undo))

    def _down_for_a_while(self, *names: str) -> None:
        self._down.update(names)

        def up_again() -> None:
            self._down.difference_update(names)
            self._system.start(*(name for name in names if not self._system.is_running(name)), wait=False)

        self._later(up_again, 2.0)

    # Processes

    def _kill_one(self) -> None:
        for name in self._one_of(self._standing(SERVICES)):
            self._down.add(name)
            self._system.kill(name)
            self._down_for_a_while(name)

    def _kill_all_services(self) -> None:
        names = self._standing(SERVICES)
        self._down.update(names)
        self._system.kill(*names)
        self._down_for_a_while(*names)

    def _kill_queues(self) -> None:
        if "sqs" not in self._down:
            self._down.add("sqs")
            self._system.kill("sqs")
            self._down_for_a_while("sqs")

    def _stop_one(self) -> None:
        # One that has not come up yet has nothing to finish: the signal ends it as it ends any program.
        for name in self._one_of([name for name in self._standing(SERVICES) if self._system.is_up(name)]):
            self._down.add(name)
            try:
                code = self._system.stop(name)
            except AssertionError:
                self.wrongs.append(f"{name} did not stop in time")
                self._system.kill(name)
            else:
                if code != 0:
                    self.wrongs.append(f"{name} stopped with {code}")
            self._down_for_a_while(name)

    def _freeze_one(self) -> None:
        for name in self._one_of(self._standing(LOOPS)):
            self._system.signal(name, signal.SIGSTOP)
            self._frozen.add(name)
            self._later(partial(self._thaw, name), 4.0)

    def _thaw(self, name: str) -> None:
        self._frozen.discard(name)
        self._system.signal(name, signal.SIGCONT)

    # The queues

    def _cut_queues(self) -> None:
        self._sqs.cut()

    def _lose_responses(self) -> None:
        self._sqs.weather.drop.update({self._rng.choice(ACTIONS): self._rng.randint(1, 3)})

    def _forge(self) -> None:
        """A stranger reports batches done, and sends one that would put debtors into the wrong run's history."""
        run_id, sequence = self._rng.choice([*self.runs, "a-run-that-never-was"]), self._rng.randint(1, 5)
        with contextlib.suppress(BotoCoreError, ClientError):
            queues = Queues(self._system)
            queues.send("results", forged_reports(run_id, {sequence: 10}))
            queues.send("high", forged_batch(run_id, sequence, [1, 2, 3]))

    def _slow_queues(self) -> None:
        self._sqs.weather.delay = self._rng.uniform(0.01, 0.3)
        self._later(self._sqs.come_back, 2.0)

    def _queues_away(self) -> None:
        self._sqs.go_away()
        self._later(self._sqs.come_back, 3.0)

    def _queues_refuse(self) -> None:
        self._sqs.weather.refuse = self._rng.choice([(500, "InternalError"), (400, "RequestThrottled")])
        self._later(self._sqs.come_back, 2.0)

    # The database

    def _cut_database(self) -> None:
        assert self._database is not None
        self._database.cut()

    def _database_away(self) -> None:
        assert self._database is not None
        self._database.go_away()
        self._later(self._database.come_back, 3.0)

    def _kill_database(self) -> None:
        assert self._server is not None
        self._server.kill()
        self._server.start()
