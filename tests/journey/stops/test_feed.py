"""Whatever the queue does with the feed of stops, the debt service comes to know all of it, and until then says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.journey.stops.feeding import Feeding, make_templates

from risk_assessment.stops import service
from risk_assessment.stops.jobs import HEARTBEAT_SECONDS, QUIET_SECONDS, RESEND_SECONDS
from service_kit.sqs.messages import Outgoing

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    make_templates(folder)
    return folder


@pytest.fixture
def feed(templates: Path, tmp_path: Path) -> Iterator[Feeding]:
    feeding = Feeding(templates, tmp_path)
    yield feeding
    feeding.close()


async def is_fresh(feed: Feeding, needed: int) -> bool:
    """Whether a consumer may begin a batch that needs so much."""
    return await feed.freshness().known_through(needed) >= needed


async def test_a_payment_is_known_after_one_look_of_each_end(feed: Feeding) -> None:
    debtor_id = feed.debtor()
    feed.pay(debtor_id)
    await feed.send()
    await feed.receive()

    assert feed.paid() == {debtor_id}
    assert feed.known() == (1, feed.now(), 1)
    await feed.go_on(1)
    assert feed.acknowledged() == 1


async def test_a_deleted_debtor_is_known_as_that(feed: Feeding) -> None:
    feed.note(7)
    await feed.go_on(1)

    assert feed.stops() == {7: 1}
    assert feed.paid() == set()


async def test_a_long_feed_travels_in_parts_of_which_the_last_says_that_it_is_all(feed: Feeding) -> None:
    feed.note(*range(1, 12_001))
    await feed.send()
    assert len(feed.sqs.waiting("stops")) > 20
    feed.shuffle()
    for receiver in feed.receivers:
        await receiver.receive()
    assert feed.known()[:2] == (0, None)
    await feed.receive()

    assert len(feed.stops()) == 12_000
    assert feed.known() == (12_000, feed.now(), 12_000)


async def test_repeated_and_disordered_messages_change_nothing(feed: Feeding) -> None:
    first, second = feed.debtor(), feed.debtor()
    for debtor_id in (first, second, first):
        feed.pay(debtor_id)
        await feed.send()
    feed.shuffle()
    await feed.receive()
    once = feed.stops()
    feed.sqs.redeliver("stops")
    feed.shuffle(2)
    await feed.receive()

    assert feed.stops() == once == {first: 3, second: 2}
    assert feed.known().through == 3


@pytest.mark.parametrize("purged", ["all", "the first"])
async def test_what_the_queue_loses_is_sent_again(feed: Feeding, purged: str) -> None:
    debtor_ids = [feed.debtor() for _ in range(3)]
    await feed.go_on(3)
    for debtor_id in debtor_ids:
        feed.pay(debtor_id)
        await feed.send()
    if purged == "all":
        feed.sqs.lose("stops")
    else:
        del feed.sqs._queues["stops"].messages[0]
    await feed.receive()
    assert feed.known().through == 0

    with capture_logs() as logs:
        await feed.go_on(HEARTBEAT_SECONDS + RESEND_SECONDS + 2)

    assert feed.paid() == set(debtor_ids)
    assert feed.known().through == 3
    assert feed.acknowledged() == 3
    assert [(log["after"], log["through"]) for log in logs if log["event"] == "risk.stops.resent"] == [(0, 3)]


async def test_nothing_is_sent_again_to_a_debt_service_that_is_away(feed: Feeding) -> None:
    await feed.go_on(1)
    feed.note(1)
    for _ in range(40):
        feed.seconds += 1
        await feed.send()

    assert sum('"stops":[{' in message.body for message in feed.sqs.waiting("stops")) == 1


async def test_a_debt_service_that_is_away_gets_few_heartbeats_and_is_fresh_at_once_when_it_is_back(
    feed: Feeding,
) -> None:
    await feed.go_on(2)
    for _ in range(600):
        feed.seconds += 1
        await feed.send()
    assert len(feed.sqs.waiting("stops")) < QUIET_SECONDS / HEARTBEAT_SECONDS + 600 / QUIET_SECONDS + 2

    feed.sqs.lose("stops")
    feed.receivers = [feed.a_consumer()]
    await feed.listen()
    await feed.go_on(1)

    assert await is_fresh(feed, 0)


async def test_a_new_dispatcher_goes_on_where_the_debt_service_has_everything(feed: Feeding) -> None:
    first, second = feed.debtor(), feed.debtor()
    feed.pay(first)
    await feed.go_on(1)
    feed.pay(second)
    await feed.send()
    feed.sqs.lose("stops")  # and nothing says so
    feed.start_dispatcher()
    await feed.go_on(1)

    assert feed.paid() == {first, second}


async def test_two_consumers_share_the_feed(feed: Feeding) -> None:
    debtor_ids = [feed.debtor() for _ in range(6)]
    feed.receivers = [feed.a_consumer(), feed.a_consumer()]
    for debtor_id in debtor_ids:
        feed.pay(debtor_id)
        await feed.send()
    feed.shuffle()
    await feed.go_on(3)

    assert feed.paid() == set(debtor_ids)
    assert feed.acknowledged() == 6
    assert await is_fresh(feed, 6)


async def test_a_new_debt_database_hears_everything_again(feed: Feeding) -> None:
    debtor_ids = [feed.debtor() for _ in range(3)]
    feed.pay(*debtor_ids)
    await feed.go_on(10)
    feed.debt.dispose()
    feed.new_debt_database("another")
    assert not await is_fresh(feed, 0)

    await feed.go_on(HEARTBEAT_SECONDS + 2)

    assert feed.paid() == set(debtor_ids)
    assert feed.acknowledged() == 3
    assert await is_fresh(feed, 3)


async def test_a_risk_database_that_was_put_back_is_not_believed_until_it_counts_on(feed: Feeding) -> None:
    debtor_id = feed.debtor()
    feed.note(*range(100, 110))
    await feed.go_on(2)
    with feed.risk.write() as connection:  # as if restored from a backup of before
        connection.execute(service.stops.delete())
        connection.execute(service.stop_feed.update().values(last_sequence=2, acknowledged=2))
    feed.start_dispatcher()
    feed.pay(debtor_id)
    fresh_until = feed.known().as_of
    await feed.send()
    await feed.receive()
    assert feed.known().as_of == fresh_until

    await feed.go_on(3)

    assert debtor_id in feed.paid()
    assert feed.known().through == feed.acknowledged() == 11
    assert await is_fresh(feed, 11)


async def test_a_dispatcher_that_is_away_for_long_makes_knowledge_too_old(feed: Feeding) -> None:
    await feed.go_on(5)
    feed.seconds += 31
    freshness = feed.freshness()
    assert await freshness.known_through(0) == -1
    assert freshness.waiting_for == "stops"
    assert "old, more than 30 s" in str(freshness.reason)

    feed.start_dispatcher()
    await feed.go_on(1)
    assert await freshness.known_through(0) == 0
    assert freshness.waiting_for is None


async def test_a_debtor_noted_again_before_its_state_is_read_is_in_both_stretches(feed: Feeding) -> None:
    first, second = feed.debtor(), feed.debtor()
    feed.note(first, second)
    taken = feed.risk.transact(lambda c: service.take_next(c, 0, 10))
    feed.pay(first)  # after its place was given, before its state is read

    assert taken == (2, [(first, 1), (second, 2)], True)
    feed.start_dispatcher()
    await feed.go_on(1)
    assert feed.paid() == {first}
    assert feed.stops() == {first: 3, second: 2}


async def test_messages_that_are_not_ours_are_dead_letters_and_change_nothing(feed: Feeding) -> None:
    await feed.sqs.send("stops", [Outgoing("0", "junk"), Outgoing("1", '{"schema":"smartrecover.stops.v1"}')])
    with capture_logs() as logs:
        await feed.receive()

    assert feed.sqs.waiting("stops") == []
    assert len(feed.sqs.waiting("stops-dlq")) == 2
    assert [log["event"] for log in logs] == ["debt.stops.refused"] * 2
    assert feed.known() == (0, None, 0)


async def test_what_the_queue_refuses_is_sent_again_in_its_place(feed: Feeding) -> None:
    feed.note(*range(1, 1_201))
    feed.sqs.fail_sends = {"1"}
    await feed.go_on(2)

    assert len(feed.stops()) == 1_200
    assert feed.known().through == 1_200
