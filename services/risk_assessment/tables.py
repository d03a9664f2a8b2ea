"""The index of the risk service's tables, for Alembic and for readers of the whole schema."""

from risk_assessment.batches.tables import run_batches, run_entries
from risk_assessment.changes.tables import portfolio_changes
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.exclusions.tables import run_exclusions
from risk_assessment.holds.tables import hold_ends, holds
from risk_assessment.metadata import api_keys, audit_records, idempotency_keys, leases, metadata, workers
from risk_assessment.persons.tables import persons
from risk_assessment.policies.tables import policies, policy_uploads
from risk_assessment.portfolios.tables import policy_activations, portfolios
from risk_assessment.runs.tables import runs
from risk_assessment.scoring.tables import scoring_jobs
from risk_assessment.simulations.tables import simulations
from risk_assessment.snapshots.tables import run_holds, run_snapshots
from risk_assessment.stops.tables import stop_feed, stops

__all__ = [
    "api_keys",
    "assessments",
    "audit_records",
    "debtors",
    "hold_ends",
    "holds",
    "idempotency_keys",
    "leases",
    "metadata",
    "persons",
    "policies",
    "policy_activations",
    "policy_uploads",
    "portfolio_changes",
    "portfolios",
    "run_batches",
    "run_entries",
    "run_exclusions",
    "run_holds",
    "run_snapshots",
    "runs",
    "scoring_jobs",
    "simulations",
    "stop_feed",
    "stops",
    "workers",
]
