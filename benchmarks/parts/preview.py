"""How long a preview takes over a portfolio of a given size: the best ten, and all debtors counted exactly."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, seconds
from benchmarks.system import databases_of
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.debtors.bulk import CHUNK, bulk_scorer, upsert
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.exclusions.selection import Selection
from risk_assessment.policies.registry import PolicyRegistry, load_registry
from risk_assessment.previews.preview import Preview
from risk_assessment.runs.schemas import DEFAULT_THRESHOLD
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

PORTFOLIO = "benchmark"
SEED = 42
TOP = 10
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "of two levels": {"risk_level": ["HIGH", "CRITICAL"]},
    "of a debt of 10,000.00 and more": {"min_debt": 1_000_000},
}


def measure(database: str, debtors: int, repeats: int) -> Iterator[Figure]:
    """Milliseconds of a preview of that many debtors, with each of the filters."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, databases_of(database, Path(folder)) as found:
        upgrade(found.risk, "risk_assessment")
        risk, registry = Database(found.risk), load_registry("standard", None)
        fill(risk, registry, debtors)
        for which, filters in FILTERS.items():
            look = partial(_look, risk, registry, filters)
            look()
            took = tuple(seconds(look) * 1_000 for _ in range(repeats))
            yield Figure("preview", f"best {TOP} of {debtors:,} debtors, {which}, {database}", "ms", took)
        risk.dispose()


def fill(risk: Database, registry: PolicyRegistry, debtors: int) -> None:
    """Fill the portfolio with generated debtors."""
    scorer = bulk_scorer(risk, registry, PORTFOLIO, utc_now())
    scored = ((row, scorer.score(row)) for row in generate(debtors, Distribution.BALANCED, SEED))
    while chunk := list(islice(scored, CHUNK)):
        risk.transact(partial(upsert, portfolio=PORTFOLIO, rows=chunk, scorer=scorer))


def _look(risk: Database, registry: PolicyRegistry, filters: dict[str, Any]) -> None:
    with risk.read() as connection:
        policy = registry.active(connection, PORTFOLIO)
        selection = Selection(PORTFOLIO, registry.find_id(connection, policy), scorer_for(policy), filters)
        Preview(risk, connection, selection, DEFAULT_THRESHOLD, utc_now()).show(TOP, None)
