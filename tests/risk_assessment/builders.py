"""Debtors, runs and settings with sensible defaults, so that a test shows only what matters to it."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from recovery_core.policies.builtin import built_in_policies
from recovery_core.policies.document import Policy
from risk_assessment.debtors import bulk
from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs import service as runs
from risk_assessment.runs.schemas import RunIn
from risk_assessment.settings import Settings
from risk_assessment.tables import debtors as debtors_table
from risk_assessment.tables import metadata
from service_kit.database.engine import Database

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_profile(**changes: Any) -> dict[str, Any]:
    """The scoring inputs as a client sends them."""
    return {
        "total_debt_amount": "5000.00",
        "monthly_income": "2500.00",
        "late_payments_count": 1,
        "employment_status": "EMPLOYED",
        "contract_type": "PERMANENT",
        "industry_sector": "TECHNOLOGY",
    } | changes


def a_debtor(**changes: Any) -> dict[str, Any]:
    """A debtor as a client sends one."""
    return {"name": "Alex Example"} | a_profile() | changes


def a_registry(active: str = "standard", *others: Policy) -> PolicyRegistry:
    return PolicyRegistry(dict(built_in_policies()) | {policy.name: policy for policy in others}, active)


def some_settings(**values: Any) -> Settings:
    """Settings that read neither the environment's .env file nor anything of the machine."""
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


def add_debtor(database: Database, registry: PolicyRegistry | None = None, **changes: Any) -> int:
    body = DebtorIn.model_validate(a_debtor(**changes))
    written = database.transact(lambda c: debtors.create(c, body, registry or a_registry(), NOON))
    return int(written.columns["id"])


def change_debtor(database: Database, debtor_id: int, registry: PolicyRegistry | None = None, **changes: Any) -> None:
    """Patch a debtor with values as they are stored: amounts in minor units."""
    database.transact(lambda c: debtors.patch(c, debtor_id, changes, registry or a_registry(), NOON))


def accept_run(database: Database, registry: PolicyRegistry | None = None, **options: Any) -> str:
    body = RunIn.model_validate(options)
    return database.transact(lambda c: runs.accept(c, body, registry or a_registry(), NOON))


def generate_debtors(
    database: Database,
    count: int,
    seed: int = 1,
    portfolio: str = "default",
    kind: Distribution = Distribution.BALANCED,
) -> list[dict[str, Any]]:
    """Add a generated portfolio, and return all rows that the portfolio has now."""
    scorer = bulk.bulk_scorer(database, a_registry(), portfolio, NOON)
    rows = [(row, scorer.score(row)) for row in generate(count, kind, seed)]
    database.transact(lambda c: bulk.upsert(c, portfolio, rows, scorer))
    return debtor_rows(database, portfolio)


def debtor_rows(database: Database, portfolio: str | None = None) -> list[dict[str, Any]]:
    """Debtors as they are stored, in order of their ids."""
    wanted = select(debtors_table).order_by(debtors_table.c.id)
    if portfolio is not None:
        wanted = wanted.where(debtors_table.c.portfolio == portfolio)
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(wanted)]


def row_counts(database: Database) -> dict[str, int]:
    """Return how many rows each table has, without leases and audit records, which change by themselves."""
    counted = [table for table in metadata.sorted_tables if table.name not in ("leases", "audit_records")]
    with database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in counted
        }


def every_row(database: Database) -> dict[str, Sequence[Any]]:
    """All rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


def shared_file(name: str) -> Path | None:
    """A file of the shared data beside the checkout, None where there is none: see tests/recovery_core."""
    beside_the_checkout = Path(__file__).parents[3] / "shared"
    path = Path(os.environ.get("SMARTRECOVER_SHARED", beside_the_checkout)) / "data" / name
    return path if path.exists() else None
