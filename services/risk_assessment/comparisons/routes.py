"""`/runs/{run_id}/compare`: what changed since an earlier run, as pages or as a file."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from risk_assessment.comparisons import queries
from risk_assessment.comparisons.comparing import Comparison, RecentComparisons
from risk_assessment.comparisons.schemas import ComparedDebtorOut, ComparisonOut
from risk_assessment.dependencies import Context, RiskContext, RunId
from service_kit.auth.portfolios import Origin
from service_kit.http.context import long_viewer
from service_kit.http.exports import EXPORT_RESPONSES, ChosenFormat, export
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.pages import Cursor, Limit, decode_cursor, encode_cursor
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/runs", tags=["runs"], route_class=JsonRoute)

EXPORT_CHUNK = 2_000
RECENT = RecentComparisons()

WithRun = Annotated[
    str, Query(alias="with", pattern=PRINTABLE_PATTERN, description="The earlier run, of the same portfolio")
]


@router.get(
    "/{run_id}/compare",
    response_model=ComparisonOut,
    responses=EXPORT_RESPONSES | problem_responses(409),
    dependencies=long_viewer(Origin.PATH),
)
def compare(
    run_id: RunId,
    with_run: WithRun,
    context: Context,
    wanted: ChosenFormat,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """What changed between an earlier run and this one: totals and a page as JSON, or all debtors as CSV or NDJSON.

    First come the debtors that this run ranks, new or moved to another level or lane, by rank; then those that are
    gone, by their earlier rank.
    """
    start = 0 if cursor is None else max(0, int(decode_cursor(cursor, (int,))[0]))
    found = _compared(context, run_id, with_run)
    context.audit.read("run.compared", f"run:{run_id}")
    if wanted == "json":
        return json_response(_page(found, start, limit))
    return export(wanted, f"comparison-{run_id}", tuple(ComparedDebtorOut.model_fields), _chunks(found))


def _compared(context: RiskContext, run_id: str, with_run: str) -> Comparison:
    with context.reading() as connection:
        this, earlier = queries.two_runs(connection, run_id, with_run, context.portfolios)
        return RECENT.of(connection, this, earlier, context.registry)


def _page(found: Comparison, start: int, limit: int) -> ComparisonOut:
    items = found.items(start, limit)
    more = start + len(items) < found.differing
    cursor = encode_cursor([start + len(items)]) if more else None
    return ComparisonOut.model_validate({**found.totals(), "items": items, "next_cursor": cursor})


def _chunks(found: Comparison) -> Iterator[list[dict[str, Any]]]:
    """Yield all debtors that differ, a chunk at a time."""
    yield from (found.items(start, EXPORT_CHUNK) for start in range(0, found.differing, EXPORT_CHUNK))
