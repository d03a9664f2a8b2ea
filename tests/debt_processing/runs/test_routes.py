"""The report on a run, on each kind of database."""

import itertools
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import update
from tests.debt_processing.api import every_page, get
from tests.debt_processing.builders import AS_OF, a_debtor, debtors
from tests.debt_processing.stops.feed import a_stop

from debt_processing.tables import batches
from recovery_core.policies.builtin import built_in_policy
from service_kit.database.engine import Database

pytestmark = pytest.mark.anyio


async def test_the_report_adds_up_what_was_recorded(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    wrong = {"industry_sector": "?"}
    store(sequence=1, entries=[*debtors(3), a_debtor(9) | wrong], batches_total=2, debtors_total=7)
    store(
        sequence=2,
        entries=debtors(3, first=20, payment_status="PAID"),
        lane="standard",
        batches_total=2,
        debtors_total=7,
    )

    report = await get(api, "/runs/run-1")

    assert report | {"policy": None, "first_errors": []} == {
        "run_id": "run-1",
        "state": "completed",
        "portfolio": "default",
        "policy": None,
        "as_of": AS_OF.isoformat().replace("+00:00", "Z"),
        "threshold": "500000.00",
        "debtors_total": 7,
        "debtors_processed": 7,
        "succeeded": 6,
        "failed": 1,
        "skipped": 0,
        "skip_reasons": {},
        "high_priority": 6,
        "score_mismatches": 0,
        "batches_total": 2,
        "batches_processed": 2,
        "started_at": "2026-03-01T12:30:00Z",
        "finished_at": "2026-03-01T12:30:02Z",
        "processing_seconds": 2.0,
        "debtors_per_second": 3.5,
        "actions": {"AGENT_CALL": 3, "NO_ACTION": 3},
        "levels": {"MEDIUM": 6},
        "actions_by_level": {"MEDIUM": {"AGENT_CALL": 3, "NO_ACTION": 3}},
        "error_kinds": {"industry_sector": 1},
        "first_errors": [],
    }
    assert report["policy"]["hash"] == built_in_policy("standard").hash
    [error] = report["first_errors"]
    assert (error["debtor_id"], error["batch_sequence"], error["stage"], error["error"]) == (
        9,
        1,
        "read",
        "industry_sector",
    )


async def test_skipped_debtors_count_as_processed_and_are_counted_by_reason(
    api: httpx.AsyncClient, store: Callable[..., None]
) -> None:
    paid = [a_stop(debtor_id, 7, payment_status="PAID") for debtor_id in (1, 2, 21)]
    store(sequence=1, entries=debtors(4), stops=[*paid, a_stop(3, 8, deleted=True)], batches_total=3, debtors_total=9)
    store(sequence=2, entries=debtors(3, first=20), stops=paid, batches_total=3, debtors_total=9)
    store(sequence=3, entries=debtors(2, first=30), batches_total=3, debtors_total=9)

    report = await get(api, "/runs/run-1")

    counts = {name: report[name] for name in ("debtors_processed", "succeeded", "failed", "skipped", "state")}
    assert counts == {"debtors_processed": 9, "succeeded": 5, "failed": 0, "skipped": 4, "state": "completed"}
    assert report["skip_reasons"] == {"DELETED": 1, "PAID": 3}
    assert sum(report["actions"].values()) == 5


async def test_what_the_version_before_recorded_has_no_skips(
    api: httpx.AsyncClient, store: Callable[..., None], any_database: Database
) -> None:
    store(sequence=1, entries=debtors(3), batches_total=2, debtors_total=5)
    with any_database.write() as connection:
        connection.execute(update(batches).values(skipped=None, skip_reasons=None, stops_seen=None))
    store(sequence=2, entries=debtors(2, first=9), stops=[a_stop(9, 7, deleted=True)], batches_total=2, debtors_total=5)

    report = await get(api, "/runs/run-1")

    assert (report["state"], report["succeeded"], report["skipped"]) == ("completed", 4, 1)
    assert report["skip_reasons"] == {"DELETED": 1}


async def test_a_run_is_processing_until_every_batch_is_recorded(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store(sequence=2, batches_total=2, debtors_total=6)
    assert (await get(lite_api, "/runs/run-1"))["state"] == "processing"
    lite_store(sequence=1, batches_total=2, debtors_total=6)
    assert (await get(lite_api, "/runs/run-1"))["state"] == "completed"


async def test_a_run_is_processing_while_its_debtors_do_not_add_up(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store(sequence=1, batches_total=1, debtors_total=4)

    report = await get(lite_api, "/runs/run-1")

    assert (report["batches_processed"], report["debtors_processed"]) == (1, 3)
    assert report["state"] == "processing"


async def test_at_most_ten_first_errors_are_shown(lite_api: httpx.AsyncClient, lite_store: Callable[..., None]) -> None:
    lite_store(entries=[a_debtor(n) | {"total_score": "x"} for n in range(1, 16)])

    report = await get(lite_api, "/runs/run-1")

    assert [error["position"] for error in report["first_errors"]] == list(range(10))
    assert report["levels"] == report["actions"] == {}


async def test_reports_are_listed_newest_first_each_as_it_is_read_alone(
    api: httpx.AsyncClient, store: Callable[..., None]
) -> None:
    for run in range(1, 6):
        wrong = [a_debtor(9) | {"contract_type": "?"}] if run % 2 else []
        store(f"run-{run}", entries=[*debtors(run, late_payments_count=run), *wrong], portfolio="ab"[run % 2])
        store(
            f"run-{run}", 2, entries=debtors(2, first=50), stops=[a_stop(50, 7, deleted=True)], portfolio="ab"[run % 2]
        )

    for params, listed in ({}, (5, 4, 3, 2, 1)), ({"portfolio": "b"}, (5, 3, 1)), ({"portfolio": "unheard-of"}, ()):
        pages = await every_page(api, "/runs", 2, **params)
        reports = list(itertools.chain.from_iterable(pages))
        assert [report["run_id"] for report in reports] == [f"run-{number}" for number in listed]
        assert reports == [await get(api, f"/runs/{report['run_id']}") for report in reports]
        assert all(len(page) <= 2 for page in pages)


@pytest.mark.parametrize("path", ["/runs/unknown", "/runs/unknown/decisions", "/runs/unknown/errors"])
async def test_an_unknown_run_is_a_404_problem(lite_api: httpx.AsyncClient, path: str) -> None:
    problem = await get(lite_api, path, 404)
    assert problem["title"] == "No such run"
