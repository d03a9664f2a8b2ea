"""Skips over HTTP, and what decisions show of holds and stops."""

import csv
import io
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import update
from tests.debt_processing.api import BASE, every_page, get
from tests.debt_processing.builders import NOW, a_debtor, debtors
from tests.debt_processing.stops.feed import a_hold, a_stop

from debt_processing.tables import batches, decisions
from recovery_core.holds import mask_of
from service_kit.database.engine import Database

pytestmark = pytest.mark.anyio


def some_stops() -> list[Any]:
    """Five debtors: one is paid, one deleted, one on hold and one blocked; the first is free."""
    return [
        a_stop(2, 11, payment_status="PAID"),
        a_stop(3, 12, deleted=True),
        a_stop(4, 13, holds=(a_hold(NOW, kind="BANKRUPTCY"),)),
        a_stop(5, 14, holds=(a_hold(NOW, blocked=mask_of(["AGENT_CALL", "LEGAL_REVIEW"])),)),
    ]


async def test_pages_of_skips_come_in_the_order_of_work(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for sequence in (2, 1):
        store(sequence=sequence, entries=debtors(3, first=sequence * 10), stops=[
            a_stop(debtor_id, 5, payment_status="PAID") for debtor_id in (10, 12, 20, 21, 22)
        ])  # fmt: skip

    pages = await every_page(api, "/runs/run-1/skips", 2)

    skips = list(itertools.chain.from_iterable(pages))
    assert [(skip["batch_sequence"], skip["position"]) for skip in skips] == [(1, 0), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert [len(page) for page in pages] == [2, 2, 1]


async def test_a_skip_shows_its_reason_and_what_was_known(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(sequence=3, entries=debtors(5), stops=some_stops(), seen=14)

    skips = (await get(api, "/runs/run-1/skips"))["items"]

    assert skips[0] == {
        "run_id": "run-1",
        "debtor_id": 2,
        "batch_sequence": 3,
        "position": 1,
        "reason": "PAID",
        "detail": "paid after the batch was planned",
        "stops_seen": 14,
        "recorded_at": "2026-03-01T12:30:03Z",
    }
    assert [(skip["debtor_id"], skip["reason"]) for skip in skips[1:]] == [(3, "DELETED"), (4, "HOLD_BANKRUPTCY")]


async def test_a_decision_shows_what_was_blocked_and_known(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(entries=debtors(5), stops=some_stops(), seen=14)

    free, blocked = (await get(api, "/runs/run-1/decisions"))["items"]

    assert (free["debtor_id"], free["action"], free["blocked"], free["stops_seen"]) == (1, "AGENT_CALL", [], 14)
    assert (blocked["debtor_id"], blocked["action"]) == (5, "PAYMENT_PLAN_OFFER")
    assert blocked["blocked"] == ["AGENT_CALL", "LEGAL_REVIEW"]
    assert (await get(api, "/debtors/5/decisions"))["items"] == [blocked]
    assert (await get(api, "/debtors/4/decisions"))["items"] == []


async def test_a_decision_of_the_version_before_knew_no_stops(
    api: httpx.AsyncClient, store: Callable[..., None], any_database: Database
) -> None:
    store(entries=debtors(1), seen=14)
    with any_database.write() as connection:
        connection.execute(update(batches).values(stops_seen=None))
        connection.execute(update(decisions).values(blocked=None))

    [decision] = (await get(api, "/runs/run-1/decisions"))["items"]

    assert (decision["blocked"], decision["stops_seen"]) == ([], None)


async def test_exports_hold_the_same_skips_as_the_pages(lite_api: httpx.AsyncClient, lite_store: Any) -> None:
    lite_store(entries=debtors(5), stops=some_stops(), seen=14)
    [*shown] = (await get(lite_api, "/runs/run-1/skips"))["items"]

    lines = await lite_api.get(f"{BASE}/runs/run-1/skips", headers={"Accept": "application/x-ndjson"})
    table = await lite_api.get(f"{BASE}/runs/run-1/skips", headers={"Accept": "text/csv"})

    assert [orjson.loads(line) for line in lines.text.splitlines()] == shown
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert rows == [{name: str(value) for name, value in skip.items()} for skip in shown]
    assert table.headers["content-disposition"] == 'attachment; filename="skips-run-1.csv"'


async def test_a_csv_shows_blocked_actions_in_one_cell(lite_api: httpx.AsyncClient, lite_store: Any) -> None:
    lite_store(entries=debtors(5), stops=some_stops())
    table = await lite_api.get(f"{BASE}/runs/run-1/decisions", headers={"Accept": "text/csv"})
    assert [row["blocked"] for row in csv.DictReader(io.StringIO(table.text))] == ["", "AGENT_CALL;LEGAL_REVIEW"]


async def test_an_unknown_run_has_no_skips(lite_api: httpx.AsyncClient) -> None:
    await get(lite_api, "/runs/unknown/skips", 404)


# Decisions by action and level


async def test_decisions_are_chosen_by_action_and_level(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for sequence in (1, 2):
        first = sequence * 10
        store(sequence=sequence, entries=[*debtors(2, first=first), a_debtor(first + 2, total_debt_amount="50.00")])
    every = (await get(api, "/runs/run-1/decisions"))["items"]

    for wanted in ({"action": "AGENT_CALL"}, {"action": "SELF_SERVICE_REMINDER"}, {"level": every[0]["risk_level"]}):
        name, value = next(iter(wanted.items()))
        field = "risk_level" if name == "level" else name
        found = await get(api, "/runs/run-1/decisions", params=wanted)
        assert found["items"] == [decision for decision in every if decision[field] == value]
    both = {"action": "SELF_SERVICE_REMINDER", "level": "CRITICAL"}
    assert (await get(api, "/runs/run-1/decisions", params=both))["items"] == []


async def test_chosen_decisions_have_pages_and_exports(lite_api: httpx.AsyncClient, lite_store: Any) -> None:
    lite_store(entries=[a_debtor(n, total_debt_amount="50.00" if n % 2 else "12000.00") for n in range(1, 9)])
    wanted = {"action": "SELF_SERVICE_REMINDER", "limit": "3"}

    first = await get(lite_api, "/runs/run-1/decisions", params=wanted)
    second = await get(lite_api, "/runs/run-1/decisions", params=wanted | {"cursor": first["next_cursor"]})
    lines = await lite_api.get(
        f"{BASE}/runs/run-1/decisions", params=wanted, headers={"Accept": "application/x-ndjson"}
    )

    assert [one["debtor_id"] for one in (*first["items"], *second["items"])] == [1, 3, 5, 7]
    assert second["next_cursor"] is None
    assert [orjson.loads(line) for line in lines.text.splitlines()] == [*first["items"], *second["items"]]


@pytest.mark.parametrize(("field", "value"), [("action", "CALL"), ("level", "SEVERE")])
async def test_an_unknown_action_or_level_is_rejected_by_name(
    lite_api: httpx.AsyncClient, field: str, value: str
) -> None:
    problem = await get(lite_api, "/runs/run-1/decisions", 422, params={field: value})
    assert field in str(problem["errors"])


async def test_a_debtors_skips_come_newest_run_first(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for run in range(1, 4):
        store(f"run-{run}", entries=debtors(5), stops=some_stops())

    pages = await every_page(api, "/debtors/2/skips", 2)

    skips = list(itertools.chain.from_iterable(pages))
    assert [(skip["run_id"], skip["debtor_id"], skip["reason"]) for skip in skips] == [
        ("run-3", 2, "PAID"),
        ("run-2", 2, "PAID"),
        ("run-1", 2, "PAID"),
    ]
    assert (await get(api, "/debtors/99/skips"))["items"] == []
