"""How long reports and lists take over a portfolio of a given size: summary, concentration, rank, filters, searches."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection

from benchmarks.measure import Figure, seconds
from benchmarks.parts.preview import PORTFOLIO, fill
from benchmarks.system import databases_of
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors.searching import DebtorFilter
from risk_assessment.debtors.selection import Sort, page
from risk_assessment.policies.registry import PolicyRegistry, load_registry
from risk_assessment.portfolios import queries as portfolios
from risk_assessment.reports import queries, standing
from risk_assessment.reports.concentration import points
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

PAGE = 100
LISTS: dict[str, tuple[dict[str, Any], Sort]] = {
    "a debt that no one has, by priority": ({"min_debt": 10**13}, "priority"),
    "small debts, by priority": ({"max_debt": 300_000}, "priority"),
    "small debts of a level, by id": ({"max_debt": 100_000, "risk_levels": ("HIGH",)}, "id"),
    "all, by debt": ({}, "debt"),
    "names that begin with alex, by priority": ({"q": "alex"}, "priority"),
}
Look = Callable[[Connection], Any]


def measure(database: str, debtors: int, repeats: int) -> Iterator[Figure]:
    """Milliseconds of each report and each list of that many debtors."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, databases_of(database, Path(folder)) as found:
        upgrade(found.risk, "risk_assessment")
        risk, registry = Database(found.risk), load_registry("standard", None)
        fill(risk, registry, debtors)
        for name, look in _looks(risk, registry, debtors).items():
            act = partial(_read, risk, look)
            act()
            took = tuple(seconds(act) * 1_000 for _ in range(repeats))
            yield Figure("reports", f"{name}, of {debtors:,} debtors, {database}", "ms", took)
        risk.dispose()


def _looks(risk: Database, registry: PolicyRegistry, debtors: int) -> dict[str, Look]:
    now = utc_now()

    def summary(connection: Connection) -> Any:
        return queries.summary(risk, connection, portfolios.read(connection, PORTFOLIO), registry, now)

    def concentration(connection: Connection) -> Any:
        return points(risk, connection, queries.selection_now(connection, PORTFOLIO, registry), now)

    def rank(connection: Connection) -> Any:
        return standing.rank(risk, connection, debtors // 2, None, registry, now)

    kept = KeptResults()

    def summary_again(connection: Connection) -> Any:
        return queries.summary(risk, connection, portfolios.read(connection, PORTFOLIO), registry, now, kept)

    def rank_again(connection: Connection) -> Any:
        return standing.rank(risk, connection, debtors // 2, None, registry, now, kept)

    looks: dict[str, Look] = {"summary": summary, "concentration": concentration, "rank": rank}
    looks |= {"summary, nothing changed": summary_again, "rank, nothing changed": rank_again}
    for name, (given, sort) in LISTS.items():
        looks[name] = partial(page, wanted=DebtorFilter(PORTFOLIO, **given), sort=sort, cursor=None, limit=PAGE)
    return looks


def _read(risk: Database, look: Look) -> None:
    with risk.read() as connection:
        look(connection)
