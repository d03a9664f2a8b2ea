"""The main job, whole: from a run accepted to the last decision committed, on a system of real processes.

Every run is checked: each ranked debtor must have ended with one decision or one error, or nothing was measured.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from operator import truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from benchmarks.measure import MIB, Figure, Usage
from benchmarks.system import NotMeasurableError, System, running_system
from debt_processing.tables import batches, decisions, errors, runs, skips
from service_kit.database.engine import Database

PORTFOLIO = "benchmark"
_SHOWN = ("dispatcher", "consumer", "sqs", "database")


@dataclass(frozen=True, slots=True)
class OneRun:
    """What one run took: debtors decided, seconds to the plan, to the last decision, to `completed`, processor time."""

    debtors: int
    planned: float
    decided: float
    completed: float
    used: dict[str, Usage]


def measure(
    database: str,
    debtors: int,
    batch_sizes: tuple[int, ...],
    repeats: int,
    *,
    consumers: int = 1,
    settings: dict[str, str] | None = None,
    inspect: Callable[[System], object] | None = None,
) -> Iterator[Figure]:
    """Debtors a second for each batch size, several runs over one portfolio after one to warm up.

    `inspect` is called with the running system before anything is measured, for profilers.
    """
    with (
        TemporaryDirectory(prefix="smartrecover-bench-") as folder,
        running_system(Path(folder), database, consumers=consumers, settings=settings) as system,
    ):
        system.generate(debtors, PORTFOLIO)
        one_run(system, batch_sizes[0])
        if inspect is not None:
            inspect(system)
        for batch_size in batch_sizes:
            found = [one_run(system, batch_size) for _ in range(repeats)]
            yield _figure(f"{database}, {debtors:,} debtors, batches of {batch_size}", found)


def measure_consumers(database: str, debtors: int, consumers: int, repeats: int) -> Iterator[Figure]:
    """How many times as fast so many consumers empty a queue that was filled beforehand as one does."""
    no_cap = {"RISK_MAX_OUTSTANDING": "0"}
    with (
        TemporaryDirectory(prefix="smartrecover-bench-") as folder,
        running_system(Path(folder), database, consumers=0, settings=no_cap) as system,
    ):
        system.generate(debtors, PORTFOLIO)
        _emptying(system, 1)
        ones, manies = zip(*((_emptying(system, 1), _emptying(system, consumers)) for _ in range(repeats)), strict=True)
    notes = {"debtors/s": f"{median(ones):,.0f} by one, {median(manies):,.0f} by {consumers}"}
    case = f"{consumers} for 1, {database}, {debtors:,} debtors"
    yield Figure("consumers", case, "times as fast", tuple(map(truediv, manies, ones)), notes)


def _emptying(system: System, consumers: int) -> float:
    """Debtors a second, from the first batch begun to the last one recorded."""
    run_id = system.start_run(PORTFOLIO, 500)
    system.wait_for(run_id, "published")
    with system.consumers(consumers):
        run = system.wait_for(run_id, "completed")
    begun, ended = _processed_between(system, run_id, run["debtors_ranked"])
    return float(run["debtors_ranked"]) / (ended - begun).total_seconds()


def one_run(system: System, batch_size: int) -> OneRun:
    """Start a run, wait for its end, and return what it took."""
    before = system.usage()
    run = system.run(PORTFOLIO, batch_size)
    after = system.usage()
    accepted = datetime.fromisoformat(run["created_at"])
    _, decided_at = _processed_between(system, run["id"], run["debtors_ranked"])
    return OneRun(
        run["debtors_ranked"],
        (datetime.fromisoformat(run["planned_at"]) - accepted).total_seconds(),
        (decided_at - accepted).total_seconds(),
        (datetime.fromisoformat(run["completed_at"]) - accepted).total_seconds(),
        {name: after[name] - before[name] for name in after},
    )


def _processed_between(system: System, run_id: str, ranked: int) -> tuple[datetime, datetime]:
    """When the first batch was begun and the last recorded. Every debtor must have one decision or error."""
    with closing(_Debts(system.environment["DEBT_DATABASE_URL"])) as debts:
        begun, ended, decided = debts.outcome(run_id)
    if begun is None or ended is None or decided != ranked:
        raise NotMeasurableError(f"{ranked} debtors were ranked and {decided} decided")
    return begun, ended


class _Debts:
    """The debt service's database, read from outside."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def close(self) -> None:
        self._database.dispose()

    def outcome(self, run_id: str) -> tuple[datetime | None, datetime | None, int]:
        with self._database.read() as connection:
            number = connection.execute(select(runs.c.number).where(runs.c.run_id == run_id)).scalar_one()
            times = select(func.min(batches.c.started_at), func.max(batches.c.finished_at))
            counts = [
                connection.execute(select(func.count()).where(table.c.run_number == number)).scalar_one()
                for table in (decisions, skips, errors)
            ]
            begun, ended = connection.execute(times.where(batches.c.run_number == number)).one()
            return begun, ended, sum(counts)


def middle_of(found: list[OneRun]) -> OneRun:
    """The run of middling speed."""
    return sorted(found, key=lambda one: one.decided)[len(found) // 2]


def _figure(case: str, found: list[OneRun]) -> Figure:
    middle = middle_of(found)
    notes = {
        "seconds": f"{middle.decided:.2f} (plan {middle.planned:.2f}, completed {middle.completed:.2f})",
        "processor seconds": ", ".join(
            f"{name} {middle.used[name].seconds:.2f}" for name in _SHOWN if name in middle.used
        ),
        "peak MiB": ", ".join(
            f"{name} {found[-1].used[name].peak / MIB:.0f}" for name in _SHOWN if name in middle.used
        ),
    }
    return Figure("end to end", case, "debtors/s", tuple(one.debtors / one.decided for one in found), notes)
