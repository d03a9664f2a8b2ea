"""Explanations and manifests over HTTP: what clients get, and which errors."""

import pytest
from sqlalchemy import delete
from tests.risk_assessment.apis import Api
from tests.risk_assessment.evidence.manifests import manifest_hash
from tests.risk_assessment.holds.placing import a_stored_debtor
from tests.risk_assessment.planned import plan
from tests.risk_assessment.responses import created, problem_of, shown

from risk_assessment.tables import assessments


def started(api: Api, portfolio: str) -> str:
    return str(created(api.post("/runs", json={"portfolio": portfolio}))["id"])


def planned(api: Api, portfolio: str) -> str:
    run_id = started(api, portfolio)
    plan(api.database, run_id)
    return run_id


def test_a_place_is_explained(api: Api, portfolio: str) -> None:
    first = a_stored_debtor(api, portfolio, total_debt_amount="900.00")
    second = a_stored_debtor(api, portfolio, total_debt_amount="800.00")
    run_id = planned(api, portfolio)

    found = shown(api.get(f"/runs/{run_id}/explain/{second}/"))

    assert (found["outcome"], found["rank"], found["of"], found["lane"]) == ("ranked", 2, 2, "standard")
    assert (found["above"]["debtor_id"], found["below"]) == (first, None)
    assert found["moves"][0] == {
        "factor": "debt_ratio",
        "value": {"above": 1, "up_to": 3},
        "total_score": found["total_score"] + 27,
        "risk_level": found["moves"][0]["risk_level"],
        "priority": f"{(found['total_score'] + 27) * 800}.00",
        "rank": 1,
    }
    assert found["policy"]["name"] == "standard"


def test_the_manifest_of_a_run_bears_its_hash(api: Api, portfolio: str) -> None:
    a_stored_debtor(api, portfolio)
    run_id = planned(api, portfolio)

    found = shown(api.get(f"/runs/{run_id}/manifest"))

    assert found["manifest_hash"] == manifest_hash(found) == shown(api.get(f"/runs/{run_id}"))["manifest_hash"]
    assert found["options"] == {"batch_size": 100, "threshold": "500000.00", "limit": None, "filters": None}


@pytest.mark.parametrize("path", ["explain/{debtor}", "manifest"])
def test_a_run_without_a_plan_is_a_conflict(api: Api, portfolio: str, path: str) -> None:
    debtor = a_stored_debtor(api, portfolio)
    run_id = started(api, portfolio)

    assert problem_of(api.get(f"/runs/{run_id}/{path.format(debtor=debtor)}"), 409)["title"] == "The run has no plan"
    assert problem_of(api.get(f"/runs/none/{path.format(debtor=debtor)}"), 404)["title"] == "No such run"


def test_a_debtor_of_another_portfolio_is_not_found_and_an_erased_one_is_gone(api: Api, portfolio: str) -> None:
    debtor = a_stored_debtor(api, portfolio)
    other = a_stored_debtor(api, f"{portfolio}-b")
    run_id = planned(api, portfolio)

    assert problem_of(api.get(f"/runs/{run_id}/explain/{other}"), 404)["title"] == "Not in this run"
    with api.database.write() as connection:
        connection.execute(delete(assessments).where(assessments.c.debtor_id == debtor))
    assert problem_of(api.get(f"/runs/{run_id}/explain/{debtor}"), 410)["title"] == "Inputs erased"
