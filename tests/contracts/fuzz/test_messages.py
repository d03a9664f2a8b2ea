"""Whatever arrives in a queue: a consumer ends with each message recorded or dead-lettered, and goes on.

The consumer itself runs, over queues in memory. The dispatcher is given what a results queue might contain.
"""

import asyncio
import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from tests.contracts.conftest import EFFORT
from tests.contracts.fuzz.breaking import cut, put_somewhere
from tests.debt_processing.builders import a_body, a_debtor, debtors
from tests.debt_processing.conftest import make_settings
from tests.debt_processing.stops.feed import a_hold, a_stop, a_stretch
from tests.risk_assessment.batches.reports.builders import a_report, states
from tests.risk_assessment.builders import a_registry, add_debtor, some_settings
from tests.risk_assessment.planned import a_planned_run
from tests.support.fake_sqs import FakeSqs

from debt_processing import tables as debt
from debt_processing.consumer.loop import Consumer
from debt_processing.stops.service import take_in
from recovery_core.holds import ACTIONS, HoldKind, mask_of
from recovery_core.messages.results import BatchResult, encode_results
from recovery_core.policies.builtin import built_in_policy
from risk_assessment.runs.jobs import ResultsReader, RunParts
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.lifecycle import Stop
from service_kit.sqs.messages import Outgoing, Received
from service_kit.sqs.queues import queue_specs
from service_kit.worker.waiting import Bell

PATIENCE_SECONDS = 60.0
KNOWN = 5
"""The last stop that the consumer knows."""

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [0, 1, 2**31, 2**63, "", "1e5", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999Z", "\ud800"]
    ),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
seeds = st.integers(0, 2**32)
custom = built_in_policy("standard").document | {"name": "custom", "description": "travels with the message"}


# By name, so that a failure can be read.
HUGE = {
    "<deep lists>": "[" * 100_000,
    "<deep objects>": '{"a":' * 40_000,
    "<many items>": '{"debtors": [' + "1," * 60_000 + "1]}",
    "<many digits>": "1" * 200_000,
    "<too large>": "x" * 262_145,
}


@st.composite
def wrong_batches(draw: st.DrawFn) -> str:
    """A batch in which one thing or two are not what they should be."""
    chance = Random(draw(seeds))
    second = chance.random() < 0.5
    entries = [
        a_debtor(n, contract_type=chance.choice(["PERMANENT", "?"])) | (_second_of(chance) if second else {})
        for n in range(1, chance.randint(2, 4))
    ]
    run_id = chance.choice(["run-1", "run-2", "run-3"])
    changes = {
        "threshold": chance.choice([50_000_000, 1]),
        "stops_before": chance.randint(0, KNOWN) if second else None,
    }
    message = orjson.loads(a_body(run_id, chance.randint(1, 4), entries, **changes))
    if chance.random() < 0.3:
        message["policy"] = {"name": "custom", "version": 1, "hash": "0" * 64, "document": copy.deepcopy(custom)}
    for value in draw(st.lists(values, min_size=1, max_size=2)):
        put_somewhere(message, value, chance)
    if isinstance(message.get("stops_before"), int):
        message["stops_before"] = min(message["stops_before"], KNOWN)  # it would wait for more, and rightly
    return json.dumps(message)


def _second_of(chance: Random) -> dict[str, Any]:
    """What version 2 says of a debtor besides."""
    blocked = {"blocked": chance.sample(ACTIONS, chance.randint(1, 6)), "blocked_by": chance.choice(list(HoldKind))}
    return {"version": chance.randint(1, 9)} | (blocked if chance.random() < 0.3 else {})


texts = st.one_of(
    wrong_batches(),
    wrong_batches().flatmap(lambda body: seeds.map(lambda seed: cut(body, Random(seed)))),
    values.map(json.dumps),
    st.text(max_size=50),
    st.sampled_from(["", "null", '{"schema": "smartrecover.debt-batch.v2"}', "\ufeff{}"]),
    st.sampled_from(sorted(HUGE)),
)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def debt_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from _migrated(request, tmp_path_factory, "debt_processing")


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def risk_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from _migrated(request, tmp_path_factory, "risk_assessment")


def _migrated(request: pytest.FixtureRequest, folders: pytest.TempPathFactory, package: str) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{folders.mktemp('messages') / 'messages.db'}"
    else:
        mariadb = request.getfixturevalue("mariadb")
        mariadb.execute(f"CREATE DATABASE messages_{package}")
        url = mariadb.url(f"messages_{package}")
    upgrade(url, package)
    database = Database(url)
    yield database
    database.dispose()


@pytest.mark.timeout(120 + 300 * EFFORT.factor)
@settings(max_examples=EFFORT.examples(15))
@given(bodies=st.lists(texts, min_size=5, max_size=30))
@example(bodies=['{"schema":"smartrecover.debt-batch.v1","batch_id":"\\ud800"}'])
@example(bodies=[a_body("run-2", 1).replace('"total_score"', '"total_\\ud83dcore"')])
def test_every_message_ends_recorded_or_dead_lettered(debt_database: Database, bodies: list[str]) -> None:
    with debt_database.write() as connection:
        for table in debt.metadata.sorted_tables:
            connection.execute(delete(table))
    bodies = [HUGE.get(body, body) for body in bodies]
    stops = [a_stop(1, 4, payment_status="PAID"), a_stop(3, KNOWN, holds=(a_hold(blocked=mask_of(["AGENT_CALL"])),))]
    fresh = a_stretch(0, KNOWN, *stops, as_of=utc_now() + timedelta(hours=1))
    debt_database.transact(lambda connection: take_in(connection, [fresh]))
    right = a_body("right", 1, debtors(2))

    dead, left = asyncio.run(_consumed(debt_database, [*bodies, right]))

    assert left == []
    assert right not in [message.body for message in dead]
    letters = {message.body for message in dead}
    # What is too large to be sent again is left to the queue, which gives no reason.
    assert all(message.attributes["reason"] for message in dead if message.body != HUGE["<too large>"])
    recorded = _recorded(debt_database)
    for body in bodies:
        assert body in letters or _place(body) in recorded, body[:2_000]
    assert ("right", 1) in recorded


async def _consumed(database: Database, bodies: list[str]) -> tuple[list[Outgoing], list[Outgoing]]:
    """Let a consumer work until its queue is empty; what is dead then, and what is left."""
    settings = make_settings(database.engine.url.render_as_string(hide_password=False), lambda role: role)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    high = settings.recovery_queue_high
    await sqs.send(high, [Outgoing(str(number), "placeholder") for number in range(len(bodies))])
    for message, body in zip(sqs._queues[high].messages, bodies, strict=True):
        # SQS itself would refuse some of these; others may be less strict.
        message.outgoing = Outgoing(message.outgoing.id, body)
    stop = Stop()
    consumer = asyncio.create_task(Consumer(settings, database, sqs).run(stop))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sqs.waiting(high) and not consumer.done():
            await asyncio.sleep(0.01)
        stop.set()
        await consumer
    return sqs.waiting(f"{high}-dlq"), sqs.waiting(high)


def _recorded(database: Database) -> set[tuple[str, int]]:
    """The batches that are recorded, each with all its debtors settled that no earlier batch of the run had."""
    with database.read() as connection:
        names = {row.number: row.run_id for row in connection.execute(select(debt.runs))}
        settled = [
            tuple(row)
            for table in (debt.decisions, debt.skips, debt.errors)
            for row in connection.execute(select(table.c.run_number, table.c.batch_sequence))
        ]
        found = connection.execute(select(debt.batches)).all()
    for batch in found:
        counted = batch.succeeded + batch.failed + batch.skipped
        assert settled.count((batch.run_number, batch.sequence)) == counted <= batch.debtors
    return {(names[batch.run_number], batch.sequence) for batch in found}


def _place(body: str) -> tuple[str, int] | None:
    try:
        message = json.loads(body)  # takes half a surrogate pair, as the consumer does
        return message["run_id"], message["sequence"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


# Results


@pytest.fixture
def run_id(risk_database: Database) -> str:
    """A run of three batches that were planned and not yet sent."""
    for _ in range(3):
        add_debtor(risk_database)
    return a_planned_run(risk_database, batch_size=1, limit=3)


LARGE = [2**31, 2**63, 2**64, 10**30]


def a_results_reader(database: Database) -> ResultsReader:
    """The dispatcher's reader of reports, over a database alone."""
    parts = RunParts(some_settings(), database, a_registry(), None, None, None, (), (), ())  # type: ignore[arg-type]
    return ResultsReader(parts, Bell())


@st.composite
def results(draw: st.DrawFn, believed: list[BatchResult]) -> str:
    right = draw(st.sampled_from(believed))
    message = orjson.loads(encode_results([right, right]))
    chance = Random(draw(seeds))
    message["results"][0]["reason"] = draw(st.sampled_from(["x", "<long>"]))
    for value in draw(st.lists(values | st.sampled_from(LARGE), max_size=2)):
        put_somewhere(message, value, chance)
    return json.dumps(message)


@pytest.mark.timeout(120 + 300 * EFFORT.factor)
def test_no_report_stops_the_dispatcher(risk_database: Database, run_id: str) -> None:
    reader = a_results_reader(risk_database)
    believed = [a_report(risk_database, run_id, sequence, "dead") for sequence in (1, 2, 3)]

    @settings(max_examples=EFFORT.examples(60))
    @given(bodies=st.lists(results(believed) | texts, min_size=3, max_size=10))
    def check(bodies: list[str]) -> None:
        bodies = [HUGE.get(body, body).replace("<long>", "ä" * 60_000) for body in bodies]
        now = datetime.now(UTC)
        reader._apply([Received(str(n), "", body, {}, 1, now) for n, body in enumerate(bodies)], now)

    check()


@pytest.mark.parametrize(
    "changes",
    [
        *({"sequence": number} for number in LARGE),
        {"succeeded": 2**31 - 1, "failed": 2**31 - 1},
        {"succeeded": 2**31 - 1, "skipped": 2**31 - 1},
        {"reason": "ä" * 60_000},
        {"reason": "a\0b"},
        {"run_id": "\0"},
        {"batch_id": "\0"},
        {"digest": "\0"},
    ],
    ids=lambda changes: repr(changes)[:30],
)
def test_no_value_in_a_report_is_too_much(risk_database: Database, run_id: str, changes: dict[str, Any]) -> None:
    reader = a_results_reader(risk_database)
    message = orjson.loads(encode_results([a_report(risk_database, run_id, 1, "dead")]))
    message["results"][0] |= changes
    now = datetime.now(UTC)

    refused = reader._apply([Received("1", "", json.dumps(message), {}, 1, now)], now)

    assert states(risk_database, run_id) == ["planned" if refused else "dead", "planned", "planned"]
