"""The index of the risk service's tables, for Alembic and for readers of the whole schema."""

from risk_assessment.batches.tables import run_batches, run_entries
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.metadata import api_keys, audit_records, idempotency_keys, leases, metadata
from risk_assessment.policies.tables import policies
from risk_assessment.runs.tables import runs
from risk_assessment.scoring.tables import scoring_jobs

__all__ = [
    "api_keys",
    "assessments",
    "audit_records",
    "debtors",
    "idempotency_keys",
    "leases",
    "metadata",
    "policies",
    "run_batches",
    "run_entries",
    "runs",
    "scoring_jobs",
]
