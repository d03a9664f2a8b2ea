"""The databases of a system: migrated, and filled with invented debtors."""

import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from risk_assessment.debtors import bulk
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.policies.registry import load_registry
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade


@dataclass(frozen=True)
class Templates:
    """Migrated SQLite files with a portfolio in them, made once and copied for each system."""

    folder: Path

    def copy_to(self, folder: Path, debtors: int) -> tuple[str, str]:
        """The URLs of both databases of a new system, its portfolio `default` filled."""
        template = self.folder / str(debtors)
        if not template.exists():
            _make_template(template, debtors)
        for name in ("risk.db", "debt.db"):
            shutil.copyfile(template / name, folder / name)
        return f"sqlite:///{folder / 'risk.db'}", f"sqlite:///{folder / 'debt.db'}"


def _make_template(folder: Path, debtors: int) -> None:
    folder.mkdir(parents=True)
    migrate(f"sqlite:///{folder / 'risk.db'}", f"sqlite:///{folder / 'debt.db'}")
    fill(f"sqlite:///{folder / 'risk.db'}", debtors)


def migrate(risk_database_url: str, debt_database_url: str) -> None:
    """Bring two fresh databases up to date."""
    upgrade(risk_database_url, "risk_assessment")
    upgrade(debt_database_url, "debt_processing")


def fill(risk_database_url: str, debtors: int, name: str = "default", seed: int = 1) -> None:
    """Put invented debtors into a portfolio."""
    database = Database(risk_database_url)
    try:
        scorer = bulk.bulk_scorer(database, load_registry("standard", None), name, utc_now())
        scored = ((row, scorer.score(row)) for row in generate(debtors, Distribution.BALANCED, seed))
        while chunk := list(islice(scored, bulk.CHUNK)):
            _upsert(database, name, chunk, scorer)
    finally:
        database.dispose()


def _upsert(database: Database, name: str, rows: list[bulk.ScoredRow], scorer: bulk.BulkScorer) -> None:
    database.transact(lambda connection: bulk.upsert(connection, name, rows, scorer))
