"""Promise 2: however often, in whatever order and to however many consumers a message comes, it has one effect."""

import json
import random
import signal
from collections import Counter
from collections.abc import Callable

import pytest
from tests.faults.accounts import Accounts
from tests.support.faults.crashing import Fault
from tests.support.faults.proxy import Proxy
from tests.support.system.system import System

Whole = Callable[[str], Accounts]
Build = Callable[..., System]

LANES = ("high", "standard")


def published_without_consumers(accounts: Accounts, **options: object) -> str:
    """A run that is all in the queues, and no process receives it or sends it again."""
    accounts.system.stop("consumer")
    run_id = accounts.start_run(**options)
    accounts.until_published(run_id)
    accounts.system.stop("dispatcher")
    return run_id


def done_batches(system: System) -> Counter[str]:
    """How often each batch was done, over all consumers."""
    names = [name for name in system.processes if name.startswith("consumer")]
    lines = (line for name in names for line in system.events(name, '"debt.batch.done"'))
    return Counter(json.loads(line)["batch_id"] for line in lines)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_messages_sent_many_times_and_shuffled_to_three_consumers_have_one_effect_each(
    whole: Whole, kind: str, seed: int
) -> None:
    accounts = whole(kind)
    system, queues, rng = accounts.system, accounts.queues, random.Random(seed)
    run_id = published_without_consumers(accounts, batch_size=120)
    for lane in LANES:
        bodies = [message["Body"] for message in queues.drain(lane)]
        copies = [body for body in bodies for _ in range(rng.randint(1, 5))]
        rng.shuffle(copies)
        queues.send(lane, *copies)

    for name in ("consumer-2", "consumer-3"):
        system.another(name, like="consumer")
    system.start("consumer", "consumer-2", "consumer-3", "dispatcher")

    accounts.balanced(run_id)
    system.wait_for(lambda: queues.is_empty(*LANES), 20, "all copies received")
    times = [n for batch, n in done_batches(system).items() if batch.startswith(run_id)]
    assert times == [1] * len(times)


def test_a_slow_batch_stays_hidden_from_others(whole: Whole) -> None:
    accounts = whole("sqlite")
    system = accounts.system
    run_id = published_without_consumers(accounts, batch_size=200)
    slow = system.processes["consumer"].faults
    slow.arm(Fault("decide", do="sleep", seconds=3.5))  # longer than three visibility timeouts
    system.start("consumer")
    system.wait_for(slow.happened, 10, "a slow batch begun")

    system.another("consumer-2", like="consumer")
    system.start("consumer-2")
    system.wait_for(lambda: accounts.queues.is_empty(*LANES), 40, "all batches done")

    assert [line for line in system.events("consumer-2", "debt.batch.done") if run_id in line]
    for consumer in ("consumer", "consumer-2"):
        assert not [line for line in system.events(consumer, "debt.batch.repeated") if run_id in line]
    system.start("dispatcher")
    accounts.balanced(run_id)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_consumer_whose_message_came_free_cannot_record_a_second_result(whole: Whole, kind: str) -> None:
    accounts = whole(kind)
    system = accounts.system
    run_id = published_without_consumers(accounts, batch_size=200)
    system.another("consumer-1", like="consumer", DEBT_WORKERS="1")  # so that no other batch is amid its transaction
    faults = system.processes["consumer-1"].faults
    faults.arm(Fault("decide", "after", do="freeze"))
    system.start("consumer-1")
    system.wait_for(faults.happened, 10, "a consumer frozen in the middle of its work")

    system.another("consumer-2", like="consumer")
    system.start("consumer-2", "dispatcher")
    accounts.balanced(run_id)
    before = done_batches(system)
    system.signal("consumer-1", signal.SIGCONT)

    repeated = lambda: [line for line in system.events("consumer-1", "debt.batch.repeated") if run_id in line]  # noqa: E731
    system.wait_for(repeated, 10, "the thawed consumer finding that it came too late")
    assert done_batches(system) == before
    accounts.balanced(run_id)


def test_responses_lost_after_their_effect_change_nothing(build: Build) -> None:
    system = build("sqlite", 1_500)
    with Proxy(system.sqs_port) as proxy:
        system.settings = {"AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{proxy.port}"}
        system.start()
        accounts = Accounts(system)
        accounts.balanced(accounts.start_run(batch_size=500))  # now all queues and connections are there
        lost = ("sendmessagebatch", "receivemessage", "deletemessagebatch", "changemessagevisibilitybatch")
        proxy.weather.drop.update(dict.fromkeys(lost, 4))
        proxy.weather.delay = 0.02
        run_id = accounts.start_run(batch_size=60)
        for sent in (2, 6, 12):
            system.wait_for(lambda sent=sent: system.run(run_id)["batches_sent"] >= sent, 20, f"{sent} batches sent")
            proxy.cut()

        accounts.balanced(run_id)
        assert proxy.dropped >= 4
        system.close()
