"""Profiles scored without being stored, under any known policy, exactly; and scoring jobs over HTTP."""

import csv
import threading
from typing import Any

import httpx
import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_profile, a_registry, generate_debtors, shared_file
from tests.risk_assessment.responses import ASSESSMENT, SCORING_JOB, STANDARD_FACTORS, created, shown

from risk_assessment.app import create_app
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring, service
from risk_assessment.scoring.routes import MAX_PROFILES_AT_ONCE
from risk_assessment.scoring.schemas import MAX_PROFILES
from risk_assessment.settings import Settings
from service_kit.database.engine import Database

INPUTS = (
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
    "family_situation",
)


@pytest.mark.anyio
@pytest.mark.parametrize("count", [MAX_PROFILES_AT_ONCE, MAX_PROFILES_AT_ONCE + 1, MAX_PROFILES])
async def test_many_profiles_are_scored_beside_the_event_loop(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    threads: list[int] = []
    score_all = service.score_all

    def watched(*given: Any) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return score_all(*given)

    monkeypatch.setattr(service, "score_all", watched)
    app = create_app(Settings(_env_file=None, risk_database_url=str(sqlite.engine.url), aws_region="eu-west-1"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1/risk-service")
    async with app.router.lifespan_context(app), client:
        response = await client.post("/scores", json={"profiles": [a_profile()] * count})

    assert len(shown(response)["results"]) == count
    assert (threads == [threading.get_ident()]) is (count == MAX_PROFILES_AT_ONCE)


@pytest.mark.usefixtures("nothing_written")
def test_profiles_are_scored_in_the_order_sent_and_not_stored(api: Api) -> None:
    profiles = [a_profile(late_payments_count=count) for count in (0, 1, 3, 6)]

    response = shown(api.post("/scores", json={"profiles": profiles}))

    assert set(response) == {"policy", "results"}
    assert set(response["policy"]) == {"name", "version", "hash"}
    assert response["policy"]["name"] == "standard"
    assert [result["index"] for result in response["results"]] == [0, 1, 2, 3]
    for result, points in zip(response["results"], (1, 4, 7, 10), strict=True):
        assert set(result) == {"index", "status", "assessment", "priority"}
        assert result["status"] == "scored"
        assessment = result["assessment"]
        assert set(assessment) == ASSESSMENT
        assert list(assessment["factors"]) == STANDARD_FACTORS
        assert assessment["factors"]["payment_history"]["points"] == points
        assert assessment["policy"] == response["policy"]
        assert result["priority"] == independent.money(assessment["total_score"] * 500_000)


def test_good_and_bad_profiles_mix(api: Api) -> None:
    profiles = [a_profile(), a_profile(contract_type="NONE"), a_profile(monthly_income=0)]

    results = shown(api.post("/scores", json={"profiles": profiles, "policy": "standard"}))["results"]

    assert [result["status"] for result in results] == ["scored", "error", "scored"]
    [error] = results[1]["errors"]
    assert error["field"] == "contract_type"
    assert "'FREELANCE'" in error["message"]


def test_classic_asks_for_the_family_situation(api: Api) -> None:
    profiles = [a_profile(), a_profile(family_situation="SINGLE_NO_DEPENDENTS")]

    response = shown(api.post("/scores", json={"policy": "classic", "profiles": profiles}))

    assert response["policy"]["name"] == "classic"
    refused, scored = response["results"]
    assert [error["field"] for error in refused["errors"]] == ["family_situation"]
    assert list(scored["assessment"]["factors"]) == [*STANDARD_FACTORS, "family_situation"]


def test_a_thousand_profiles_fit(api: Api) -> None:
    results = shown(api.post("/scores", json={"profiles": [a_profile()] * 1_000}))["results"]

    assert len(results) == 1_000
    assert {result["status"] for result in results} == {"scored"}


def original_cases() -> list[dict[str, str]]:
    path = shared_file("classic_scores.csv")
    if path is None:
        pytest.skip("no classic_scores.csv under $SMARTRECOVER_SHARED/data: the original's 300 cases are not tried")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def a_case(row: dict[str, str]) -> dict[str, Any]:
    return {name: row[name] for name in INPUTS} | {"late_payments_count": int(row["late_payments_count"])}


def test_classic_gives_what_the_original_program_gave(api: Api) -> None:
    cases = original_cases()

    body = {"policy": "classic", "profiles": [a_case(row) for row in cases]}
    results = shown(api.post("/scores", json=body))["results"]

    assert len(results) == 300
    for row, result in zip(cases, results, strict=True):
        assessment = result["assessment"]
        points = {f"points_{name}": str(factor["points"]) for name, factor in assessment["factors"].items()}
        assert row | points == row
        assert (row["total_score"], row["risk_level"], row["priority"]) == (
            str(assessment["total_score"]),
            assessment["risk_level"],
            result["priority"],
        )


def test_a_scoring_job_is_promised_and_shows_its_progress(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 10, portfolio=portfolio)
    response = api.post("/scoring-jobs", json={"portfolio": portfolio, "policy": "classic"})

    job = created(response)
    assert response.status_code == 202
    assert response.headers["location"] == f"/risk-service/scoring-jobs/{job['id']}"
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
