"""Runs over HTTP: previewed, started, listed, watched and cancelled as clients rely on it, on both databases."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from tests.risk_assessment import independent
from tests.risk_assessment.answers import RUN, SCORING_JOB, all_pages, created, problem_of, shown
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_registry, debtor_rows, every_row, generate_debtors
from tests.risk_assessment.planned import plan

from risk_assessment.runs import queries, service
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from risk_assessment.tables import runs as runs_table


@pytest.fixture(scope="module")
def book(api: Api) -> str:
    """A portfolio that nobody changes."""
    generate_debtors(api.database, 60, portfolio="runs-book")
    return "runs-book"


def start(api: Api, portfolio: str, **wishes: Any) -> dict[str, Any]:
    return created(api.post("/runs", json={"portfolio": portfolio} | wishes))


def end(api: Api, run: dict[str, Any], state: str = "completed") -> None:
    with api.database.write() as connection:
        connection.execute(update(runs_table).where(runs_table.c.id == run["id"]).values(state=state))


def test_a_run_is_promised_with_its_defaults(api: Api, portfolio: str) -> None:
    answer = api.post("/runs", json={"portfolio": portfolio})

    run = created(answer)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/risk-service/runs/{run['id']}"
    assert set(run) == RUN
    assert (run["state"], run["batch_size"], run["threshold"], run["limit"]) == ("accepted", 100, "500000.00", None)
    assert (run["filters"], run["excluded"], run["error"]) == (None, {}, None)
    assert run["policy"]["name"] == "standard"
    assert run["as_of"] == run["created_at"]
    for later in ("debtors_ranked", "debtors_high", "batches_total", "manifest_hash", "planned_at", "published_at"):
        assert run[later] is None
    assert [run[f"batches_{state}"] for state in ("sent", "done", "dead", "cancelled")] == [0, 0, 0, 0]
    assert shown(api.get(f"/runs/{run['id']}")) == shown(api.get(f"/runs/{run['id']}/")) == run


def test_a_run_keeps_what_was_wished(api: Api, portfolio: str) -> None:
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


def preview(api: Api, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = shown(api.get("/runs/preview", params=query))
    return found


def test_a_preview_shows_who_would_come_first(api: Api, book: str) -> None:
    rows = {row["id"]: row for row in debtor_rows(api.database, book)}
    ranking = independent.ranking(rows.values())
    threshold = ranking[20][0]

    found = preview(api, portfolio=book, threshold=independent.money(threshold))

    assert {"ranked", "lanes", "excluded", "top"} <= set(found)
    assert found["ranked"] == len(ranking)
    assert found["lanes"] == {"high": 20, "standard": len(ranking) - 20}
    assert found["excluded"] == {"PAID": len(rows) - len(ranking)}
    assert [line["rank"] for line in found["top"]] == list(range(1, 11))
    for line, (priority, debtor_id) in zip(found["top"], ranking[:10], strict=True):
        row = rows[debtor_id]
        assert line == {
            "rank": line["rank"],
            "debtor_id": debtor_id,
            "name": row["name"],
            "lane": "high",
            "priority": independent.money(priority),
            "total_score": independent.score(row),
            "risk_level": independent.level(independent.score(row)),
            "total_debt_amount": independent.money(row["total_debt_amount"]),
        }


@pytest.mark.parametrize("top_k", [1, 25, 500])
def test_a_preview_shows_as_many_as_asked_for(api: Api, book: str, top_k: int) -> None:
    ranking = independent.ranking(debtor_rows(api.database, book))

    found = preview(api, portfolio=book, top_k=top_k, threshold=independent.money(ranking[9][0]))

    assert [line["debtor_id"] for line in found["top"]] == [one for _, one in ranking[:top_k]]
    assert [line["lane"] for line in found["top"]] == (["high"] * 9 + ["standard"] * 500)[: len(found["top"])]


@pytest.mark.parametrize(
    "wishes",
    [
        {"limit": 7},
        {"policy": "classic"},
        {"risk_level": ["HIGH", "CRITICAL"]},
        {"payment_status": "PARTIAL", "min_debt": 100, "max_debt": "99999.99"},
    ],
    ids=str,
)
def test_a_preview_says_what_the_run_then_does(api: Api, book: str, wishes: dict[str, Any]) -> None:
    found = preview(api, portfolio=book, **wishes)
    filters = {name: value for name, value in wishes.items() if name not in ("limit", "policy")}
    if isinstance(filters.get("payment_status"), str):
        filters["payment_status"] = [filters["payment_status"]]
    rest = {name: value for name, value in wishes.items() if name in ("limit", "policy")}
    run = start(api, book, **rest, filters=filters or None)

    plan(api.database, run["id"])

    planned = shown(api.get(f"/runs/{run['id']}"))
    assert (found["ranked"], found["lanes"]["high"]) == (planned["debtors_ranked"], planned["debtors_high"])
    assert found["excluded"] == planned["excluded"]
    assert found["policy"] == planned["policy"]


def test_a_preview_changes_nothing(api: Api, book: str) -> None:
    def kept() -> dict[str, Any]:
        return {name: rows for name, rows in every_row(api.database).items() if name != "audit_records"}

    before = kept()

    preview(api, portfolio=book)
    preview(api, portfolio=book, policy="classic", limit=3)
    preview(api, portfolio="nobody-here")

    assert kept() == before


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The runs that a stream of server-sent events tells of."""
    for line in answer.iter_lines():
        assert line == "" or line.startswith((":", "event: run", "data: "))
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def stream(api: Api, run: dict[str, Any]) -> Any:
    return httpx.stream("GET", f"{api.url}/risk-service/runs/{run['id']}/events", timeout=20)


def test_events_tell_a_run_at_once_and_at_each_change_until_its_end(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 10, portfolio=portfolio)
    run = start(api, portfolio, batch_size=3)

    with stream(api, run) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer)
        assert next(told) == run
        plan(api.database, run["id"])
        publishing = next(told)
        cancelled = shown(api.post(f"/runs/{run['id']}/cancel"))
        rest = list(told)

    assert (publishing["state"], publishing["batches_total"]) == ("publishing", cancelled["batches_total"])
    assert rest == [cancelled]


@pytest.mark.parametrize("state", ["completed", "cancelled", "failed"])
def test_events_of_a_run_that_is_over_are_one(api: Api, portfolio: str, state: str) -> None:
    run = start(api, portfolio)
    end(api, run, state)

    with stream(api, run) as answer:
        assert [event["state"] for event in events(answer)] == [state]


def test_many_watchers_do_not_keep_others_waiting(api: Api, portfolio: str) -> None:
    run = start(api, portfolio)

    def watch(_number: int) -> list[str]:
        with stream(api, run) as answer:
            return [event["state"] for event in events(answer)]

    with ThreadPoolExecutor(30) as pool:
        watching = pool.map(watch, range(30))
        assert httpx.get(f"{api.url}/risk-service/runs/{run['id']}", timeout=5).status_code == 200
        shown(api.post(f"/runs/{run['id']}/cancel"))
        assert all(states[-1] == "cancelled" for states in watching)


def test_a_scoring_job_is_promised_and_shows_its_progress(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 10, portfolio=portfolio)
    answer = api.post("/scoring-jobs", json={"portfolio": portfolio, "policy": "classic"})

    job = created(answer)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/risk-service/scoring-jobs/{job['id']}"
    assert set(job) == SCORING_JOB
    assert (job["state"], job["portfolio"], job["policy"]["name"]) == ("accepted", portfolio, "classic")
    assert (job["debtors_total"], job["debtors_scored"], job["debtors_failed"]) == (None, 0, 0)
    assert shown(api.get(f"/scoring-jobs/{job['id']}/")) == job

    with api.database.read() as connection:
        row = scoring_jobs.read(connection, job["id"])
    with api.database.read() as connection:
        scorer = a_registry().scorer(connection, row.policy_id)
    while api.database.transact(lambda c: rescoring.score_chunk(c, row, scorer, NOON)):
        pass
    done = shown(api.get(f"/scoring-jobs/{job['id']}"))
    assert (done["state"], done["debtors_total"], done["debtors_scored"]) == ("completed", 10, 10)


def test_a_failed_run_says_why(api: Api, portfolio: str) -> None:
    run = start(api, portfolio)
    with api.database.read() as connection:
        number = queries.read(connection, run["id"]).number

    api.database.transact(lambda c: service.fail(c, number, "no reason", NOON))
    api.database.transact(lambda c: service.fail(c, number, "another reason", NOON))

    failed = shown(api.get(f"/runs/{run['id']}"))
    assert (failed["state"], failed["error"]) == ("failed", "no reason")
