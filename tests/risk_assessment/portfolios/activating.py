"""Policies uploaded and activated over HTTP, and portfolios scored again as the dispatcher does it."""

from typing import Any

from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_registry
from tests.risk_assessment.policies.documents import a_document, harsher
from tests.risk_assessment.responses import created

from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from service_kit.database.engine import Database


def uploaded(api: Any, name: str, version: int = 1, **changes: Any) -> dict[str, Any]:
    """A draft that scores differently from `standard`."""
    return created(api.post("/policies", json=harsher(a_document(name, version, **changes))))


def activate(api: Api, policy_hash: str, portfolio: str, **changes: Any) -> Any:
    body = {"portfolio": portfolio, "reason": "Approved in the meeting"} | changes
    return api.post(f"/policies/{policy_hash}/activate", json=body)


def activated(api: Api, policy_hash: str, portfolio: str, **changes: Any) -> dict[str, Any]:
    """Activate a policy, and return the scoring job of the response."""
    return created(activate(api, policy_hash, portfolio, **changes))


def score_again(database: Database, job_id: str, chunks: int = 1_000) -> None:
    """Carry out so many chunks of a scoring job."""
    registry = a_registry()
    for _ in range(chunks):
        with database.read() as connection:
            job = scoring_jobs.read(connection, job_id)
            scorer = registry.scorer(connection, job.policy_id)
        if not database.transact(lambda c, job=job, scorer=scorer: rescoring.score_chunk(c, job, scorer, NOON)):
            return
