"""Promise 1: whatever process dies, at whatever point, no debtor is lost and none is worked twice."""

import signal
from collections.abc import Callable

import pytest
from tests.faults.accounts import Accounts
from tests.support.crashing import Fault

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


def points(names: list[str], process: str) -> list[tuple[str, str, str, int]]:
    return [(process, name, moment, 1) for name in names for moment in ("before", "after")]


EVERY = [
    *points(API, "risk-api"),
    *points(DISPATCHER, "dispatcher"),
    ("dispatcher", "plan.record", "before", 2),
    ("dispatcher", "send.request", "after", 2),
    *points(CONSUMER, "consumer"),
    ("consumer", "record", "after", 3),
    ("consumer", "report", "after", 2),
]
CASES = [("sqlite", *point) for point in EVERY] + [("mariadb", *point) for point in EVERY[1::2]]


@pytest.mark.parametrize(("kind", "process", "point", "moment", "nth"), CASES)
def test_a_process_killed_at_any_point_loses_and_doubles_nobody(
    whole: Whole, kind: str, process: str, point: str, moment: str, nth: int
) -> None:
    accounts = whole(kind)
    system, faults = accounts.system, accounts.system.processes[process].faults
    victim = system.processes[process].running
    faults.arm(Fault(point, moment, nth=nth))

    # More than a hundred batches are planned in two transactions.
    run_id = accounts.start_run(batch_size=12 if nth == 2 and point == "plan.record" else 60)
    system.wait_for(lambda: victim.poll() is not None, 15, f"death {moment} {point}")
    assert victim.poll() == -signal.SIGKILL
    system.revive()

    accounts.balanced(run_id)
