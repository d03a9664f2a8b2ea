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
from service_kit.worker.dependencies import Dependency
from service_kit.worker.leader import concerns_all_work
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

log = structlog.get_logger()

LOOK_SECONDS = 0.5


def steps_of(
    database: Database, registry: PolicyRegistry, lease: LeaderLease, needs: Sequence[Dependency]
) -> list[Step]:
    """Return the steps of this noun."""
    return [Step("score", LOOK_SECONDS, Rescorer(database, registry, lease).score_next, needs)]


class Rescorer:
    """Scores portfolios again in the background."""

    def __init__(self, database: Database, registry: PolicyRegistry, lease: LeaderLease) -> None:
        self._database, self._registry, self._lease = database, registry, lease

    async def score_next(self) -> bool:
        """Score the next chunk of the oldest job; return whether to look again at once."""
        return await in_thread(self._score_chunk)

    def _score_chunk(self) -> bool:
        with self._database.read(snapshot=False) as connection:
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
            if concerns_all_work(error):
                raise
            log.exception("risk.scoring_job.failed", scoring_job_id=job.id)
            self._lease.write(lambda c: rescoring.fail(c, job.number, "scoring failed; see the log", utc_now()))
            return True
        SCORED.inc(scored)
        if not scored:
            log.info("risk.scoring_job.completed", scoring_job_id=job.id)
        return True
