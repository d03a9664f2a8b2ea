"""What responses must look like: the exact shapes that clients rely on, and problem documents."""

from typing import Any

import httpx

PROFILE_FIELDS = {
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
    "family_situation",
    "attributes",
    "payment_status",
}
DEBTOR = PROFILE_FIELDS | {
    "id",
    "portfolio",
    "external_ref",
    "person_ref",
    "name",
    "priority",
    "assessment",
    "created_at",
    "updated_at",
    "version",
}
ASSESSMENT = {"total_score", "risk_percentage", "risk_level", "factors", "reasons", "policy", "assessed_at"}
STANDARD_FACTORS = ["debt_ratio", "payment_history", "employment_status", "contract_type", "industry_sector"]
RUN = {
    "capacities",
    "id",
    "portfolio",
    "state",
    "batch_size",
    "threshold",
    "limit",
    "unit",
    "filters",
    "policy",
    "as_of",
    "debtors_ranked",
    "debtors_high",
    "excluded",
    "batches_total",
    "batches_sent",
    "batches_done",
    "batches_dead",
    "batches_cancelled",
    "batches_by_lane",
    "manifest_hash",
    "created_at",
    "planned_at",
    "published_at",
    "completed_at",
    "error",
}
HOLD = {
    "id",
    "portfolio",
    "debtor_id",
    "person_ref",
    "kind",
    "blocks",
    "reason",
    "source",
    "from",
    "until",
    "recorded_at",
    "recorded_by",
    "ended_at",
    "end_reason",
    "ended_by",
    "active",
}
SCORING_JOB = {
    "id",
    "portfolio",
    "state",
    "policy",
    "debtors_total",
    "debtors_scored",
    "debtors_failed",
    "levels_changed",
    "created_at",
    "started_at",
    "finished_at",
    "error",
}


def problem_of(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The problem document of a refusal with one of these statuses; any 4xx when none is given."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:500]}"
    assert not statuses or response.status_code in statuses, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["instance"] == f"urn:request:{response.headers['x-request-id']}"
    return problem


def fields_of(response: httpx.Response, *statuses: int) -> list[str]:
    """The fields that a refusal names."""
    return [error["field"] for error in problem_of(response, *statuses)["errors"]]


def created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code in (201, 202), f"{response.status_code}: {response.text[:500]}"
    body: dict[str, Any] = response.json()
    return body


def shown(response: httpx.Response) -> Any:
    assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
    return response.json()


def all_pages(client: Any, path: str, **params: Any) -> list[dict[str, Any]]:
    """Follow the cursors to the end."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = shown(client.get(path, params=params | ({"cursor": cursor} if cursor else {})))
        assert set(page) == {"items", "next_cursor"}
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items
