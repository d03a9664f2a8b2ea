"""How batches come into the inbox: many in one transaction, each once, a redelivered one with its attempt on record."""

from typing import Any

import pytest
from sqlalchemy import select
from tests.debt_processing.builders import NOW, a_body, a_message
from tests.debt_processing.consuming import Deciding, count, dead, process_all, receive_without_deleting, results
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth

from debt_processing.batches import attempts
from debt_processing.consumer import recording
from debt_processing.queues.schemas import RedriveRequest
from debt_processing.queues.service import redrive
from debt_processing.settings import Settings
from debt_processing.tables import audit_records, batches, decisions, delivery_attempts
from service_kit.audit import Audit
from service_kit.cli import command_line_caller
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.sqs.messages import Outgoing

pytestmark = pytest.mark.anyio


class Counting(Database):
    """A database that counts its write transactions."""

    writes = 0

    def transact(self, work: Any) -> Any:
        self.writes += 1
        return super().transact(work)


@pytest.mark.usefixtures("database")
async def test_small_batches_share_a_transaction(settings: Settings, fake_sqs: FakeSqs) -> None:
    counting = Counting(settings.debt_database_url)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 31)])

    await process_all(settings, counting, fake_sqs)

    assert (count(counting, batches), count(counting, decisions)) == (30, 90)
    assert counting.writes <= 10
    counting.dispose()


async def test_slow_batches_are_not_kept_waiting_for_each_other(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_before: list[int] = []

    monkeypatch.setattr(recording, "GROUP_SECONDS", 0.0)  # so that each takes longer than others may wait for it
    Deciding(monkeypatch, lambda _: recorded_before.append(count(database, batches)))
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 7)])

    await process_all(settings, database, fake_sqs)

    assert recorded_before == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("times", [1, 3])
async def test_a_batch_delivered_again_changes_nothing_and_is_reported_again(
    settings: Settings, database: Database, fake_sqs: FakeSqs, times: int, growth: Growth
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in (1, 2, 3)])
    await process_all(settings, database, fake_sqs)
    with database.read() as connection:
        before = connection.execute(select(batches)).all()

    for _ in range(times):
        fake_sqs.redeliver(settings.recovery_queue_high)
        await process_all(settings, database, fake_sqs)

    with database.read() as connection:
        assert connection.execute(select(batches)).all() == before
    reports = results(fake_sqs, settings)
    assert len(reports) == 3 * (times + 1)
    assert growth.of("debt_batches_total", outcome="repeated", lane="high") == 3 * times
    assert growth.of("debt_redeliveries_total", lane="high") == 3 * times
    assert len({(r.sequence, r.succeeded, r.finished_at) for r in reports}) == 3
    assert count(database, decisions) == 9
    assert count(database, delivery_attempts) == 0


async def test_the_same_batch_in_two_messages_is_recorded_once(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing(str(n), a_body("run-1", 1)) for n in range(4)])

    await process_all(settings, database, fake_sqs)

    assert count(database, decisions) == 3
    assert {r.outcome for r in results(fake_sqs, settings)} == {"done"}


# What kills the process


async def test_what_ended_the_process_twice_is_not_begun_again(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    await fake_sqs.send(settings.recovery_queue_high, [a_message("killer", 1)])
    await receive_without_deleting(fake_sqs, settings.recovery_queue_high, 3)
    for _ in range(attempts.MAX_UNFINISHED):
        with database.write() as connection:
            attempts.begin(connection, "killer-0000001", NOW)

    await process_all(settings, database, fake_sqs)

    [letter] = dead(fake_sqs, settings)
    assert letter.attributes["reason"] == "the process ended 2 times while processing it"
    assert deciding.order == []
    assert [r.outcome for r in results(fake_sqs, settings)] == ["dead"]


async def test_a_copy_of_what_ended_the_process_twice_is_not_begun_either_until_an_operator_sends_it_back(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    queue = settings.recovery_queue_high
    await fake_sqs.send(queue, [a_message("killer", 1), Outgoing("copy", a_message("killer", 1).body)])
    await receive_without_deleting(fake_sqs, queue, 3)
    for _ in range(attempts.MAX_UNFINISHED):
        with database.write() as connection:
            attempts.begin(connection, "killer-0000001", NOW)

    await process_all(settings, database, fake_sqs)
    assert (len(dead(fake_sqs, settings)), deciding.order) == (2, [])

    audit = Audit(audit_records, command_line_caller(), utc_now())
    sent_back = await redrive(fake_sqs, settings, database, database.transact, RedriveRequest(), audit)  # type: ignore[arg-type]
    await receive_without_deleting(fake_sqs, queue, 1)
    await process_all(settings, database, fake_sqs)

    assert (sent_back.redriven, deciding.order) == (2, ["killer-0000001"])
    assert dead(fake_sqs, settings) == []


async def test_a_redelivered_batch_has_an_attempt_on_record_while_it_is_processed_and_goes_after_the_others(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts_seen: dict[str, int] = {}
    deciding = Deciding(
        monkeypatch, lambda batch_id: attempts_seen.update({batch_id: count(database, delivery_attempts)})
    )
    await fake_sqs.send(settings.recovery_queue_high, [a_message("redelivered", 1)])
    await receive_without_deleting(fake_sqs, settings.recovery_queue_high, 1)
    await fake_sqs.send(settings.recovery_queue_high, [a_message("new", n) for n in (1, 2)])

    await process_all(settings, database, fake_sqs)

    assert deciding.order[-1] == "redelivered-0000001"
    assert attempts_seen == {"new-0000001": 0, "new-0000002": 0, "redelivered-0000001": 1}
    assert count(database, delivery_attempts) == 0
    assert len(results(fake_sqs, settings)) == 3
