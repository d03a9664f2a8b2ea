"""Storms: runs go on while chance kills, freezes, cuts and loses everything there is; then the accounts are made up."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
from tests.faults.accounts import Accounts
from tests.faults.storms.mishaps import LOOPS, Mishaps
from tests.faults.storms.people import People
from tests.support.faults.proxy import Proxy
from tests.support.servers import find_mariadb
from tests.support.system.databases import Templates, fill, migrate
from tests.support.system.ledger import Ledger
from tests.support.system.mortal_mariadb import mortal_mariadb
from tests.support.system.restraints import violations
from tests.support.system.system import BASE, System, pause

DEBTORS = 2_000
RUNS_AT_ONCE = 3
HEAL_SECONDS = 120
MAX_LAG_SECONDS = 5
"""How old the consumers' knowledge of stops may be: short, so that a storm is long beside it."""


class Storm:
    """One storm over one system."""

    def __init__(self, accounts: Accounts, mishaps: Mishaps, people: People, rng: random.Random) -> None:
        self._accounts, self._system = accounts, accounts.system
        self._mishaps, self._people, self._rng = mishaps, people, rng
        self._runs = mishaps.runs
        self.faults: Counter[str] = Counter()
        self.acts: Counter[str] = Counter()

    def rage(self, seconds: float) -> None:
        """Let chance have its way for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._keep_runs_going()
            fault = self._rng.choice(self._mishaps.possible())
            self.faults[fault.__name__.strip("_")] += 1
            fault()
            self._act()
            until = time.monotonic() + self._rng.uniform(0.1, 1.2)
            while time.monotonic() < until:
                self._keep_alive()
                self._act()
                pause(0.05)

    def heal(self) -> Ledger:
        """Fair weather, everything running, and what an operator does about dead letters; then the accounts."""
        self._mishaps.end_all()
        self._system.revive()
        self._system.until_ready()
        for run_id in self._runs:
            try:
                self._accounts.healed(run_id, HEAL_SECONDS)
            except AssertionError as error:
                self.wrongs.append(f"run {run_id} did not heal: {error}")
        lag = timedelta(seconds=MAX_LAG_SECONDS)
        self.wrongs.extend(violations(self._accounts.debt_database, self._people.restraints, lag))
        return self._accounts.total()

    @property
    def runs(self) -> int:
        """How many runs were accepted."""
        return len(self._runs)

    @property
    def wrongs(self) -> list[str]:
        """What no storm excuses."""
        return self._mishaps.wrongs

    def _keep_runs_going(self) -> None:
        with contextlib.suppress(httpx.TransportError, AssertionError):
            open_runs = [run_id for run_id in self._runs if self._system.run(run_id)["state"] != "completed"]
            if len(open_runs) < RUNS_AT_ONCE:
                self._runs.append(self._accounts.start_run(batch_size=self._rng.choice((10, 25, 60, 150))))

    def _act(self) -> None:
        """Let people change something, now and then."""
        if self._rng.random() < 0.5:
            act = self._rng.choice(self._people.acts())
            self.acts[act.__name__.strip("_")] += 1
            act()

    def _keep_alive(self) -> None:
        """Undo what is due; start what has died, as an operator would; a death of its own is wrong."""
        self._mishaps.end_what_is_due()
        for name, process in self._system.processes.items():
            if process.running is None or self._mishaps.has_killed(name) or self._system.is_running(name):
                continue
            self.wrongs.append(f"{name} ended by itself with {self._system.exit_code(name)}")
            self._system.start(name, wait=False)


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
        settings = {
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{sqs.port}",
            "RECOVERY_MESSAGE_KEYS": "storm:the secret of the storm",
            "DEBT_STOPS_MAX_LAG_SECONDS": str(MAX_LAG_SECONDS),
        }
        proxy = cleanup.enter_context(Proxy(server.server.port)) if server is not None else None
        if proxy is not None:
            settings["RISK_DATABASE_URL"] = urls[0].replace(f":{server.server.port}/", f":{proxy.port}/")
            settings["DEBT_DATABASE_URL"] = urls[1].replace(f":{server.server.port}/", f":{proxy.port}/")
        system.settings = settings
        for name in set(LOOPS) - set(BASE):
            system.another(name, like=name.partition("-")[0])
        system.start()
        system.until_ready()
        rng = random.Random(seed)
        accounts = Accounts(system)
        people = People(system, accounts.risk_database, rng)
        yield Storm(accounts, Mishaps(system, sqs, server, proxy, rng), people, rng)
