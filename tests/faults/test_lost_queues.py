"""Promises 1 and 9: everything dies at once, or the queues lose their messages, and the runs are carried out."""

import random
from collections.abc import Callable

import pytest
from tests.faults.accounts import Accounts
from tests.faults.test_duplicates import LANES, published_without_consumers

Whole = Callable[[str], Accounts]

SERVICES = ("risk-api", "debt-api", "dispatcher", "consumer")


@pytest.mark.parametrize(
    ("kind", "victims"),
    [("sqlite", SERVICES), ("sqlite", (*SERVICES, "sqs")), ("mariadb", (*SERVICES, "sqs"))],
    ids=["sqlite-services", "sqlite-services-and-sqs", "mariadb-services-and-sqs"],
)
def test_everything_killed_at_once_amid_a_run(whole: Whole, kind: str, victims: tuple[str, ...]) -> None:
    accounts = whole(kind)
    system = accounts.system
    first, second = accounts.start_run(batch_size=40), accounts.start_run(batch_size=80)
    system.wait_for(lambda: system.run(first)["batches_done"] >= 3, 20, "the first batches done")

    system.kill(*victims)
    system.start(*victims)

    accounts.balanced(first)
    accounts.balanced(second)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_processes_killed_at_random(whole: Whole, kind: str, seed: int) -> None:
    accounts, rng = whole(kind), random.Random(seed)
    runs = [accounts.start_run(batch_size=rng.randint(30, 150)) for _ in range(3)]
    for _ in range(8):
        victim = rng.choice((*SERVICES, "dispatcher", "consumer"))
        accounts.system.kill(victim)
        accounts.system.start(victim)
        accounts.between_kills(rng.uniform(0.05, 0.4))

    for run_id in runs:
        accounts.healed(run_id)


def test_messages_that_the_queues_lost_are_sent_again(whole: Whole) -> None:
    accounts = whole("sqlite")
    system, queues = accounts.system, accounts.queues
    run_id = published_without_consumers(accounts, batch_size=100)
    lost = sum(len(queues.drain(lane)) for lane in LANES)
    system.start("consumer", "dispatcher")

    accounts.balanced(run_id)
    assert lost > 0
    # A send may be marked after the batch was reported.
    system.wait_for(lambda: accounts.of(run_id).recovered >= lost, 5, "every lost batch sent again")


def test_reports_that_the_queue_lost_cost_only_time(whole: Whole) -> None:
    accounts = whole("sqlite")
    system, queues = accounts.system, accounts.queues
    run_id = published_without_consumers(accounts, batch_size=100)
    system.start("consumer")
    system.wait_for(lambda: queues.is_empty(*LANES), 20, "all batches done")
    assert queues.drain("results")
    system.start("dispatcher")

    accounts.balanced(run_id)


def test_reports_that_make_no_sense_are_thrown_away(whole: Whole) -> None:
    accounts = whole("sqlite")
    nonsense = ['{"schema": "smartrecover.batch-results.v1", "results": 1}', "[]", "nothing"]
    accounts.queues.send("results", *nonsense)
    run_id = accounts.start_run(batch_size=300)

    accounts.balanced(run_id)
    accounts.system.wait_for(lambda: accounts.queues.is_empty("results"), 20, "the nonsense gone")
