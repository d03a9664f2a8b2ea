"""Runs over HTTP: started, listed, watched and cancelled as clients rely on it, on both databases."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, add_debtor, generate_debtors, row_counts
from tests.risk_assessment.planned import plan
from tests.risk_assessment.responses import RUN, all_pages, created, problem_of, shown

from risk_assessment.runs import queries, service
from risk_assessment.tables import runs as runs_table
from service_kit.http.event_streams import MAX_STREAMS_PER_ACTOR


@pytest.fixture
def portfolio(api: Api, portfolio: str) -> str:
    """A portfolio of this test alone, which exists because a debtor names it."""
    add_debtor(api.database, portfolio=portfolio, payment_status="PAID")
    return portfolio


def start(api: Api, portfolio: str, **options: Any) -> dict[str, Any]:
    return created(api.post("/runs", json={"portfolio": portfolio} | options))


def end(api: Api, run: dict[str, Any], state: str = "completed") -> None:
    with api.database.write() as connection:
        connection.execute(update(runs_table).where(runs_table.c.id == run["id"]).values(state=state))


def test_a_run_is_promised_with_its_defaults(api: Api, portfolio: str) -> None:
    response = api.post("/runs", json={"portfolio": portfolio})

    run = created(response)
    assert response.status_code == 202
    assert response.headers["location"] == f"/risk-service/runs/{run['id']}"
    assert set(run) == RUN
    assert (run["state"], run["batch_size"], run["threshold"], run["limit"]) == ("accepted", 100, "500000.00", None)
    assert (run["filters"], run["excluded"], run["error"]) == (None, {}, None)
    assert run["policy"]["name"] == "standard"
    assert run["as_of"] == run["created_at"]
    for later in ("debtors_ranked", "debtors_high", "batches_total", "manifest_hash", "planned_at", "published_at"):
        assert run[later] is None
    assert [run[f"batches_{state}"] for state in ("sent", "done", "dead", "cancelled")] == [0, 0, 0, 0]
    assert shown(api.get(f"/runs/{run['id']}")) == shown(api.get(f"/runs/{run['id']}/")) == run


@pytest.mark.parametrize(("method", "path"), [("POST", "/runs"), ("POST", "/scoring-jobs"), ("GET", "/runs/preview")])
def test_a_portfolio_that_no_debtor_names_is_not_found(api: Api, portfolio: str, method: str, path: str) -> None:
    before, misspelt = row_counts(api.database), {"portfolio": portfolio[:-1]}
    named = {"params": misspelt} if method == "GET" else {"json": misspelt}

    problem = problem_of(api.request(method, path, **named), 404)

    assert problem["errors"] == [{"field": "portfolio", "message": "there is no such portfolio"}]
    assert row_counts(api.database) == before


def test_a_run_keeps_what_was_asked_for(api: Api, portfolio: str) -> None:
    filters = {"risk_level": ["HIGH"], "payment_status": ["PARTIAL"], "min_debt": "1.50", "max_debt": 20}

    run = start(
        api, portfolio, batch_size=1_000, threshold="4499999999995.50", limit=7, policy="classic", filters=filters
    )

    assert (run["batch_size"], run["threshold"], run["limit"]) == (1_000, "4499999999995.50", 7)
    assert run["policy"]["name"] == "classic"
    assert run["filters"] == filters | {"max_debt": "20.00"}
    assert shown(api.get(f"/runs/{run['id']}")) == run


def test_progress_shows_in_the_run(api: Api, portfolio: str) -> None:
    rows = generate_debtors(api.database, 30, portfolio=portfolio)
    run = start(api, portfolio, batch_size=4)

    plan(api.database, run["id"])

    planned = shown(api.get(f"/runs/{run['id']}"))
    ranked = len(independent.ranking(rows))
    assert (planned["state"], planned["debtors_ranked"]) == ("publishing", ranked)
    assert planned["batches_total"] >= ranked / 4
    assert planned["batches_sent"] == 0
    assert len(planned["manifest_hash"]) == 64
    assert planned["excluded"] == {"PAID": len(rows) - ranked}
    assert planned["planned_at"].startswith("2026-03-01T12:00:00")


def test_runs_are_listed_newest_first_while_others_start(api: Api, portfolio: str) -> None:
    started = [start(api, portfolio)["id"] for _ in range(5)]
    walked: list[str] = []
    cursor = None
    for _ in range(3):
        page = shown(api.get("/runs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})))
        walked += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        start(api, portfolio)

    assert walked[:5] == started[::-1]
    everything = [run["id"] for run in all_pages(api, "/runs", limit=500)]
    assert len(everything) == len(set(everything))
    assert set(started) <= set(everything)


def test_runs_are_listed_by_portfolio_and_state(api: Api, portfolio: str) -> None:
    started = [start(api, portfolio) for _ in range(5)]
    for run in started[::2]:
        end(api, run)
    listed = {None: started, "completed": started[::2], "accepted": started[1::2], "failed": []}

    for state, expected in listed.items():
        params = {"portfolio": portfolio} | ({"state": state} if state else {})
        found = all_pages(api, "/runs", limit=2, **params)
        assert [run["id"] for run in found] == [run["id"] for run in reversed(expected)]
    everywhere = [run["id"] for run in all_pages(api, "/runs", limit=500, state="completed")]
    assert [one for one in everywhere if one in {run["id"] for run in started}] == [run["id"] for run in started[::-2]]
    assert all_pages(api, "/runs", limit=2, portfolio=portfolio[:-1]) == []


def cancelled(api: Api) -> float:
    """How many cancellations the API has counted."""
    [line] = re.findall(
        r'^risk_runs_total{stage="cancelled"} (.*)$', httpx.get(f"{api.url}/metrics").text, re.MULTILINE
    )
    return float(line)


def test_a_cancelled_run_stays_cancelled(api: Api, portfolio: str) -> None:
    before = cancelled(api)
    generate_debtors(api.database, 10, portfolio=portfolio)
    run = start(api, portfolio, batch_size=3)
    plan(api.database, run["id"])

    first = shown(api.post(f"/runs/{run['id']}/cancel"))
    second = shown(api.post(f"/runs/{run['id']}/cancel/"))

    assert first["state"] == "cancelled"
    assert first["batches_cancelled"] == first["batches_total"] > 0
    assert second == first == shown(api.get(f"/runs/{run['id']}"))
    assert cancelled(api) - before == 1


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_run_that_is_over_cannot_be_cancelled(api: Api, portfolio: str, state: str) -> None:
    run = start(api, portfolio)
    end(api, run, state)

    assert state in problem_of(api.post(f"/runs/{run['id']}/cancel"), 409)["detail"]


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the runs that a stream of server-sent events shows."""
    for line in response.iter_lines():
        assert line == "" or line.startswith((":", "event: run", "data: "))
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def stream(api: Api, run: dict[str, Any]) -> Any:
    return httpx.stream("GET", f"{api.url}/risk-service/runs/{run['id']}/events", timeout=20)


def test_events_show_a_run_at_once_and_at_each_change_until_its_end(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 10, portfolio=portfolio)
    run = start(api, portfolio, batch_size=3)

    with stream(api, run) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        seen = events(response)
        assert next(seen) == run
        plan(api.database, run["id"])
        publishing = next(seen)
        cancelled = shown(api.post(f"/runs/{run['id']}/cancel"))
        rest = list(seen)

    assert (publishing["state"], publishing["batches_total"]) == ("publishing", cancelled["batches_total"])
    assert rest == [cancelled]


@pytest.mark.parametrize("state", ["completed", "cancelled", "failed"])
def test_events_of_a_run_that_is_over_are_one(api: Api, portfolio: str, state: str) -> None:
    run = start(api, portfolio)
    end(api, run, state)

    with stream(api, run) as response:
        assert [event["state"] for event in events(response)] == [state]


def test_many_watchers_do_not_keep_others_waiting(api: Api, portfolio: str) -> None:
    run = start(api, portfolio)

    def watch(_number: int) -> list[str]:
        with stream(api, run) as response:
            return [event["state"] for event in events(response)]

    with ThreadPoolExecutor(30) as pool:
        watching = pool.map(watch, range(30))
        assert httpx.get(f"{api.url}/risk-service/runs/{run['id']}", timeout=5).status_code == 200
        shown(api.post(f"/runs/{run['id']}/cancel"))
        assert all(states[-1] == "cancelled" for states in watching)


def test_a_caller_may_watch_only_so_many_runs_at_a_time(api: Api, portfolio: str) -> None:
    run = start(api, portfolio)

    with ExitStack() as streams:
        for _ in range(MAX_STREAMS_PER_ACTOR):
            assert streams.enter_context(stream(api, run)).status_code == 200
        refused = api.get(f"/runs/{run['id']}/events")

    assert problem_of(refused, 429)["title"] == "Too many streams"
    assert int(refused.headers["retry-after"]) > 0


def test_a_failed_run_says_why(api: Api, portfolio: str) -> None:
    run = start(api, portfolio)
    with api.database.read() as connection:
        number = queries.read(connection, run["id"]).number

    api.database.transact(lambda c: service.fail(c, number, "no reason", NOON))
    api.database.transact(lambda c: service.fail(c, number, "another reason", NOON))

    failed = shown(api.get(f"/runs/{run['id']}"))
    assert (failed["state"], failed["error"]) == ("failed", "no reason")
