"""Dead letters, over queues in memory and over a real local server: seen with their reason, sent back, processed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from tests.debt_processing.builders import NOW, a_body
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer.deliveries import DeliveryQueues
from debt_processing.queues import dead_letters
from debt_processing.queues.dead_letters import MOVED_BY_QUEUE
from debt_processing.queues.schemas import RedriveRequest
from debt_processing.settings import Settings
from recovery_core.messages.wire import digest_of
from recovery_core.policies.parts import Lane
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio
AnySqs = Sqs | FakeSqs


@pytest.fixture(params=["fake", "moto"])
async def sqs(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[AnySqs]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            found: AnySqs = FakeSqs()
        else:
            url = request.getfixturevalue("sqs_url")
            found = await stack.enter_async_context(Sqs("eu-west-1", url))
        await found.ensure_queues(queue_specs(settings))
        yield found


async def dead_letter(sqs: AnySqs, settings: Settings, lane: str, bodies: list[str], reason: str = "it broke") -> None:
    lanes = DeliveryQueues(sqs, settings)  # type: ignore[arg-type]
    queue = settings.lane_queues[lane]
    await sqs.send(queue, [Outgoing(str(n), body, {"traceparent": "00-ab"}) for n, body in enumerate(bodies)])
    for delivery in await lanes.receive(lane, 10, 0):
        assert await lanes.dead_letter(delivery, reason, NOW)
        await lanes.delete([delivery])


async def vouch_for_none(digests: Sequence[str]) -> None:
    raise AssertionError(f"asked to vouch for {digests}")


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


async def test_looking_shows_what_and_why_and_changes_nothing(sqs: AnySqs, settings: Settings) -> None:
    await dead_letter(sqs, settings, "high", [a_body("run-1", 7)], "ValueError:\n it broke ")
    await dead_letter(sqs, settings, "standard", ["not JSON"])

    for _ in range(2):
        shown = (await dead_letters.peek(sqs, settings, None, 100)).items  # type: ignore[arg-type]

        first, second = shown
        assert (first.lane, first.batch_id, first.run_id, first.sequence) == ("high", "run-1-0000007", "run-1", 7)
        assert (first.reason, first.receive_count, first.failed_at) == ("ValueError:  it broke", 1, NOW)
        assert first.size == len(a_body("run-1", 7))
        assert (second.lane, second.batch_id, second.run_id, second.sequence) == ("standard", None, None, None)
        assert "debtor" not in first.model_dump_json()
        depth = await sqs.depth(f"{settings.recovery_queue_high}-dlq")
        assert (depth.waiting, depth.in_flight) == (1, 0)


async def test_what_the_queue_moved_itself_says_so(sqs: AnySqs, settings: Settings) -> None:
    await sqs.send(f"{settings.recovery_queue_high}-dlq", [Outgoing("1", a_body())])

    [shown] = (await dead_letters.peek(sqs, settings, Lane.HIGH, 10)).items  # type: ignore[arg-type]

    assert (shown.reason, shown.receive_count, shown.failed_at) == (MOVED_BY_QUEUE, None, None)


async def test_looking_stops_at_the_limit_and_at_the_lane(sqs: AnySqs, settings: Settings) -> None:
    await dead_letter(sqs, settings, "high", [a_body("run-1", n) for n in (1, 2, 3)])
    await dead_letter(sqs, settings, "standard", [a_body("run-1", 4)])

    async def look(lane: Lane | None, limit: int) -> list[int | None]:
        return [item.sequence for item in (await dead_letters.peek(sqs, settings, lane, limit)).items]  # type: ignore[arg-type]

    assert len(await look(None, 2)) == 2
    assert await look(Lane.STANDARD, 10) == [4]
    assert sorted(filter(None, await look(None, 10))) == [1, 2, 3, 4]


async def test_redriving_sends_everything_back_to_its_lane(sqs: AnySqs, settings: Settings) -> None:
    await dead_letter(sqs, settings, "high", [a_body("run-1", n) for n in range(1, 6)])
    await dead_letter(sqs, settings, "standard", [a_body("run-1", 9)])

    done = await dead_letters.redrive(sqs, settings, RedriveRequest(), vouch_for_none, soon())  # type: ignore[arg-type]

    assert (done.redriven, done.failed, done.lanes, done.not_found) == (6, 0, {"high": 5, "standard": 1}, [])
    back = await sqs.receive(settings.recovery_queue_high)
    assert sorted(message.body for message in back) == sorted(a_body("run-1", n) for n in range(1, 6))
    assert {message.receive_count for message in back} == {1}
    assert back[0].attributes == {"traceparent": "00-ab"}
    for lane in settings.lane_queues.values():
        depth = await sqs.depth(f"{lane}-dlq")
        assert (depth.waiting, depth.in_flight) == (0, 0)


async def test_redriving_only_so_many_only_a_lane_only_these(sqs: AnySqs, settings: Settings) -> None:
    await dead_letter(sqs, settings, "high", [a_body("run-1", n) for n in (1, 2, 3)])
    await dead_letter(sqs, settings, "standard", [a_body("run-1", 4)])
    shown = (await dead_letters.peek(sqs, settings, None, 10)).items  # type: ignore[arg-type]
    chosen = next(item for item in shown if item.sequence == 2)

    async def redrive(**request: object) -> tuple[int, list[str]]:
        done = await dead_letters.redrive(sqs, settings, RedriveRequest(**request), vouch_for_none, soon())  # type: ignore[arg-type]
        return done.redriven, done.not_found

    assert await redrive(message_ids=[chosen.message_id, "no-such"]) == (1, ["no-such"])
    assert await redrive(lane="standard") == (1, [])
    assert await redrive(limit=1) == (1, [])
    left = (await dead_letters.peek(sqs, settings, None, 10)).items  # type: ignore[arg-type]
    assert len(left) == 1


async def test_what_fails_again_meanwhile_is_not_sent_back_for_ever(sqs: AnySqs, settings: Settings) -> None:
    await dead_letter(sqs, settings, "high", [a_body()])

    done = await dead_letters.redrive(sqs, settings, RedriveRequest(), vouch_for_none, NOW - timedelta(days=1))  # type: ignore[arg-type]

    assert done.redriven == 0
    assert len((await dead_letters.peek(sqs, settings, None, 10)).items) == 1  # type: ignore[arg-type]


async def test_a_repair_vouches_for_the_very_messages_before_it_sends_them_back(
    sqs: AnySqs, settings: Settings
) -> None:
    await dead_letter(sqs, settings, "high", [a_body("run-1", n) for n in (1, 2)])
    vouched: list[str] = []

    async def vouch(digests: Sequence[str]) -> None:
        assert (await sqs.depth(settings.recovery_queue_high)).waiting == 0
        vouched.extend(digests)

    request = RedriveRequest(repair=True, limit=2)
    done = await dead_letters.redrive(sqs, settings, request, vouch, soon())  # type: ignore[arg-type]

    assert done.redriven == 2
    assert sorted(vouched) == sorted(digest_of(a_body("run-1", n)) for n in (1, 2))


async def test_a_refused_message_stays_among_the_dead(settings: Settings) -> None:
    fake = FakeSqs()
    await fake.ensure_queues(queue_specs(settings))
    await dead_letter(fake, settings, "high", [a_body("run-1", n) for n in (1, 2)])
    [first, _] = (await dead_letters.peek(fake, settings, None, 10)).items  # type: ignore[arg-type]
    fake.fail_sends = {first.message_id}

    done = await dead_letters.redrive(fake, settings, RedriveRequest(), vouch_for_none, soon())  # type: ignore[arg-type]

    assert (done.redriven, done.failed) == (1, 1)
    assert len((await dead_letters.peek(fake, settings, None, 10)).items) == 1  # type: ignore[arg-type]
