"""What the pages of runs read from both APIs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from recovery_client import debt, risk
from recovery_client.errors import RejectedError
from recovery_client.run_shapes import Run, Stretch
from recovery_console.dependencies import Visit
from recovery_console.failures import Away
from recovery_console.runs.form import RunForm
from recovery_console.runs.planning import BATCH_SIZE_PROBLEM, Consequences, consequences
from recovery_console.runs.progress import Findings

RECENT = 10  # skips that the page of a run shows
COMPARABLE = 500  # completed runs that a run can be compared with
DEFAULT_PORTFOLIO = "default"
NOT_FOUND, INVALID = 404, 422


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a form would do, or why that cannot be said: a service is away, or something is wrong with the fields."""

    view: Consequences | None = None
    currency: str | None = None
    away: Away | None = None
    problem: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


async def outlook_of(visit: Visit, form: RunForm) -> Outlook:
    """Return what a new run with this form would do now."""
    if form.batch_size is None:
        return Outlook(problem=BATCH_SIZE_PROBLEM, problems={"batch_size": BATCH_SIZE_PROBLEM})
    name = form["portfolio"] or DEFAULT_PORTFOLIO
    try:
        preview, portfolio, runs = await asyncio.gather(
            visit.attempt(risk.preview(**form.preview_options())),
            visit.attempt(risk.portfolio(name)),
            visit.attempt(risk.runs(portfolio=name, state="completed", limit=1)),
        )
    except RejectedError as error:
        if error.status not in (NOT_FOUND, INVALID):
            raise
        return Outlook(problem=error.detail, problems=error.field_errors)
    if isinstance(preview, Away) or isinstance(portfolio, Away) or isinstance(runs, Away):
        return Outlook(away=next(one for one in (preview, portfolio, runs) if isinstance(one, Away)))
    last = next(iter(runs["items"]), None)
    return Outlook(consequences(preview, form, last, visit.reader), portfolio["currency"])


async def completed_runs(visit: Visit, portfolio: str) -> list[Run]:
    """Return the completed runs of a portfolio that began last."""
    page = await visit.ask(risk.runs(portfolio=portfolio, state="completed", limit=COMPARABLE))
    return page["items"]


async def findings_on(visit: Visit, run: Run, *, with_batches: bool = True) -> Findings:
    """Return what both services know of a run; without a report until its first batch is recorded."""
    if not with_batches:
        return await _reported(visit, run)
    found, batches = await asyncio.gather(_reported(visit, run), _batches_of(visit, run))
    return replace(found, batches=batches)


async def _reported(visit: Visit, run: Run) -> Findings:
    try:
        report = await visit.attempt(debt.report(run["id"]))
    except RejectedError as error:
        if error.status != NOT_FOUND:
            raise
        return Findings()
    if isinstance(report, Away):
        return Findings(away=report)
    skips = await visit.attempt(debt.skips(run["id"], limit=RECENT)) if report["skipped"] else None
    if isinstance(skips, Away):
        return Findings(report, away=skips)
    return Findings(report, skips["items"] if skips else ())


async def _batches_of(visit: Visit, run: Run) -> Sequence[Stretch] | None:
    if not run["batches_total"]:
        return None
    try:
        found = await visit.attempt(risk.batches(run["id"]))
    except RejectedError as error:
        if error.status != NOT_FOUND:  # a risk service of an earlier version does not know the list
            raise
        return None
    return None if isinstance(found, Away) else found["stretches"]
