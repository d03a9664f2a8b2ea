"""Promise 1: whatever process dies, at whatever point, no debtor is lost and none is decided twice."""

import itertools
import signal
from collections.abc import Callable

import pytest
from tests.faults.accounts import Accounts
from tests.support.faults.crashing import Fault
from tests.support.system.system import OVER

Whole = Callable[[str], Accounts]

API = ["run.accept", "api.write"]
DISPATCHER = [
    "plan",
    "plan.begin",
    "plan.record",
    "plan.finish",
    "send",
    "send.request",
    "mark",
    "mark.commit",
    "results.receive",
    "results.apply",
    "results.commit",
    "results.delete",
]
CONSUMER = ["receive", "decide", "record", "work", "report", "delete"]


def faults(points: list[str]) -> list[Fault]:
    return [Fault(point, moment) for point in points for moment in ("before", "after")]


def name(fault: Fault) -> str:
    return f"{fault.moment}-{fault.point}-{fault.nth}"


# In the middle of a plan, which is more than a hundred batches long; of a shipment; of the processing of a run.
AMID = [Fault("plan.record", nth=2), Fault("send.request", "after", nth=2), Fault("mark", "after", nth=2)]
AMID_WORK = [Fault("record", "after", nth=3), Fault("report", "after", nth=2)]

AT_THE_API = faults(API)
# A dispatcher and a consumer die of each run; every point of either has its turn.
PAIRS = list(zip(faults(DISPATCHER) + AMID, itertools.cycle(faults(CONSUMER) + AMID_WORK), strict=False))
CASES = [("sqlite", *pair) for pair in PAIRS] + [("mariadb", *pair) for pair in PAIRS[1::4]]
NAMES = [f"{kind}-{name(dispatcher)}-{name(consumer)}" for kind, dispatcher, consumer in CASES]


def run_with_deaths(accounts: Accounts, deaths: dict[str, Fault], batch_size: int) -> None:
    """A run during which each process dies at its point and is started again, as an operator would.

    Where one has not come to its point when the run is over, as can happen when what it died of before comes late,
    another run follows.
    """
    system = accounts.system
    victims = {process: system.processes[process].running for process in deaths}
    for process, fault in deaths.items():
        system.processes[process].faults.arm(fault)

    run_ids = [accounts.start_run(batch_size=batch_size)]

    def all_have_died() -> bool:
        for process in deaths:
            if not system.is_running(process):
                system.start(process)
        dead = all(victim is not None and victim.poll() is not None for victim in victims.values())
        if not dead and system.run(run_ids[-1])["state"] in OVER:
            run_ids.append(accounts.start_run(batch_size=batch_size))
        return dead

    system.wait_for(all_have_died, 60, f"deaths at {deaths}")
    assert {victim.poll() for victim in victims.values() if victim} == {-signal.SIGKILL}
    system.revive()
    for run_id in run_ids:
        accounts.balanced(run_id)


@pytest.mark.parametrize("fault", AT_THE_API, ids=name)
def test_an_api_killed_at_any_point_is_asked_again_and_starts_one_run(whole: Whole, fault: Fault) -> None:
    accounts = whole("sqlite")
    before = accounts.runs_there_are()

    run_with_deaths(accounts, {"risk-api": fault}, batch_size=400)

    assert accounts.runs_there_are() == before + 1


@pytest.mark.parametrize(("kind", "dispatcher", "consumer"), CASES, ids=NAMES)
def test_a_dispatcher_and_a_consumer_killed_at_any_point_lose_and_double_no_debtor(
    whole: Whole, kind: str, dispatcher: Fault, consumer: Fault
) -> None:
    batch_size = 12 if dispatcher in AMID else 100

    run_with_deaths(whole(kind), {"dispatcher": dispatcher, "consumer": consumer}, batch_size)
