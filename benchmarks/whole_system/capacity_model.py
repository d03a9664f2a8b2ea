"""A discrete-event model of a run, to estimate what no machine here can show; see docs/scaling.md.

Its input is what each batch and each debtor costs each process, in processor seconds, as measured on this machine; it
computes how processes wait for each other. Before it extrapolates it must reproduce the measured rates.
"""

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure
from benchmarks.system import running_system
from benchmarks.whole_system.end_to_end import PORTFOLIO, OneRun, middle_of, one_run
from debt_processing.consumer.processing import DEBTORS_A_TRANSACTION
from debt_processing.settings import Settings
from risk_assessment.runs.jobs import BATCHES_A_SHIPMENT

SHIPMENT = BATCHES_A_SHIPMENT  # and as many messages a consumer receives at once
PREFETCH: int = Settings.model_fields["debt_prefetch"].default  # messages a consumer has at most
AWS_SECONDS_A_REQUEST = 0.015  # within a region, of a few hundred kilobytes
AWS_DATABASE_CORES = 2
AWS_OUTSTANDING = 1_000
PROCESSES = ("dispatcher", "sqs", "consumer", "database")


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds of one process: for each batch, and for each debtor."""

    batch: float
    debtor: float

    def of(self, batches: float, debtors: float) -> float:
        """What so many batches of so many debtors altogether cost."""
        return self.batch * batches + self.debtor * debtors


@dataclass(frozen=True, slots=True)
class Costs:
    """What the run costs each process, and how long it takes to plan it."""

    of: Mapping[str, Cost]
    plan: Cost
    """Wall seconds, before the first batch leaves."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place: how many cores share the work, how many consumers, how far away SQS is."""

    cores: float
    """Cores that all processes share; infinite where each process has one of its own."""
    consumers: int = 1
    outstanding: float = 40
    latency: float = 0.0
    """Seconds of each request to SQS in which no process of ours computes."""
    database_cores: float = inf
    """Cores of the database's own machine; infinite where it shares the others."""


def costs_of(runs: Mapping[int, OneRun]) -> Costs:
    """What a batch and a debtor cost, from two runs over one portfolio in batches of different sizes."""
    (small, many), (large, few) = ((size, runs[size]) for size in sorted(runs))
    of = {}
    for process in PROCESSES:
        here = [run.used[process].seconds if process in run.used else 0.0 for run in (many, few)]
        of[process] = _solve(here, [-(-many.debtors // small), -(-few.debtors // large)], many.debtors)
    plan = _solve([many.planned, few.planned], [-(-many.debtors // small), -(-few.debtors // large)], many.debtors)
    # Planning is part of what the dispatcher used.
    sending = of["dispatcher"]
    of["dispatcher"] = Cost(max(sending.batch - plan.batch, 0), max(sending.debtor - plan.debtor, 0))
    return Costs(of, plan)


def _solve(seconds: list[float], batches: list[int], debtors: int) -> Cost:
    batch = max((seconds[0] - seconds[1]) / (batches[0] - batches[1]), 0.0)
    return Cost(batch, max((seconds[1] - batch * batches[1]) / debtors, 0.0))


@dataclass(slots=True)
class _Worker:
    """Something that does one piece of work after the other: a process, as far as it computes."""

    name: str
    waiting: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)
    left: float = 0.0
    then: Callable[[], None] | None = None


class _Cores:
    """Cores shared by all processes that compute; time passes from one event to the next."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.now = 0.0
        self._workers: dict[str, _Worker] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def compute(self, who: str, seconds: float, then: Callable[[], None]) -> None:
        worker = self._workers.setdefault(who, _Worker(who))
        worker.waiting.append((seconds, then))
        self._begin(worker)

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._later, (self.now + seconds, next(self._numbers), then))

    def run(self) -> None:
        while True:
            active = [worker for worker in self._workers.values() if worker.then is not None]
            speed = min(1.0, self._place.cores / len(active)) if active else 1.0
            soonest = min((worker.left / self._speed(worker, speed) for worker in active), default=inf)
            until = min(soonest, self._later[0][0] - self.now if self._later else inf)
            if until == inf:
                return
            self.now += until
            for worker in active:
                worker.left -= until * self._speed(worker, speed)
            for worker in active:
                if worker.left <= 1e-12:
                    self._end(worker)
            while self._later and self._later[0][0] <= self.now + 1e-12:
                heapq.heappop(self._later)[2]()

    def _speed(self, worker: _Worker, speed: float) -> float:
        # A database serves several at once: one piece of work here stands for what all its cores do in turn.
        return speed * self._place.database_cores if self._is_own_machine(worker) else speed

    def _is_own_machine(self, worker: _Worker) -> bool:
        return worker.name == "database" and self._place.database_cores != inf

    def _begin(self, worker: _Worker) -> None:
        if worker.then is None and worker.waiting:
            worker.left, worker.then = worker.waiting.popleft()

    def _end(self, worker: _Worker) -> None:
        then, worker.then = worker.then, None
        self._begin(worker)
        if then is not None:
            then()


class _Run:
    """One run on its way."""

    def __init__(self, costs: Costs, place: Place, debtors: int, batch_size: int) -> None:
        self._costs, self._place, self._batch_size = costs, place, batch_size
        self._cores = _Cores(place)
        self._debtors = debtors
        self._unsent = -(-debtors // batch_size)
        self._batches = self._unsent
        self._outstanding = self._done = self._queued = 0
        self._building = False
        self._prefetched = [0] * place.consumers
        self._asking = [False] * place.consumers
        self._working = [False] * place.consumers
        self.finished_at = 0.0

    def seconds(self) -> float:
        self._cores.wait(self._costs.plan.of(self._batches, self._debtors), self._build)
        self._cores.run()
        return self.finished_at

    # Each step costs its process its share; of what SQS costs, half is sending and half is receiving.

    def _build(self) -> None:
        shipment = int(min(SHIPMENT, self._unsent, self._place.outstanding - self._outstanding))
        if self._building or shipment <= 0:
            return
        self._building = True
        self._unsent -= shipment
        self._outstanding += shipment
        self._cores.compute("dispatcher", self._cost("dispatcher", shipment), lambda: self._built(shipment))

    def _built(self, shipment: int) -> None:
        self._building = False
        self._request(0.5 * self._cost("sqs", shipment), lambda: self._sent(shipment))
        self._build()

    def _sent(self, shipment: int) -> None:
        self._queued += shipment
        for consumer in range(self._place.consumers):
            self._ask(consumer)

    def _ask(self, consumer: int) -> None:
        room = PREFETCH - self._prefetched[consumer]
        if self._asking[consumer] or room < SHIPMENT or not self._queued:
            return
        taken = min(SHIPMENT, self._queued)
        self._queued -= taken
        self._prefetched[consumer] += taken
        self._asking[consumer] = True
        self._request(0.5 * self._cost("sqs", taken), lambda: self._received(consumer))

    def _received(self, consumer: int) -> None:
        self._asking[consumer] = False
        self._work(consumer)
        self._ask(consumer)

    def _work(self, consumer: int) -> None:
        group = min(max(DEBTORS_A_TRANSACTION // self._batch_size, 1), self._prefetched[consumer])
        if self._working[consumer] or not group:
            return
        self._working[consumer] = True
        name = f"consumer {consumer}"
        self._cores.compute(name, self._cost("consumer", group), lambda: self._record(consumer, group))

    def _record(self, consumer: int, group: int) -> None:
        # Two workers share a consumer of MySQL: while one records, the other computes.
        self._working[consumer] = False
        self._prefetched[consumer] -= group
        self._cores.compute("database", self._cost("database", group), lambda: self._recorded(group))
        self._work(consumer)
        self._ask(consumer)

    def _recorded(self, group: int) -> None:
        self._done += group
        if self._done == self._batches:
            self.finished_at = self._cores.now
        self._request(0.0, lambda: self._reported(group))

    def _reported(self, group: int) -> None:
        self._outstanding -= group
        self._build()

    def _request(self, seconds: float, then: Callable[[], None]) -> None:
        # Amazon's side of SQS is not ours to compute: only its response takes time.
        if self._place.latency:
            self._cores.wait(self._place.latency, then)
        else:
            self._cores.compute("sqs", seconds, then)

    def _cost(self, process: str, batches: int) -> float:
        return self._costs.of[process].of(batches, batches * self._batch_size)


def rate(costs: Costs, place: Place, debtors: int, batch_size: int) -> float:
    """Debtors a second, from the accepted run to the last decision."""
    return debtors / _Run(costs, place, debtors, batch_size).seconds()


def figures(database: str, runs: Mapping[int, OneRun], cores: int) -> Iterator[Figure]:
    """What the model says of what was measured, and then of what was not."""
    costs = costs_of(runs)
    shown = _shown(costs)
    for size, run in runs.items():
        modelled = rate(costs, Place(cores), run.debtors, size)
        measured = run.debtors / run.decided
        notes = {"measured": f"{measured:,.0f}", "modelled / measured": f"{modelled / measured:.2f}", **shown}
        case = f"{database}, {run.debtors:,} debtors, batches of {size}"
        yield Figure("capacity model", case, "debtors/s", (modelled,), notes)
    if database == "sqlite":
        return
    for debtors in (1_000_000, 10_000_000):
        for consumers in (1, 2, 4):
            place = Place(inf, consumers, AWS_OUTSTANDING, AWS_SECONDS_A_REQUEST, AWS_DATABASE_CORES)
            case = f"AWS, {consumers} consumers, {debtors:,} debtors, batches of 500"
            yield Figure("capacity model", case, "debtors/s", (rate(costs, place, debtors, 500),), shown)


def _shown(costs: Costs) -> dict[str, str]:
    each = {"plan": costs.plan, **costs.of}
    whole = ", ".join(f"{name} {cost.of(1 / 500, 1) * 1e6:.1f}" for name, cost in each.items())
    batch = ", ".join(f"{name} {cost.batch * 1e6:,.0f}" for name, cost in each.items())
    return {"µs a debtor in batches of 500": whole, "of that, µs a batch": batch}


def measure(database: str, debtors: int, repeats: int) -> Iterator[Figure]:
    """Measure with batches of 500 and of 100, and let the model say what follows from that."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, running_system(Path(folder), database) as system:
        system.generate(debtors, PORTFOLIO)
        one_run(system, 500)
        runs = {size: middle_of([one_run(system, size) for _ in range(repeats)]) for size in (500, 100)}
    yield from figures(database, runs, os.cpu_count() or 1)
