"""A book with something to show on every page, and the pages."""

from typing import Any

from tests.recovery_console.builders import a_book, a_page, a_summary, an_exposure
from tests.recovery_console.debtors.builders import a_debtor_book, an_explanation
from tests.recovery_console.holds.builders import a_hold
from tests.recovery_console.operations.builders import a_dead_letter, a_lane, a_system
from tests.recovery_console.policies.builders import DRAFT_HASH, a_rule_book
from tests.recovery_console.run_builders import (
    LAST_ID,
    RUN_ID,
    a_completed_run,
    a_report,
    a_skip,
    some_runs,
    some_stretches,
)
from tests.recovery_console.simulations.builders import a_simulation

PAGES = (
    "/",
    "/portfolio/concentration?portfolio=default",
    "/debtors/7",
    "/debtors/7/holds/new",
    "/debtors/7/holds/h1/end",
    "/runs",
    "/runs/new",
    f"/runs/{LAST_ID}",
    f"/runs/{RUN_ID}/decisions",
    f"/runs/{RUN_ID}/exclusions",
    f"/runs/{RUN_ID}/compare",
    f"/runs/{RUN_ID}/why",
    "/operations",
    "/holds",
    "/holds/h1",
    "/holds/kinds",
    "/holds/import",
    "/policies",
    f"/policies/{DRAFT_HASH}",
    "/simulations",
    "/simulations/s1",
    "/sign-in",
    "/nowhere",
)
HOSTILE = "<script>alert(1)</script>"


def a_whole_book() -> dict[str, Any]:
    """The answers of both APIs: a completed run, dead letters, holds of both kinds, a draft, a simulation."""
    person = a_hold("h2", debtor_id=None, person_ref="P-17", kind="TIME_BARRED", blocks=["LEGAL_REVIEW"], until=None)
    return (
        a_debtor_book()
        | a_book()
        | a_system([a_lane("high", waiting=3, dead=2, oldest_seconds=240), a_lane("standard")])
        | some_runs()
        | a_rule_book()
        | {
            f"GET /risk-service/runs/{LAST_ID}": a_completed_run(LAST_ID),
            f"GET /risk-service/runs/{LAST_ID}/batches": some_stretches(LAST_ID),
            f"GET /risk-service/runs/{LAST_ID}/explain/7": an_explanation(LAST_ID),
            f"GET /debt-service/runs/{LAST_ID}": a_report(run_id=LAST_ID),
            f"GET /debt-service/runs/{LAST_ID}/skips": a_page(a_skip(detail=HOSTILE)),
            "GET /debt-service/dead-letters": a_page(a_dead_letter("1"), a_dead_letter("2", run_id="r1")),
            "GET /risk-service/holds": a_page(a_hold(reason=HOSTILE), person),
            "GET /risk-service/holds/h1": a_hold(reason=HOSTILE * 10),
            "GET /risk-service/portfolios/default/summary": a_summary(on_hold={"DISPUTE": an_exposure(2)}),
            "GET /risk-service/simulations/s1": a_simulation(),
            "POST /debt-service/dead-letters/redrive": {
                "redriven": 2,
                "failed": 0,
                "lanes": {"high": 2, "standard": 0},
                "not_found": [],
            },
        }
    )
