"""Storms: runs go on while chance kills, freezes, cuts and loses everything there is; then the accounts are made up."""

import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
from tests.faults.accounts import Accounts
from tests.support.ledger import Ledger
from tests.support.proxy import Proxy
from tests.support.servers import find_mariadb
from tests.support.system import BASE, System, Templates, fill, migrate, pause
from tests.support.system_mariadb import MortalMariaDb, mortal_mariadb

DEBTORS = 2_000
RUNS_AT_ONCE = 3
HEAL_SECONDS = 120
LOOPS = ("dispatcher", "dispatcher-2", "consumer", "consumer-2", "consumer-3")
SERVICES = ("risk-api", "debt-api", *LOOPS)
ACTIONS = ("sendmessagebatch", "receivemessage", "deletemessagebatch", "changemessagevisibilitybatch")
Say = Callable[[str], None]


class Storm:
    """One storm over one system."""

    def __init__(self, accounts: Accounts, sqs: Proxy, server: MortalMariaDb | None, proxy: Proxy | None, seed: int):
        self._accounts, self._system = accounts, accounts.system
        self._sqs, self._server, self._database = sqs, server, proxy
        self._rng = random.Random(seed)
        self._runs: list[str] = []
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._down: set[str] = set()  # dead by our hand, to be started later
        self._frozen: set[str] = set()
        self.faults: Counter[str] = Counter()
        self.wrongs: list[str] = []

    def rage(self, seconds: float) -> None:
        """Let chance have its way for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._keep_runs_going()
            fault = self._rng.choice(self._possible())
            self.faults[fault.__name__.strip("_")] += 1
            fault()
            until = time.monotonic() + self._rng.uniform(0.1, 1.2)
            while time.monotonic() < until:
                self._keep_alive()
                pause(0.05)

    def heal(self) -> Ledger:
        """Fair weather, everything running, and what an operator does about dead letters; then the accounts."""
        for _, undo in self._due:
            undo()
        self._due.clear()
        self._sqs.come_back()
        if self._database is not None:
            self._database.come_back()
        self._down.clear()
        self._system.revive()
        self._system.until_ready()
        for run_id in self._runs:
            try:
                self._accounts.healed(run_id, HEAL_SECONDS)
            except AssertionError as error:
                self.wrongs.append(f"run {run_id} did not heal: {error}")
        return self._accounts.total()

    @property
    def runs(self) -> int:
        """How many runs were accepted."""
        return len(self._runs)

    # Work

    def _keep_runs_going(self) -> None:
        with contextlib.suppress(httpx.TransportError, AssertionError):
            open_runs = [run_id for run_id in self._runs if self._system.run(run_id)["state"] != "completed"]
            if len(open_runs) < RUNS_AT_ONCE:
                self._runs.append(self._accounts.start_run(batch_size=self._rng.choice((10, 25, 60, 150))))

    def _keep_alive(self) -> None:
        """Undo what is due; start what has died, as an operator would; a death of its own is wrong."""
        now = time.monotonic()
        for at, undo in [due for due in self._due if due[0] <= now]:
            self._due.remove((at, undo))
            undo()
        for name, process in self._system.processes.items():
            if process.running is not None and name not in self._down and not self._system.is_running(name):
                self.wrongs.append(f"{name} ended by itself with {self._system.exit_code(name)}")
                self._system.start(name, wait=False)

    def _later(self, undo: Callable[[], None], longest: float) -> None:
        self._due.append((time.monotonic() + self._rng.uniform(0.2, longest), undo))

    def _down_for_a_while(self, *names: str) -> None:
        self._down.update(names)

        def up_again() -> None:
            self._down.difference_update(names)
            self._system.start(*(name for name in names if not self._system.is_running(name)), wait=False)

        self._later(up_again, 2.0)

    # What can happen

    def _possible(self) -> list[Callable[[], None]]:
        often = [self._kill_one] * 6 + [self._freeze_one] * 2 + [self._stop_one] * 2
        on_the_way = [self._cut_queues, self._lose_responses, self._slow_queues, self._queues_away, self._queues_refuse]
        seldom = [self._kill_all_services, self._kill_queues]
        if self._database is None:
            return often + on_the_way + seldom
        return often + on_the_way + seldom + [self._cut_database, self._database_away, self._kill_database]

    def _standing(self, names: tuple[str, ...]) -> list[str]:
        hit = self._down | self._frozen
        return [name for name in names if name not in hit and self._system.is_running(name)]

    def _one_of(self, names: tuple[str, ...]) -> list[str]:
        standing = self._standing(names)
        return [self._rng.choice(standing)] if standing else []

    def _kill_one(self) -> None:
        for name in self._one_of(SERVICES):
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
        for name in self._one_of(SERVICES):
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
        for name in self._one_of(LOOPS):
            self._system.signal(name, signal.SIGSTOP)
            self._frozen.add(name)
            self._later(partial(self._thaw, name), 4.0)

    def _thaw(self, name: str) -> None:
        self._frozen.discard(name)
        self._system.signal(name, signal.SIGCONT)

    def _cut_queues(self) -> None:
        self._sqs.cut()

    def _lose_responses(self) -> None:
        self._sqs.weather.drop.update({self._rng.choice(ACTIONS): self._rng.randint(1, 3)})

    def _slow_queues(self) -> None:
        self._sqs.weather.delay = self._rng.uniform(0.01, 0.3)
        self._later(self._sqs.come_back, 2.0)

    def _queues_away(self) -> None:
        self._sqs.go_away()
        self._later(self._sqs.come_back, 3.0)

    def _queues_refuse(self) -> None:
        self._sqs.weather.refuse = self._rng.choice([(500, "InternalError"), (400, "RequestThrottled")])
        self._later(self._sqs.come_back, 2.0)

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


@contextlib.contextmanager
def stormy_system(kind: str, folder: Path, seed: int) -> Iterator[Storm]:
    """A running system of two dispatchers and three consumers in which a storm can rage."""
    with contextlib.ExitStack() as cleanup:
        server = None
        if kind == "sqlite":
            urls = Templates(folder / "templates").copy_to(folder, DEBTORS)
        else:
            server = cleanup.enter_context(mortal_mariadb(find_mariadb() or ""))
            server.server.execute("CREATE DATABASE risk_storm", "CREATE DATABASE debt_storm")
            urls = server.server.url("risk_storm"), server.server.url("debt_storm")
            migrate(*urls)
            fill(urls[0], DEBTORS)
        system = System(folder, *urls)
        cleanup.callback(system.close)
        sqs = cleanup.enter_context(Proxy(system.sqs_port))
        settings = {"AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{sqs.port}"}
        proxy = cleanup.enter_context(Proxy(server.server.port)) if server is not None else None
        if proxy is not None:
            settings["RISK_DATABASE_URL"] = urls[0].replace(f":{server.server.port}/", f":{proxy.port}/")
            settings["DEBT_DATABASE_URL"] = urls[1].replace(f":{server.server.port}/", f":{proxy.port}/")
        system.settings = settings
        for name in set(LOOPS) - set(BASE):
            system.another(name, like=name.partition("-")[0])
        system.start()
        system.until_ready()
        yield Storm(Accounts(system), sqs, server, proxy, seed)
