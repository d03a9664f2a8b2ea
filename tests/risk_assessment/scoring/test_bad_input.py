"""Whatever is wrong with profiles or a scoring job, the response names it, profile by profile."""

from typing import Any

import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_profile
from tests.risk_assessment.responses import fields_of, shown

from risk_assessment.scoring.service import MAX_PROFILE_ERRORS


@pytest.fixture
def default_portfolio(api: Api) -> None:
    api.put("/portfolios/default", json={})


@pytest.mark.parametrize(
    ("field", "value"),
    [("portfolio", "a b"), ("portfolio", None), ("policy", "no-such-policy"), ("policy", 5), ("surprise", 1)],
)
@pytest.mark.usefixtures("default_portfolio", "nothing_written")
def test_a_bad_scoring_job_is_refused_by_name(api: Api, field: str, value: object) -> None:
    assert fields_of(api.post("/scoring-jobs", json={field: value}), 422) == [field]


def test_of_a_profiles_many_errors_the_first_are_listed(api: Api) -> None:
    profile = {f"n{number}": 1 for number in range(90)}

    [result] = shown(api.post("/scores", json={"profiles": [profile]}))["results"]

    assert len(result["errors"]) == MAX_PROFILE_ERRORS


def test_bad_profiles_are_named_one_by_one(api: Api) -> None:
    profiles: list[Any] = [
        a_profile(),
        "not a profile",
        None,
        [],
        {},
        a_profile(total_debt_amount=-1),
        a_profile(late_payments_count=True),
        a_profile(surprise=1),
        a_profile(name="Alex"),
        a_profile(employment_status="PIRATE"),
        a_profile(monthly_income="1.234", contract_type=None),
        a_profile(),
    ]

    results = shown(api.post("/scores", json={"profiles": profiles}))["results"]

    assert [result["index"] for result in results] == list(range(len(profiles)))
    assert [result["status"] for result in results] == ["scored"] + ["error"] * 10 + ["scored"]
    wrong = [{error["field"] for error in result["errors"]} for result in results[1:-1]]
    assert wrong == [
        {"profile"},
        {"profile"},
        {"profile"},
        set(a_profile()),
        {"total_debt_amount"},
        {"late_payments_count"},
        {"surprise"},
        {"name"},
        {"employment_status"},
        {"monthly_income", "contract_type"},
    ]
    assert all(set(result) == {"index", "status", "errors"} for result in results[1:-1])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "profiles"),
        ({"profiles": []}, "profiles"),
        ({"profiles": [{}] * 1_001}, "profiles"),
        ({"profiles": {}}, "profiles"),
        ({"profiles": "x"}, "profiles"),
        ({"profiles": [{}], "policy": "no-such-policy"}, "policy"),
        ({"profiles": [{}], "policy": 5}, "policy"),
        ({"profiles": [{}], "surprise": 5}, "surprise"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_list_of_profiles_is_refused_by_name(api: Api, body: Any, field: str) -> None:
    assert fields_of(api.post("/scores", json=body), 422) == [field]
