"""Runs from promise to decision against a world that cuts, loses, repeats and reorders at every step.

The functions of both services are called directly, each step of a loop by itself, so that "the process dies here"
means: the next step never comes, and what was in memory is gone. Afterwards the world heals, and then every ranked
debtor has one decision or one error, every run is over, and nothing is outstanding. FUZZ_EFFORT=20 tries twenty times
as much.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Row, Table, delete, select
from tests.contracts.conftest import EFFORT
from tests.risk_assessment.builders import a_debtor, a_registry

from debt_processing import tables as debt
from debt_processing.consumer.deliveries import Delivery
from debt_processing.consumer.prefetch import PrefetchedBatch
from debt_processing.consumer.recording import process_batch, process_group
from debt_processing.queues.envelopes import dead_result
from recovery_core.messages.batch import decode_batch, resolve_policy
from recovery_core.messages.results import BatchResult, decode_results, encode_results
from recovery_core.profile import FACTS
from recovery_core.ranking.manifest import unpack_entries
from risk_assessment import tables as risk
from risk_assessment.batches import queries as batches
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.shipments import build_shipment
from risk_assessment.batches.tables import OPEN
from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.runs import planning, results
from risk_assessment.runs import queries as runs
from risk_assessment.runs.schemas import RunIn
from risk_assessment.runs.service import RunFinishedError, accept, cancel
from risk_assessment.runs.tables import FINISHED, RunState
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.sqs.messages import Received
from service_kit.worker.leader_lease import LEASE_SECONDS, LeaderLease, LeaseLostError

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESEND_AFTER = 10.0
MAX_OUTSTANDING = 4
MAX_RUNS = 4
HEALING_ROUNDS = 60
REGISTRY = a_registry()

some_debtors = st.fixed_dictionaries(
    {
        "total_debt_amount": st.sampled_from(["0.01", "500.00", "5000.00", "80000.00"]),
        "late_payments_count": st.sampled_from([0, 9]),
        "payment_status": st.sampled_from(["UNPAID", "UNPAID", "PARTIAL", "PAID"]),
        "family_situation": st.sampled_from([None, "WIDOWED_WITH_DEPENDENTS"]),  # without it, `classic` cannot score
    }
)
wishes = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 3), "threshold": st.sampled_from(["0", "500000.00", "9999999999999999.99"])},
    optional={
        "limit": st.integers(1, 6),
        "policy": st.sampled_from(["standard", "classic"]),
        "filters": st.sampled_from([{"min_debt": "500.00"}, {"risk_level": ["HIGH", "CRITICAL"]}]),
    },
)
# As often as each comes, so that most runs get somewhere before something goes wrong.
STEPS = {
    "change_portfolio": 2,
    "start_run": 1,
    "cancel": 1,
    "redrive": 2,
    "wait": 3,
    "take_lease": 1,
    "plan": 4,
    "publish": 9,
    "go_on": 2,
    "work": 9,
    "report": 5,
    "read_report": 7,
    "lose": 2,
}
steps = st.sampled_from([name for name, times in STEPS.items() for _ in range(times)])


@dataclass
class Wire:
    """A queue that keeps no promise: the receiver says whether a message stays, and any message may be next."""

    bodies: list[str] = field(default_factory=list)

    def take(self, chance: Random, *, stays: bool) -> str:
        index = chance.randrange(len(self.bodies))
        return self.bodies[index] if stays else self.bodies.pop(index)


@dataclass
class Dispatcher:
    """What one dispatcher has in memory."""

    lease: LeaderLease
    shipment: dict[BatchKey, str] = field(default_factory=dict)
    sent: list[BatchKey] = field(default_factory=list)


class World:
    """Two dispatchers that take turns, consumers, and the queues between them."""

    def __init__(self, risk_database: Database, debt_database: Database) -> None:
        self.risk, self.debt = risk_database, debt_database
        for database, tables in ((self.risk, risk.metadata), (self.debt, debt.metadata)):
            _empty(database, [table for table in tables.sorted_tables if table is not risk.policies])
        self.now = START
        self.batches, self.dead_letters, self.reports = Wire(), Wire(), Wire()
        self.dispatchers = [self._a_dispatcher("host-a:1:a"), self._a_dispatcher("host-b:1:b")]
        self.holder = self.dispatchers[0]
        self.unreported: list[BatchResult] = []
        self.bodies: dict[str, str] = {}
        self.seen: dict[tuple[int, int], str] = {}

    def begin(self, bodies: list[dict[str, Any]], wishes: list[dict[str, Any]]) -> None:
        for body in bodies:
            self._add(body)
        for wish in wishes:
            self._start(wish)
        self._take_lease(self.dispatchers[0])
        self._plan(self.dispatchers[0])

    # People

    def change_portfolio(self, chance: Random) -> None:
        ids = self._debtor_ids()
        how = chance.choice(["add", "change", "remove"])
        if how == "add" or not ids:
            self._add(_a_debtor(chance))
        elif how == "change":
            new, debtor_id = DebtorIn.model_validate(a_debtor(**_a_debtor(chance))), chance.choice(ids)
            self.risk.transact(lambda c: debtors.replace(c, debtor_id, new, REGISTRY, self.now, expected=None))
        else:
            self.risk.transact(lambda c: debtors.remove(c, chance.choice(ids), expected=None))

    def start_run(self, chance: Random) -> None:
        if len(self._runs()) < MAX_RUNS:
            self._start({"batch_size": chance.randint(1, 4), "policy": chance.choice(["standard", "classic"])})

    def cancel(self, chance: Random) -> None:
        run = chance.choice(self._runs())
        if chance.random() < 0.7:
            return
        try:
            self.risk.transact(lambda c: cancel(c, run.id, self.now))
        except RunFinishedError:
            assert run.state == "completed"

    def redrive(self, chance: Random) -> None:
        if self.dead_letters.bodies:
            self.batches.bodies.append(self.dead_letters.take(chance, stays=False))

    def wait(self, chance: Random) -> None:
        self.now += timedelta(seconds=chance.choice([0.1, 1, 1, 4, 4, 100]) * RESEND_AFTER)

    # Dispatchers

    def take_lease(self, chance: Random) -> None:
        self._take_lease(chance.choice(self.dispatchers))

    def plan(self, chance: Random) -> None:
        """Plan the next run; or die when the plan writes for the n-th time; or be overtaken in the midst of it."""
        one, other = chance.sample(self.dispatchers, 2)
        if chance.random() < 0.3:
            self._take_lease(one)
            self._plan(one, overtaken_by=other)
        else:
            self._plan(self._one(chance), dies_at=chance.choice([None, None, 1, 2, 3, 4]))

    def publish(self, chance: Random) -> None:
        """Build the messages of what is next, or of what was lost; send them; mark them; or stop in between."""
        dispatcher = self._one(chance)
        stops_after = chance.choice(["mark", "mark", "mark", "send", "build"])
        (self._look_for_lost if chance.random() < 0.4 else self._build)(dispatcher)
        if stops_after != "build":
            self._send(dispatcher, chance.choice([0.0, 0.0, 0.5]), chance)
            if stops_after != "send":
                self._mark(dispatcher)

    def go_on(self, chance: Random) -> None:
        """One that had stopped goes on where it was, however much has happened since."""
        dispatcher = self._one(chance)
        self._send(dispatcher, 0.0, chance)
        self._mark(dispatcher)

    # Consumers

    def work(self, chance: Random) -> None:
        """Process messages; or die before they are recorded; or find that they can never be processed."""
        how = chance.choice(["together", "together", "alone", "alone", "not recorded", "poison"])
        stays = chance.random() < 0.3
        count = min(chance.randint(1, 4), len(self.batches.bodies))
        self._process([self.batches.take(chance, stays=stays) for _ in range(count)], how)

    def report(self, chance: Random) -> None:
        count = chance.randint(1, 4)
        out, self.unreported = self.unreported[:count], self.unreported[count:]
        if out:
            self.reports.bodies.append(encode_results(out).decode())

    def read_report(self, chance: Random) -> None:
        if self.reports.bodies:
            found = decode_results(self.reports.take(chance, stays=chance.random() < 0.3))
            self.risk.transact(lambda c: results.apply(c, found, self.now))

    # What is lost

    def lose(self, chance: Random) -> None:
        """A message, what a consumer has recorded and not yet reported, or all that is in the queues."""
        what = chance.choice(["batch", "batch", "report", "consumer", "queues"])
        if what == "consumer":
            self.unreported = []
        elif what == "queues":
            self.batches.bodies, self.reports.bodies = [], []
        else:
            wire = self.batches if what == "batch" else self.reports
            if wire.bodies:
                wire.take(chance, stays=False)

    # The steps they take

    def _one(self, chance: Random) -> Dispatcher:
        """The holder of the lease, mostly; or one that may have lost it without knowing."""
        return self.holder if chance.random() < 0.8 else chance.choice(self.dispatchers)

    def _a_dispatcher(self, owner: str) -> Dispatcher:
        lease = LeaderLease(self.risk, risk.leases, "dispatcher")
        lease.owner = owner  # on another host, so that the lease does not look whether its process lives
        return Dispatcher(lease)

    def _start(self, wish: dict[str, Any]) -> None:
        self.risk.transact(lambda c: accept(c, RunIn.model_validate(wish), REGISTRY, self.now))

    def _take_lease(self, dispatcher: Dispatcher) -> None:
        if dispatcher.lease.acquire(self.now):
            self.holder = dispatcher

    def _plan(
        self, dispatcher: Dispatcher, *, dies_at: int | None = None, overtaken_by: Dispatcher | None = None
    ) -> None:
        with self.risk.read() as connection:
            run = runs.next_to_plan(connection)
            scorer = REGISTRY.scorer(connection, run.policy_id) if run else None
        if run is None or scorer is None:
            return
        others = [overtaken_by] if overtaken_by else []

        def between_writes() -> bool:
            if others:
                self.now += timedelta(seconds=LEASE_SECONDS + 1)
                self._take_lease(others[0])
                self._plan(others.pop())
            return False

        write = _dying(dispatcher.lease.write, dies_at)
        try:
            planning.Plan(self.risk, write, run, scorer, 1_000).carry_out(lambda: self.now, between_writes)
        except (LeaseLostError, _Died):
            return
        self._check_plan(run.id)

    def _add(self, body: dict[str, Any]) -> None:
        new = DebtorIn.model_validate(a_debtor(**body))
        self.risk.transact(lambda c: debtors.create(c, new, REGISTRY, self.now))

    def _build(self, dispatcher: Dispatcher) -> None:
        with self.risk.read() as connection:
            room = MAX_OUTSTANDING - batches.outstanding(connection)
            publishing = runs.numbers_in(connection, (RunState.PUBLISHING,))
            keys = batches.next_batches(connection, publishing, min(room, 20), frozenset())
            dispatcher.shipment = build_shipment(connection, keys, REGISTRY).bodies

    def _look_for_lost(self, dispatcher: Dispatcher) -> None:
        with self.risk.read() as connection:
            unreportable = results.any_unreportable(connection, self.now, RESEND_AFTER)
        if unreportable:
            self.risk.transact(lambda c: results.give_up(c, self.now, RESEND_AFTER))
        with self.risk.read() as connection:
            keys = batches.due_again(connection, self.now, RESEND_AFTER)
            dispatcher.shipment = build_shipment(connection, keys, REGISTRY).bodies

    def _send(self, dispatcher: Dispatcher, refused: float, chance: Random) -> None:
        shipment, dispatcher.shipment = dispatcher.shipment, {}
        for key, body in shipment.items():
            name = f"{key.run_number}-{key.sequence}"
            assert self.bodies.setdefault(name, body) == body, "a message differs from when it was sent before"
            if chance.random() >= refused:
                self.batches.bodies.append(body)
                dispatcher.sent.append(key)

    def _mark(self, dispatcher: Dispatcher) -> None:
        sent, dispatcher.sent = dispatcher.sent, []
        with contextlib.suppress(LeaseLostError):
            dispatcher.lease.write(lambda connection: results.mark_sent(connection, sent, self.now))

    def _process(self, bodies: list[str], how: str) -> None:
        if how == "not recorded":
            return
        group = [_prefetched(body, redelivered=how == "alone") for body in bodies]
        if how == "poison":
            self.dead_letters.bodies += bodies
            reports = [dead_result(batch.batch.header, "poison", self.now) for batch in group]
            self.unreported += [report for report in reports if report is not None]
            return
        if how == "together":
            done = process_group(self.debt, group, lambda: self.now, lambda: False)
        else:
            done = [(batch, process_batch(self.debt, batch, lambda: self.now)) for batch in group]
        for batch, one in done:
            assert (one.recorded.succeeded, one.recorded.failed) == (len(batch.batch.items), 0)
            self.unreported.append(one.result(batch))
        # What was not begun for want of time is begun the next time.
        self.batches.bodies += [body for body, batch in zip(bodies, group, strict=True) if batch not in dict(done)]

    # What is always true

    def nothing_goes_back(self) -> None:
        with self.risk.read() as connection:
            states = {(row.run_number, row.sequence): row.state for row in connection.execute(select(risk.run_batches))}
        for place, before in self.seen.items():
            now = states.get(place)
            if before == "done":
                assert now == "done", f"batch {place} was done and is {now}"
            if before not in ("planned", None):
                assert now not in ("planned", None), f"batch {place} was {before} and is {now}"
        self.seen = states

    def no_more_than_allowed_is_outstanding(self) -> None:
        """Two dispatchers may each have sent a shipment that the other did not know of, not more."""
        with self.risk.read() as connection:
            assert batches.outstanding(connection) <= 2 * MAX_OUTSTANDING

    # What must come of it

    def heal(self) -> None:
        """From now on, nothing goes wrong any more."""
        one = self._a_dispatcher("host-c:1:c")
        self.unreported = []
        self.now += timedelta(seconds=LEASE_SECONDS + 1)
        for _ in range(HEALING_ROUNDS):
            self._take_lease(one)
            self._plan(one)
            for look in (self._build, self._look_for_lost):
                look(one)
                self._send(one, 0.0, Random(0))
                self._mark(one)
            self.batches.bodies += self.dead_letters.bodies
            self.dead_letters.bodies = []
            waiting, self.batches.bodies = self.batches.bodies, []
            self._process(waiting, "together")
            found = [result for body in self.reports.bodies for result in decode_results(body)] + self.unreported
            self.reports.bodies, self.unreported = [], []
            self.risk.transact(lambda c: results.apply(c, found, self.now))  # noqa: B023
            self.now += timedelta(seconds=4 * RESEND_AFTER + 1)
            if self._is_over():
                return
        raise AssertionError(f"not over after {HEALING_ROUNDS} rounds: {[dict(run._mapping) for run in self._runs()]}")

    def _is_over(self) -> bool:
        with self.risk.read() as connection:
            still_open = connection.execute(select(risk.run_batches).where(risk.run_batches.c.state.in_(OPEN)))
            return all(run.state in FINISHED for run in self._runs()) and not still_open.all()

    def check_outcomes(self) -> None:
        outcomes = self._outcomes()
        with self.risk.read() as connection:
            assert batches.outstanding(connection) == 0
            for run in self._runs():
                shown = runs.view(connection, run, REGISTRY)
                recorded = connection.execute(
                    select(risk.run_batches).where(risk.run_batches.c.run_number == run.number)
                ).all()
                entries = _entries(connection, run.number)
                for batch in recorded:
                    ranked = sorted(debtor_id for _, debtor_id, _ in entries[batch.sequence])
                    found = sorted(outcomes.get((run.id, batch.sequence), []))
                    assert found == ranked or (batch.state != "done" and found == []), (run.id, batch, found, ranked)
                states = {batch.state for batch in recorded}
                if run.state == "completed":
                    assert states <= {"done", "dead"}
                    assert (run.error is not None) == ("dead" in states)
                    assert shown["batches_done"] + shown["batches_dead"] == run.batches_total == len(recorded)
                    assert run.published_at is not None
                    assert run.completed_at is not None
                else:
                    assert run.state == "cancelled"
                    assert states <= {"done", "dead", "cancelled"}
        self._check_reports()

    def _check_reports(self) -> None:
        """The debt service has counted what it has recorded."""
        with self.debt.read() as connection:
            settled: dict[tuple[int, int], int] = {}
            for table in (debt.decisions, debt.errors):
                for row in connection.execute(select(table.c.run_number, table.c.batch_sequence)):
                    settled[tuple(row)] = settled.get(tuple(row), 0) + 1
            for batch in connection.execute(select(debt.batches)):
                counted = settled.pop((batch.run_number, batch.sequence))
                assert counted == batch.succeeded + batch.failed == batch.debtors
            assert settled == {}

    def _check_plan(self, run_id: str) -> None:
        """The plan is the snapshot of this moment: who is eligible, best first, the high lane before the other."""
        with self.risk.read() as connection:
            run = runs.read(connection, run_id)
            rows = connection.execute(select(risk.debtors)).all()
            scorer = REGISTRY.scorer(connection, run.policy_id)
            planned = _entries(connection, run.number)
            lanes = {
                row.sequence: row.lane
                for row in connection.execute(
                    select(risk.run_batches).where(risk.run_batches.c.run_number == run.number)
                )
            }
        ranked, left_out = _expected(rows, run, scorer)
        order = [entry for sequence in sorted(planned) for entry in planned[sequence]]
        assert order == ranked
        assert (run.debtors_ranked, run.batches_total) == (len(ranked), len(planned))
        assert sum(orjson.loads(run.excluded).values()) == left_out
        assert all(0 < len(entries) <= run.batch_size for entries in planned.values())
        high = [entry for sequence, entries in planned.items() if lanes[sequence] == "high" for entry in entries]
        assert len(high) == run.debtors_high
        assert sorted(high) == sorted(entry for entry in ranked if entry[0] > run.threshold)

    def _outcomes(self) -> dict[tuple[str, int], list[int]]:
        found: dict[tuple[str, int], list[int]] = {}
        with self.debt.read() as connection:
            names = {row.number: row.run_id for row in connection.execute(select(debt.runs))}
            for table in (debt.decisions, debt.errors):
                for row in connection.execute(select(table)):
                    found.setdefault((names[row.run_number], row.batch_sequence), []).append(row.debtor_id)
        return found

    def _runs(self) -> list[Row[Any]]:
        with self.risk.read() as connection:
            return list(connection.execute(select(risk.runs).order_by(risk.runs.c.number)))

    def _debtor_ids(self) -> list[int]:
        with self.risk.read() as connection:
            return list(connection.execute(select(risk.debtors.c.id).order_by(risk.debtors.c.id)).scalars())


def _a_debtor(chance: Random) -> dict[str, Any]:
    return {
        "total_debt_amount": chance.choice(["0.01", "500.00", "80000.00"]),
        "payment_status": chance.choice(["UNPAID", "UNPAID", "PAID"]),
        "family_situation": chance.choice([None, "WIDOWED_WITH_DEPENDENTS"]),
    }


class _Died(Exception):  # noqa: N818
    """The process ended here."""


def _dying(write: planning.Write, at: int | None) -> planning.Write:
    """Let the process die in its n-th transaction, before it writes anything."""
    calls = iter(range(1, 1_000))

    def dying(work: Callable[[Connection], None]) -> None:
        if next(calls) == at:
            raise _Died
        write(work)

    return dying


def _prefetched(body: str, *, redelivered: bool) -> PrefetchedBatch:
    """A message as the consumer prefetches it."""
    batch = decode_batch(body)
    received = Received("message", "handle", body, {}, 2 if redelivered else 1, START)
    return PrefetchedBatch(Delivery(batch.header.lane, received), batch, resolve_policy(batch.header))


def _entries(connection: Connection, number: int) -> dict[int, list[tuple[int, int, int]]]:
    rows = connection.execute(select(risk.run_entries).where(risk.run_entries.c.run_number == number))
    return {row.sequence: unpack_entries(row.entries) for row in rows}


def _expected(rows: Any, run: Row[Any], scorer: Any) -> tuple[list[tuple[int, int, int]], int]:
    """Who should be ranked, in order, and how many should not; worked out the simplest way."""
    wished = orjson.loads(run.filters)
    found = []
    for row in rows:
        if row.payment_status == "PAID" or row.total_debt_amount < wished.get("min_debt", 0):
            continue
        try:
            score = scorer.score([row._mapping[name] for name in FACTS])
        except ValueError:
            continue
        if score.risk_level in wished.get("risk_level", [score.risk_level]):
            found.append((score.total_score * row.total_debt_amount, row.id, row.version))
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    return found[: run.debtor_limit], len(rows) - len(found[: run.debtor_limit])


def _empty(database: Database, tables: list[Table]) -> None:
    with database.write() as connection:
        for table in tables:
            connection.execute(delete(table))


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    folder = tmp_path_factory.mktemp("runs")
    opened = []
    for package in ("risk_assessment", "debt_processing"):
        url = f"sqlite:///{folder / package}.db"
        upgrade(url, package)
        opened.append(Database(url))
    yield opened[0], opened[1]
    for database in opened:
        database.dispose()


@pytest.mark.timeout(120 + 300 * EFFORT.factor)
@settings(max_examples=EFFORT.examples(40))
@given(
    bodies=st.lists(some_debtors, min_size=4, max_size=12),
    wished=st.lists(wishes, min_size=1, max_size=3),
    story=st.lists(steps, min_size=60, max_size=150),
    seed=st.integers(0, 2**32),
)
def test_every_ranked_debtor_gets_one_outcome_whatever_is_lost_or_repeated(
    databases: tuple[Database, Database],
    bodies: list[dict[str, Any]],
    wished: list[dict[str, Any]],
    story: list[str],
    seed: int,
) -> None:
    world = World(*databases)
    world.begin(bodies, wished)
    for number, name in enumerate(story):
        getattr(world, name)(Random(f"{seed}-{number}"))
        world.nothing_goes_back()
        world.no_more_than_allowed_is_outstanding()
    world.heal()
    world.check_outcomes()
