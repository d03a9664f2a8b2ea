"""How long a simulation takes over a portfolio of a given size, with numpy and without, from its row to its report."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import MIB, Figure, in_new_process, seconds
from benchmarks.parts.preview import PORTFOLIO, fill
from benchmarks.system import databases_of
from recovery_core.simulation import columns, report
from risk_assessment.policies.registry import load_registry
from risk_assessment.simulations import queries, service
from risk_assessment.simulations.schemas import SimulationIn
from risk_assessment.simulations.simulating import simulate
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

WAYS = ("numpy", "plain Python")
PROPOSED = "classic"


def measure(database: str, debtors: int, repeats: int) -> Iterator[Figure]:
    """Seconds of a simulation of another policy, each in a process of its own, and what that takes of memory."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, databases_of(database, Path(folder)) as found:
        upgrade(found.risk, "risk_assessment")
        risk, registry = Database(found.risk), load_registry("standard", None)
        fill(risk, registry, debtors)
        body = SimulationIn(portfolio=PORTFOLIO, policy=PROPOSED)
        simulation_id = risk.transact(lambda c: service.accept(c, body, registry, utc_now()))
        risk.dispose()
        for way in WAYS:
            took, memory = in_new_process(_repeated, found.risk, simulation_id, way, repeats)
            notes = {"memory": f"{memory / MIB:,.0f} MiB"}
            yield Figure("simulation", f"{debtors:,} debtors, {way}, {database}", "s", took, notes)


def _repeated(url: str, simulation_id: str, way: str, repeats: int) -> tuple[float, ...]:
    if way != WAYS[0]:
        report.arithmetic = lambda: columns
    database = Database(url)
    simulated = partial(_simulated, database, simulation_id)
    return tuple(seconds(simulated) for _ in range(repeats))


def _simulated(database: Database, simulation_id: str) -> None:
    with database.read() as connection:
        row = queries.read(connection, simulation_id)
        simulate(connection, row, load_registry("standard", None), utc_now(), lambda *_: None)
