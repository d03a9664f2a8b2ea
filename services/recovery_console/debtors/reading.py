"""What both services know of one debtor, asked side by side."""

import asyncio
from dataclasses import dataclass
from typing import Any

from recovery_client import debt, risk
from recovery_client.errors import RejectedError
from recovery_client.shapes import Debtor
from recovery_console.dependencies import Visit
from recovery_console.failures import Away

MAX_ITEMS = 100
RECENT_RUNS = 20
NOT_EXPLAINED = frozenset({404, 409, 410})
"""Refusals of an explanation: the run has not read the debtor, has no plan, or its history was deleted."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The answers about one debtor; an Away stands for each that its service did not give."""

    debtor: Debtor
    portfolio: Any
    rank: Any
    policy: Any
    assessments: Any
    holds: Any
    decisions: Any
    skips: Any
    others: Any
    run: Any
    explanation: Any

    @property
    def away(self) -> list[Away]:
        """Return each service that did not answer, once."""
        answers = (self.rank, self.policy, self.assessments, self.holds, self.decisions, self.skips, self.others)
        found = {answer.service: answer for answer in answers if isinstance(answer, Away)}
        return list(found.values())


async def findings_on(visit: Visit, debtor_id: int) -> Findings:
    """Return what is known of a debtor. Raises RejectedError where there is none."""
    debtor = await visit.ask(risk.debtor(debtor_id))
    portfolio, rank, policy, assessments, holds, decisions, skips, others, explained = await asyncio.gather(
        visit.attempt(risk.portfolio(debtor["portfolio"])),
        visit.attempt(risk.rank(debtor_id)),
        visit.attempt(risk.policy(debtor["assessment"]["policy"]["hash"])),
        visit.attempt(risk.assessments(debtor_id, limit=MAX_ITEMS)),
        holds_of(visit, debtor),
        visit.attempt(debt.debtor_decisions(debtor_id, limit=MAX_ITEMS)),
        visit.attempt(debt.debtor_skips(debtor_id, limit=MAX_ITEMS)),
        _others(visit, debtor),
        _explained(visit, debtor),
    )
    run, explanation = explained
    return Findings(
        debtor, portfolio, rank, policy, assessments, holds, decisions, skips, others, run=run, explanation=explanation
    )


async def holds_of(visit: Visit, debtor: Debtor) -> Any:
    """Return the holds on a debtor and on the person behind it, the last recorded first."""
    calls = [risk.holds(debtor_id=debtor["id"], limit=MAX_ITEMS)]
    if person := debtor["person_ref"]:
        calls.append(risk.holds(portfolio=debtor["portfolio"], person_ref=person, limit=MAX_ITEMS))
    answers = await asyncio.gather(*map(visit.attempt, calls))
    away = next((answer for answer in answers if isinstance(answer, Away)), None)
    if away is not None:
        return away
    items = [hold for answer in answers if not isinstance(answer, Away) for hold in answer["items"]]
    return sorted(items, key=lambda hold: hold["recorded_at"], reverse=True)


async def _others(visit: Visit, debtor: Debtor) -> Any:
    """Return the other accounts of the same person, the highest priority first."""
    person = debtor["person_ref"]
    if not person:
        return []
    call = risk.debtors(portfolio=debtor["portfolio"], person_ref=person, sort="priority", limit=MAX_ITEMS)
    answer = await visit.attempt(call)
    return answer if isinstance(answer, Away) else [one for one in answer["items"] if one["id"] != debtor["id"]]


async def _explained(visit: Visit, debtor: Debtor) -> tuple[Any, Any]:
    """Return the last run of the portfolio that is planned, and why the debtor stands where it stands there."""
    runs = await visit.attempt(risk.runs(portfolio=debtor["portfolio"], limit=RECENT_RUNS))
    if isinstance(runs, Away):
        return None, None
    # A run that was cancelled or has failed early never got a plan, so its state alone does not say.
    run = next((run for run in runs["items"] if run["planned_at"]), None)
    if run is None:
        return None, None
    try:
        explanation = await visit.attempt(risk.explanation(run["id"], debtor["id"]))
    except RejectedError as error:
        if error.status not in NOT_EXPLAINED:
            raise
        return run, None
    return run, None if isinstance(explanation, Away) else explanation
