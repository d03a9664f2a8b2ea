"""The runs that the inbox knows: one found by its id, and the scorer of its policy."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, select

from debt_processing.runs.tables import runs
from recovery_core.policies.document import load_policy
from recovery_core.scoring.scorer import Scorer, scorer_for
from service_kit.auth.portfolios import Portfolios, admits


class RunUnknown(LookupError):  # noqa: N818 - named by its consequence
    """No batch of this run has been recorded here."""

    def __init__(self) -> None:
        super().__init__("no batch of this run has been recorded")


def find_run(connection: Connection, run_id: str, within: Portfolios = None) -> Row[Any]:
    """Return the run's row if it is of these portfolios. Raises RunUnknown."""
    run = connection.execute(select(runs).where(runs.c.run_id == run_id)).first()
    if run is None or not admits(within, run.portfolio):
        raise RunUnknown
    return run


@lru_cache(maxsize=64)
def scorer_of(policy_document: str) -> Scorer:
    """Return the scorer of a stored policy, which turns reason codes back into reasons."""
    return scorer_for(load_policy(policy_document))
