"""The dispatcher's step for scoring jobs: a chunk at a time, and only while no run waits for its plan."""

from collections.abc import Sequence

import structlog
from sqlalchemy import select

from risk_assessment.metrics import SCORED
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import UNPLANNED, runs
from risk_assessment.scoring import queries, rescoring
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.worker.dependencies import Dependency, explain_outage
from service_kit.worker.leader_lease import LeaderLease, LeaseLostError
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

log = structlog.get_logger()

LOOK_SECONDS = 0.5


class ScoringSteps:
    """Scores portfolios again in the background."""

    def __init__(
        self, database: Database, registry: PolicyRegistry, lease: LeaderLease, needs: Sequence[Dependency]
    ) -> None:
        self._database, self._registry, self._lease, self._needs = database, registry, lease, needs

    def steps(self) -> list[Step]:
        """Return the steps of this noun."""
        return [Step("score", LOOK_SECONDS, self._score_next, self._needs)]

    async def _score_next(self) -> bool:
        return await in_thread(self._score_chunk)

    def _score_chunk(self) -> bool:
        with self._database.read() as connection:
            # A chunk computes as long as thousands of debtors are ranked: planning comes first.
            if connection.execute(select(runs.c.number).where(runs.c.state.in_(UNPLANNED)).limit(1)).first():
                return False
            job = queries.next_job(connection)
            if job is None:
                return False
            scorer = self._registry.scorer(connection, job.policy_id)
        try:
            scored = self._lease.write(lambda c: rescoring.score_chunk(c, job, scorer, utc_now()))
        except Exception as error:
            if explain_outage(error) is not None or isinstance(error, LeaseLostError):
                raise
            log.exception("risk.scoring_job.failed", scoring_job_id=job.id)
            self._lease.write(lambda c: rescoring.fail(c, job.number, "scoring failed; see the log", utc_now()))
            return True
        SCORED.inc(scored)
        if not scored:
            log.info("risk.scoring_job.completed", scoring_job_id=job.id)
        return True
