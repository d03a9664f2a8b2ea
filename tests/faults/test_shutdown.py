"""Promise 4: SIGTERM ends every process in order and in time, and nothing is delivered twice because of it."""

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.faults.accounts import Accounts
from tests.faults.test_duplicates import LANES, done_batches, published_without_consumers
from tests.support.faults.crashing import Fault
from tests.support.system.system import System

Build = Callable[..., System]


@pytest.fixture(scope="module")
def patient_system(build: Build) -> Iterator[Accounts]:
    """A system that waits long before it delivers or sends anything again: what comes twice has another cause."""
    patience = {"RECOVERY_VISIBILITY_SECONDS": "60", "RISK_RESEND_AFTER_SECONDS": "120"}
    accounts = Accounts(build("sqlite", 1_500, **patience))
    yield accounts
    accounts.system.close()


@pytest.fixture
def patient(patient_system: Accounts) -> Accounts:
    """The patient system, whole."""
    patient_system.heal()
    return patient_system


def repeated(accounts: Accounts, run_id: str) -> list[str]:
    return [line for line in accounts.system.events("consumer", "debt.batch.repeated") if run_id in line]


@pytest.mark.parametrize("name", ["risk-api", "debt-api", "dispatcher", "consumer"])
def test_an_idle_process_stops_in_time(patient: Accounts, name: str) -> None:
    assert patient.system.stop(name) == 0


def test_a_consumer_finishes_its_batch_and_releases_the_others_at_once(patient: Accounts) -> None:
    system, queues = patient.system, patient.queues
    run_id = published_without_consumers(patient, batch_size=100)
    total = system.run(run_id)["batches_total"]
    slow = system.processes["consumer"].faults
    slow.arm(Fault("decide", do="sleep", seconds=1.0, nth=3))
    system.start("consumer")
    system.wait_for(slow.happened, 15, "a consumer amid its third batch, with others prefetched")

    assert system.stop("consumer") == 0

    done = sum(n for batch, n in done_batches(system).items() if batch.startswith(run_id))
    assert 3 <= done < total
    depths = [queues.depth(lane) for lane in LANES]
    assert sum(waiting for waiting, _ in depths) == total - done
    assert sum(hidden for _, hidden in depths) == 0
    system.start("consumer", "dispatcher")
    assert patient.balanced(run_id).recovered == 0
    assert not repeated(patient, run_id)


def test_a_consumer_asked_while_it_long_polls_loses_no_message_to_the_poll(patient: Accounts) -> None:
    system, queues = patient.system, patient.queues
    for _ in range(3):
        run_id = patient.start_run(batch_size=700)
        assert system.stop("consumer") == 0
        patient.until_published(run_id)
        assert sum(queues.depth(lane)[1] for lane in LANES) == 0, "a message is hidden though no consumer has it"
        system.start("consumer")
        assert patient.balanced(run_id).recovered == 0


@pytest.mark.parametrize(
    ("point", "moment"),
    [("plan.between", "after"), ("send", "before"), ("send", "after"), ("mark", "before")],
)
def test_a_dispatcher_stops_amid_its_work_and_goes_on_when_started_again(
    patient: Accounts, point: str, moment: str
) -> None:
    system = patient.system
    slow = system.processes["dispatcher"].faults
    slow.arm(Fault(point, moment, do="sleep", seconds=1.0))
    run_id = patient.start_run(batch_size=100)
    system.wait_for(slow.happened, 15, f"a dispatcher {moment} {point}")

    assert system.stop("dispatcher") == 0

    system.start("dispatcher")
    assert patient.balanced(run_id).recovered == 0
    assert not repeated(patient, run_id)


def test_an_api_finishes_the_request_that_it_has_begun(patient: Accounts) -> None:
    system = patient.system
    patient.add_paid_portfolio("paid")
    slow = system.processes["risk-api"].faults
    slow.arm(Fault("run.accept", "after", do="sleep", seconds=1.0))
    responses: list[int] = []

    def ask() -> None:
        responses.append(httpx.post(f"{system.risk_url}/risk-service/runs", json={"portfolio": "paid"}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    system.wait_for(slow.happened, 10, "a request begun")
    assert system.stop("risk-api") == 0
    asking.join(10)

    assert responses == [202]


def test_an_api_ends_its_event_streams(patient: Accounts) -> None:
    system = patient.system
    patient.add_paid_portfolio("paid")
    system.stop("dispatcher")
    run_id = patient.start_run(portfolio="paid")
    with system.http.stream("GET", f"{system.risk_url}/risk-service/runs/{run_id}/events") as events:
        lines = events.iter_lines()
        assert next(lines) == "event: run"
        assert system.stop("risk-api") == 0
        assert list(lines)[-1] == ""  # the stream was closed between two events, not cut


def test_everything_asked_at_once_stops_in_time(patient: Accounts) -> None:
    system = patient.system
    run_id = patient.start_run(batch_size=60)
    names = ("risk-api", "debt-api", "dispatcher", "consumer")
    stopping = [threading.Thread(target=system.stop, args=(name,)) for name in names]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join(30)

    assert [system.exit_code(name) for name in names] == [0] * 4
    system.start(*names)
    assert patient.balanced(run_id).recovered == 0
    assert not repeated(patient, run_id)
