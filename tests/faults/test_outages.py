"""Promise 5: with the database or SQS away no process fails; everything goes on by itself when they are back."""

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.engine import make_url
from tests.faults.accounts import Accounts
from tests.faults.test_duplicates import done_batches
from tests.support.faults.crashing import Fault
from tests.support.faults.proxy import Proxy
from tests.support.processes import eventually
from tests.support.system.system import System, pause

from risk_assessment.tables import leases
from service_kit.database.engine import Database

Whole = Callable[[str], Accounts]
Build = Callable[..., System]

RECOVERED_WITHIN_SECONDS = 20  # loops probe a dependency with pauses that grow with its absence
LOOPS = ("dispatcher", "consumer")


@dataclass(frozen=True)
class Proxied:
    """A system that reaches its queues, and on MariaDB its databases, through proxies only."""

    accounts: Accounts
    sqs: Proxy
    database: Proxy | None = None


@pytest.fixture(scope="module")
def proxied_systems(build: Build) -> Iterator[Callable[[str], Proxied]]:
    made: dict[str, Proxied] = {}
    with contextlib.ExitStack() as cleanup:

        def of(kind: str) -> Proxied:
            if kind not in made:
                made[kind] = _proxied(build(kind, 1_500), kind, cleanup)
            made[kind].accounts.heal()
            return made[kind]

        yield of
        for proxied in made.values():
            proxied.accounts.system.close()


def _proxied(system: System, kind: str, cleanup: contextlib.ExitStack) -> Proxied:
    sqs = cleanup.enter_context(Proxy(system.sqs_port))
    settings = {"AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{sqs.port}", "RISK_RESEND_AFTER_SECONDS": "60"}
    database = None
    if kind == "mariadb":
        database = cleanup.enter_context(Proxy(make_url(system.risk_database_url).port or 0))
        for name, url in (("RISK", system.risk_database_url), ("DEBT", system.debt_database_url)):
            settings[f"{name}_DATABASE_URL"] = str(make_url(url).set(port=database.port))
    system.settings = settings
    return Proxied(Accounts(system), sqs, database)


def responds(system: System, address: str) -> tuple[int, str]:
    response = system.http.get(address)
    assert response.status_code < 500 or response.headers.get("retry-after"), response.text
    return response.status_code, response.text


def amid_a_run(proxied: Proxied) -> str:
    """A run of which some batches are done and others are not."""
    accounts = proxied.accounts
    for name in LOOPS:
        # A little slower, so that the run is not over before anything can happen to it.
        accounts.system.processes[name].faults.arm(Fault("decide", do="sleep", seconds=0.1, times=10**9))
    run_id = accounts.start_run(batch_size=50)
    accounts.system.wait_for(lambda: accounts.system.run(run_id)["batches_done"] >= 3, 20, "the first batches done")
    return run_id


def finished_soon_after(proxied: Proxied, run_id: str) -> None:
    """The run balances, within seconds, without a dead letter and without a loop having ended."""
    accounts = proxied.accounts
    for name in LOOPS:
        accounts.system.processes[name].faults.disarm()
    accounts.balanced(run_id, RECOVERED_WITHIN_SECONDS + 20)
    for name in LOOPS:
        assert accounts.system.is_running(name), accounts.system.ends_of_logs()
    for lane in ("high-dlq", "standard-dlq"):
        assert accounts.queues.depth(lane) == (0, 0)


def test_queues_away_for_a_while(proxied_systems: Callable[[str], Proxied]) -> None:
    proxied = proxied_systems("sqlite")
    system = proxied.accounts.system
    run_id = amid_a_run(proxied)

    proxied.sqs.go_away()
    assert system.http.get(f"{system.risk_url}/healthz").status_code == 200
    for base in (system.risk_url, system.debt_url):
        eventually(lambda base=base: "queue" in responds(system, f"{base}/readyz")[1])
    status, text = responds(system, f"{system.debt_url}/debt-service/queues")
    assert status == 503
    assert "queue" in text
    # What needs no queue is served, and a run is accepted.
    assert responds(system, f"{system.risk_url}/risk-service/runs/{run_id}")[0] == 200
    second = proxied.accounts.start_run(batch_size=300)
    pause(3)
    proxied.sqs.come_back()

    finished_soon_after(proxied, run_id)
    proxied.accounts.balanced(second)


@pytest.mark.parametrize("refusal", [(500, "InternalError"), (400, "RequestThrottled")])
def test_queues_that_refuse_everything_for_a_while(
    proxied_systems: Callable[[str], Proxied], refusal: tuple[int, str]
) -> None:
    proxied = proxied_systems("sqlite")
    run_id = amid_a_run(proxied)

    proxied.sqs.weather.refuse = refusal
    pause(2)
    proxied.sqs.come_back()

    finished_soon_after(proxied, run_id)


def test_queues_that_are_slow_and_cut_every_connection_now_and_then(
    proxied_systems: Callable[[str], Proxied],
) -> None:
    proxied = proxied_systems("sqlite")
    proxied.sqs.weather.delay = 0.05
    run_id = amid_a_run(proxied)
    for _ in range(5):
        proxied.sqs.cut()
        pause(0.3)
    proxied.sqs.come_back()

    finished_soon_after(proxied, run_id)


def test_a_database_away_for_a_while_uses_up_no_receives(proxied_systems: Callable[[str], Proxied]) -> None:
    proxied = proxied_systems("mariadb")
    system, database = proxied.accounts.system, proxied.database
    assert database is not None
    run_id = amid_a_run(proxied)

    database.go_away()
    received = proxied.sqs.seen["receivemessage"]
    for base, service in ((system.risk_url, "risk-service"), (system.debt_url, "debt-service")):
        assert system.http.get(f"{base}/healthz").status_code == 200
        eventually(lambda base=base: "database" in responds(system, f"{base}/readyz")[1])
        assert responds(system, f"{base}/{service}/runs/{run_id}")[0] == 503
    pause(5)  # several visibility timeouts, and more receives than a message may have
    polls = proxied.sqs.seen["receivemessage"] - received
    database.come_back()

    finished_soon_after(proxied, run_id)
    # Only the dispatcher's polls for results may have gone on.
    assert polls < 8


def test_a_database_whose_connections_are_cut_now_and_then(proxied_systems: Callable[[str], Proxied]) -> None:
    proxied = proxied_systems("mariadb")
    assert proxied.database is not None
    run_id = amid_a_run(proxied)
    for _ in range(6):
        proxied.database.cut()
        pause(0.3)

    finished_soon_after(proxied, run_id)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_two_dispatchers_and_five_consumers_do_no_harm(whole: Whole, kind: str) -> None:
    accounts = whole(kind)
    system = accounts.system
    extra = ["consumer-2", "consumer-3", "consumer-4", "consumer-5"]
    for name in extra:
        system.another(name, like="consumer")
    system.another("dispatcher-2", like="dispatcher")
    system.start(*extra, "dispatcher-2")

    system.processes["dispatcher"].faults.arm(Fault("plan.finish"))  # it dies of it, and the other one takes over
    first, second = accounts.start_run(batch_size=50), accounts.start_run(batch_size=100)
    accounts.balanced(first)
    accounts.balanced(second)

    assert system.events("dispatcher-2", "risk.lease.taken")
    ours = {batch: times for batch, times in done_batches(system).items() if batch.startswith((first, second))}
    assert set(ours.values()) == {1}


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_dispatcher_frozen_past_its_lease_writes_no_more(whole: Whole, kind: str) -> None:
    accounts = whole(kind)
    system = accounts.system
    frozen = system.processes["dispatcher"].faults
    frozen.arm(Fault("plan.between", do="freeze", nth=2))  # some batches are recorded, others are not
    run_id = accounts.start_run(batch_size=60)
    system.wait_for(frozen.happened, 20, "a dispatcher frozen amid its plan")

    end_lease(accounts.risk_database)
    system.another("dispatcher-2", like="dispatcher")
    system.start("dispatcher-2")
    accounts.balanced(run_id)
    system.signal("dispatcher", signal.SIGCONT)

    system.wait_for(lambda: system.events("dispatcher", "risk.lease.lost"), 20, "the thawed dispatcher standing back")
    accounts.balanced(run_id)


def end_lease(database: Database) -> None:
    """As if the fifteen seconds of the holder's lease had passed."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    database.transact(lambda connection: connection.execute(update(leases).values(expires_at=past)))


def test_a_full_disk_is_reported_and_overcome(build: Build) -> None:
    accounts = Accounts(build("sqlite", 1_500))
    accounts.heal()
    system = accounts.system
    with full_disk(system, "risk-api"):

        def refusal() -> Any:
            response = system.http.post(f"{system.risk_url}/risk-service/runs", json={"limit": 1})
            return response if response.status_code != 202 else None

        response = system.wait_for(refusal, 20, "the API saying that the disk is full")
        assert response.status_code == 503
        assert response.headers["retry-after"]
        assert "disk" in response.json()["detail"]
    for name, event in (("consumer", "debt.outage.began"), ("dispatcher", "risk.outage.began")):
        with full_disk(system, name):
            run_id = accounts.start_run(batch_size=40)
            until_said(system, name, event, "disk")
        accounts.balanced(run_id)
        assert system.is_running(name)
    system.close()


def until_said(system: System, name: str, event: str, word: str) -> None:
    def said() -> list[str]:
        return [line for line in system.events(name, event) if word in line]

    system.wait_for(said, 20, f"{name} logging {event} with {word}")


@contextlib.contextmanager
def full_disk(system: System, name: str) -> Iterator[None]:
    """This process cannot write past the first few pages of any file, but still can log."""
    running = system.processes[name].running
    assert running is not None
    limit = len(system.log(name)) + 20_000
    before = resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, before)


def test_a_read_only_database_is_reported(build: Build) -> None:
    system = build("sqlite", 10)
    path = make_url(system.risk_database_url).database
    system.settings = {"RISK_DATABASE_URL": f"sqlite:///file:{path}?mode=ro&uri=true"}
    system.start("sqs", "risk-api")
    response = system.http.post(f"{system.risk_url}/risk-service/runs", json={})

    assert response.status_code == 503
    assert "read-only" in response.json()["detail"]
    assert response.headers["retry-after"]
    assert system.http.get(f"{system.risk_url}/risk-service/debtors").status_code == 200
    system.close()
