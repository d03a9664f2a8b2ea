"""What each route does to data or shows of it, under the name that the audit trail has for it."""

from typing import Any

from tests.contracts.access.guarded import Guarded

DEBTOR = {
    "name": "Alex Example",
    "external_ref": "ACC-1",
    "total_debt_amount": "33267.16",
    "monthly_income": "2100.00",
    "late_payments_count": 4,
    "employment_status": "SELF_EMPLOYED",
    "contract_type": "FREELANCE",
    "industry_sector": "HOSPITALITY",
}
WHY = {"X-Reason": "Ticket 7", "X-Request-Id": "r-7"}

CHANGES = {
    "risk": {
        ("POST", "/debtors"): "debtor.created",
        ("PUT", "/debtors/{debtor_id}"): "debtor.replaced",
        ("PATCH", "/debtors/{debtor_id}"): "debtor.patched",
        ("DELETE", "/debtors/{debtor_id}"): "debtor.deleted",
        ("POST", "/holds"): "hold.placed",
        ("POST", "/holds/{hold_id}/end"): "hold.ended",
        ("PUT", "/portfolios/{name}"): "portfolio.configured",
        ("POST", "/policies"): "policy.uploaded",
        ("POST", "/policies/{policy_hash}/activate"): "policy.activated",
        ("POST", "/scoring-jobs"): "scoring_job.started",
        ("POST", "/runs"): "run.started",
        ("POST", "/simulations"): "simulation.started",
        ("POST", "/runs/{run_id}/cancel"): "run.cancelled",
    },
    "debt": {("POST", "/dead-letters/redrive"): "dead_letters.redriven"},
}
READS = {
    "risk": {
        ("GET", "/debtors"): "debtor.listed",
        ("GET", "/debtors/high-risk"): "debtor.listed",
        ("GET", "/debtors/{debtor_id}"): "debtor.read",
        ("GET", "/debtors/{debtor_id}/score"): "debtor.scored",
        ("GET", "/debtors/{debtor_id}/assessments"): "debtor.history_read",
        ("GET", "/debtors/{debtor_id}/rank"): "debtor.ranked",
        ("GET", "/holds"): "hold.listed",
        ("GET", "/holds/{hold_id}"): "hold.read",
        ("GET", "/runs/preview"): "run.previewed",
        ("GET", "/runs/{run_id}/exclusions"): "run.exclusions_read",
        ("GET", "/runs/{run_id}/compare"): "run.compared",
        ("GET", "/simulations/{simulation_id}"): "simulation.read",
        ("GET", "/runs/{run_id}/explain/{debtor_id}"): "run.explained",
    },
    "debt": {
        ("GET", "/debtors/{debtor_id}/decisions"): "debtor.decisions_read",
        ("GET", "/debtors/{debtor_id}/skips"): "debtor.skips_read",
        ("GET", "/runs"): "run.reports_listed",
        ("GET", "/runs/{run_id}"): "run.report_read",
        ("GET", "/runs/{run_id}/decisions"): "run.decisions_read",
        ("GET", "/runs/{run_id}/errors"): "run.errors_read",
        ("GET", "/runs/{run_id}/skips"): "run.skips_read",
    },
}
IMPERSONAL = {
    "risk": {
        ("GET", "/me"),
        ("GET", "/workers"),
        ("POST", "/scores"),  # stores nothing and receives no name
        ("GET", "/scoring-jobs/{job_id}"),
        ("GET", "/portfolios"),
        ("GET", "/portfolios/{name}"),
        ("GET", "/portfolios/{name}/activations"),
        ("GET", "/portfolios/{name}/summary"),
        ("GET", "/portfolios/{name}/concentration"),
        ("GET", "/policies"),
        ("GET", "/policies/{policy_hash}"),
        ("GET", "/policies/{policy_hash}/findings"),
        ("GET", "/policies/{policy_hash}/diff/{other_hash}"),
        ("GET", "/runs"),
        ("GET", "/runs/{run_id}"),
        ("GET", "/runs/{run_id}/batches"),
        ("GET", "/runs/{run_id}/events"),
        ("GET", "/runs/{run_id}/manifest"),
        ("GET", "/simulations"),  # without reports, which name debtors
    },
    "debt": {("GET", "/me"), ("GET", "/workers"), ("GET", "/queues"), ("GET", "/dead-letters")},
}


def ok(response: Any) -> Any:
    assert response.is_success, response.text
    return response.json() if response.content else None


def created(risk: Guarded, **changes: Any) -> int:
    shown = ok(risk.request("operator", "POST", "/risk-service/debtors", json=DEBTOR | changes))
    return int(shown["id"])


HOLD = {"kind": "DISPUTE", "reason": "The amount is contested", "blocks": ["LEGAL_REVIEW"]}


def held(risk: Guarded, debtor: int) -> str:
    """Place a hold on a debtor."""
    return str(ok(risk.request("operator", "POST", "/risk-service/holds", json=HOLD | {"debtor_id": debtor}))["id"])


def newest(api: Guarded) -> dict[str, Any]:
    return api.records()[-1]
