"""What the pages of runs read from both APIs."""

from recovery_client import debt, risk
from recovery_client.errors import RejectedError
from recovery_client.run_shapes import Run
from recovery_console.dependencies import Visit
from recovery_console.failures import Away
from recovery_console.runs.progress import Findings

RECENT = 10  # skips that the page of a run shows
MAX_PAGES = 20  # of completed runs that are looked through for the one before, 500 each
NOT_FOUND = 404


async def last_completed_run(visit: Visit, portfolio: str) -> Run | None:
    """Return the completed run of a portfolio that began last."""
    page = await visit.ask(risk.runs(portfolio=portfolio, state="completed", limit=1))
    return next(iter(page["items"]), None)


async def completed_run_before(visit: Visit, run: Run) -> Run | None:
    """Return the completed run of the same portfolio that began last before this one."""
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await visit.ask(risk.runs(portfolio=run["portfolio"], state="completed", limit=500, cursor=cursor))
        for other in page["items"]:
            if other["id"] != run["id"] and other["created_at"] <= run["created_at"]:
                return other
        if (cursor := page["next_cursor"]) is None:
            break
    return None


async def findings_on(visit: Visit, run: Run) -> Findings:
    """Return what the debt service knows of a run; without a report until its first batch is recorded."""
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
