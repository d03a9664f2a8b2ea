"""Debtors over HTTP: created, read, changed and deleted as clients rely on it, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, row_counts
from tests.risk_assessment.responses import (
    ASSESSMENT,
    DEBTOR,
    PROFILE_FIELDS,
    STANDARD_FACTORS,
    all_pages,
    created,
    fields_of,
    problem_of,
    shown,
)


def create(api: Api, portfolio: str, **changes: Any) -> dict[str, Any]:
    return created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    assert found.utcoffset() == timedelta(0)
    return found


def test_a_debtor_is_created_scored_and_found_again(api: Api, portfolio: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    response = api.post("/debtors", json=a_debtor(portfolio=portfolio, external_ref="ACC-1", name="Zoë Ünal 🙂"))

    debtor = created(response)
    assert response.status_code == 201
    assert response.headers["location"] == f"/risk-service/debtors/{debtor['id']}"
    assert response.headers["etag"] == '"1"'
    assert set(debtor) == DEBTOR
    assert debtor | a_debtor(portfolio=portfolio, external_ref="ACC-1", name="Zoë Ünal 🙂") == debtor
    assert (debtor["payment_status"], debtor["family_situation"], debtor["version"]) == ("UNPAID", None, 1)
    assert before <= moment(debtor["created_at"]) == moment(debtor["updated_at"]) <= datetime.now(UTC)
    again = api.get(f"/debtors/{debtor['id']}")
    assert (shown(again), again.headers["etag"]) == (debtor, '"1"')


def test_the_assessment_says_what_the_policy_says(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio, late_payments_count=7, employment_status="UNEMPLOYED")

    assessment = debtor["assessment"]
    assert set(assessment) == ASSESSMENT
    assert list(assessment["factors"]) == STANDARD_FACTORS
    assert assessment["factors"]["payment_history"] == {"points": 10, "weight": 9, "contribution": 90}
    total = sum(factor["contribution"] for factor in assessment["factors"].values())
    assert assessment["total_score"] == total == 9 * 5 + 9 * 10 + 8 * 9 + 7 * 2 + 6 * 3
    assert assessment["risk_percentage"] == round(100 * total / 390, 2)
    assert assessment["risk_level"] == "HIGH" == independent.level(total)
    assert debtor["priority"] == independent.money(total * 500_000)
    assert set(assessment["policy"]) == {"name", "version", "hash"}
    assert assessment["policy"]["name"] == "standard"
    assert [set(reason) for reason in assessment["reasons"]] == [{"code", "text", "contribution"}] * 2
    assert assessment["reasons"][0]["contribution"] >= assessment["reasons"][1]["contribution"] > 0


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_responds_with_and_without_a_trailing_slash(api: Api, portfolio: str, slash: str) -> None:
    response = api.post(f"/debtors{slash}", json=a_debtor(portfolio=portfolio))
    one = created(response)["id"]
    assert response.headers["location"] == f"/risk-service/debtors/{one}"

    for path in ("/debtors", f"/debtors/{one}", f"/debtors/{one}/score", f"/debtors/{one}/assessments"):
        assert api.get(path + slash).status_code == 200
    assert api.get(f"/debtors/high-risk{slash}").status_code == 200
    assert api.put(f"/debtors/{one}{slash}", json=a_debtor()).status_code == 200
    assert api.patch(f"/debtors/{one}{slash}", json={}).status_code == 200
    assert api.post(f"/scores{slash}", json={"profiles": [{}]}).status_code == 200
    assert api.get(f"/runs/preview{slash}").status_code == 200
    assert api.get(f"/runs{slash}").status_code == 200
    assert api.delete(f"/debtors/{one}{slash}").status_code == 204


@pytest.mark.parametrize(
    ("given", "kept"),
    [("33267.1", "33267.10"), (5, "5.00"), (0.07, "0.07"), (9999999999.99, "9999999999.99"), ("0.01", "0.01")],
)
def test_money_is_exact_however_it_is_written(api: Api, portfolio: str, given: object, kept: str) -> None:
    debtor = create(api, portfolio, total_debt_amount=given)

    assert debtor["total_debt_amount"] == kept
    score = debtor["assessment"]["total_score"]
    assert debtor["priority"] == independent.money(score * int(kept.replace(".", "")))


def test_what_get_shows_can_be_put_back(api: Api, portfolio: str) -> None:
    debtor = create(
        api, portfolio, external_ref="A", family_situation="DIVORCED_NO_DEPENDENTS", payment_status="PARTIAL"
    )

    response = api.put(f"/debtors/{debtor['id']}", json=debtor)

    again = shown(response)
    assert response.headers["etag"] == '"2"'
    assert again.pop("updated_at") >= debtor.pop("updated_at")
    assert again.pop("assessment").pop("assessed_at") >= debtor.pop("assessment").pop("assessed_at")
    assert again == debtor | {"version": 2}


def test_put_writes_the_whole_debtor(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio, external_ref="A", family_situation="MARRIED_DUAL_INCOME", payment_status="PAID")

    replaced = shown(api.put(f"/debtors/{debtor['id']}", json=a_debtor(name="Bo", late_payments_count=9)))

    assert (replaced["name"], replaced["portfolio"], replaced["external_ref"]) == ("Bo", "default", None)
    assert (replaced["family_situation"], replaced["payment_status"]) == (None, "UNPAID")
    assert replaced["created_at"] == debtor["created_at"]
    assert replaced["assessment"]["total_score"] == debtor["assessment"]["total_score"] + 9 * (10 - 4)


def test_patch_changes_only_what_is_sent_and_scores_again(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio, external_ref="A")

    patched = shown(api.patch(f"/debtors/{debtor['id']}", json={"late_payments_count": 0}))

    changed = {"late_payments_count", "priority", "assessment", "updated_at", "version"}
    assert {name for name in DEBTOR if patched[name] != debtor[name]} == changed
    assert patched["assessment"]["total_score"] == debtor["assessment"]["total_score"] - 9 * (4 - 1)


def test_null_clears_what_may_be_empty(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio, family_situation="MARRIED_DUAL_INCOME", external_ref="A")

    patched = shown(api.patch(f"/debtors/{debtor['id']}", json={"family_situation": None, "external_ref": None}))

    assert (patched["family_situation"], patched["external_ref"]) == (None, None)


@pytest.mark.parametrize("field", ["monthly_income", "late_payments_count", "industry_sector"])
def test_null_does_not_clear_what_the_policy_needs(api: Api, portfolio: str, field: str) -> None:
    debtor = create(api, portfolio)

    assert fields_of(api.patch(f"/debtors/{debtor['id']}", json={field: None}), 422) == [field]
    assert shown(api.get(f"/debtors/{debtor['id']}"))["version"] == 1


@pytest.mark.parametrize("field", ["name", "portfolio", "payment_status", "total_debt_amount"])
@pytest.mark.usefixtures("nothing_written")
def test_null_clears_nothing_else(api: Api, field: str) -> None:
    assert fields_of(api.patch("/debtors/1", json={field: None}), 422) == [field]


def test_a_stale_version_changes_nothing(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio)
    path = f"/debtors/{debtor['id']}"
    shown(api.patch(path, json={"name": "Second"}, headers={"If-Match": '"1"'}))
    before = row_counts(api.database)

    for refused in (
        api.patch(path, json={"name": "Third"}, headers={"If-Match": '"1"'}),
        api.put(path, json=a_debtor(name="Third"), headers={"If-Match": '"1"'}),
        api.delete(path, headers={"If-Match": '"3"'}),
        api.delete(path, headers={"If-Match": '"2-gzip", W/"2", "1"'}),
        api.patch(path, json={"name": "Third"}, headers={"If-None-Match": '"1", W/"2"'}),
        api.put(path, json=a_debtor(name="Third"), headers={"If-None-Match": "*"}),
        api.get(path, headers={"If-Match": '"1"'}),
    ):
        assert "version 2" in problem_of(refused, 412)["detail"]

    assert row_counts(api.database) == before
    assert shown(api.get(path))["name"] == "Second"


@pytest.mark.parametrize("if_match", ['"1"', '"1-gzip", "1"', "*"])
def test_the_version_read_or_any_may_be_changed(api: Api, portfolio: str, if_match: str) -> None:
    path = f"/debtors/{create(api, portfolio)['id']}"

    response = api.patch(path, json={"name": "Bo"}, headers={"If-Match": if_match})

    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    assert api.delete(path, headers={"If-Match": response.headers["etag"]}).status_code == 204


@pytest.mark.parametrize("if_none_match", ['"1"', 'W/"1"', '"7", "1"', "*"])
def test_who_has_the_current_version_is_not_sent_it_again(api: Api, portfolio: str, if_none_match: str) -> None:
    path = f"/debtors/{create(api, portfolio)['id']}"

    for response in (
        api.get(path, headers={"If-None-Match": if_none_match}),
        api.head(path, headers={"If-None-Match": '"1"'}),
    ):
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"1"')

    shown(api.patch(path, json={"name": "Bo"}))
    changed = api.get(path, headers={"If-None-Match": '"1", W/"1"'})
    assert (shown(changed)["name"], changed.headers["etag"]) == ("Bo", '"2"')


def test_a_deleted_debtor_is_gone_but_its_assessments_are_kept(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio)
    path = f"/debtors/{debtor['id']}"
    shown(api.patch(path, json={"late_payments_count": 3}))
    before = row_counts(api.database)

    deleted = api.delete(path)

    assert (deleted.status_code, deleted.content) == (204, b"")
    after = row_counts(api.database) | {"portfolio_changes": before["portfolio_changes"]}
    assert after == before | {"debtors": before["debtors"] - 1, "stops": before["stops"] + 1}
    for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/score"), ("GET", "/assessments")):
        problem_of(api.request(method, path + rest), 404)
    assert create(api, portfolio)["id"] > debtor["id"]


@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/score"), ("GET", "/assessments")],
)
def test_an_unknown_debtor_is_not_found(api: Api, method: str, rest: str) -> None:
    body = {"PUT": a_debtor(), "PATCH": {}}.get(method)

    problem = problem_of(api.request(method, f"/debtors/{2**63 - 1}{rest}", json=body), 404)

    assert problem["title"] == "No such debtor"


def test_an_external_reference_is_unique_in_its_portfolio(api: Api, portfolio: str) -> None:
    create(api, portfolio, external_ref="ACC-1")
    other = create(api, portfolio, external_ref="acc-1")
    create(api, f"{portfolio}-2", external_ref="ACC-1")
    create(api, portfolio)
    create(api, portfolio)
    before = row_counts(api.database)

    for refused in (
        api.post("/debtors", json=a_debtor(portfolio=portfolio, external_ref="ACC-1")),
        api.put(f"/debtors/{other['id']}", json=a_debtor(portfolio=portfolio, external_ref="ACC-1")),
        api.patch(f"/debtors/{other['id']}", json={"external_ref": "ACC-1"}),
    ):
        assert fields_of(refused, 409) == ["external_ref"]

    assert row_counts(api.database) == before


def test_the_score_endpoint_judges_afresh_and_writes_nothing(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio)
    before = row_counts(api.database)

    score = shown(api.get(f"/debtors/{debtor['id']}/score"))

    assert set(score) == ASSESSMENT | {"debtor_id", "priority"}
    assert (score["debtor_id"], score["priority"]) == (debtor["id"], debtor["priority"])
    assert moment(score.pop("assessed_at")) > moment(debtor["assessment"].pop("assessed_at"))
    assert score == debtor["assessment"] | {"debtor_id": debtor["id"], "priority": debtor["priority"]}
    assert row_counts(api.database) == before
    assert shown(api.get(f"/debtors/{debtor['id']}"))["version"] == 1


def test_every_change_adds_an_assessment_and_alters_none(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio)
    path = f"/debtors/{debtor['id']}"
    so_far: list[dict[str, Any]] = []

    def newest_first() -> list[dict[str, Any]]:
        return list(shown(api.get(f"{path}/assessments"))["items"])

    for change in (
        None,
        {"late_payments_count": 4},
        {"payment_status": "PAID"},
        {"name": "Only the name"},
        {"total_debt_amount": "0.01"},
    ):
        if change:
            shown(api.patch(path, json=change))
        history = newest_first()
        assert history[1:] == so_far
        so_far = history

    shown(api.put(path, json=a_debtor(portfolio=portfolio)))
    history = newest_first()
    assert history[1:] == so_far
    assert [entry["version"] for entry in history] == [6, 5, 4, 3, 2, 1]
    assert all(set(entry) == ASSESSMENT | {"version", "priority", "profile"} for entry in history)
    assert all(set(entry["profile"]) == PROFILE_FIELDS for entry in history)
    assert [entry["profile"]["late_payments_count"] for entry in history] == [1, 4, 4, 4, 4, 1]
    assert history[1]["profile"]["total_debt_amount"] == "0.01"
    for entry in history:
        debt = int(entry["profile"]["total_debt_amount"].replace(".", ""))
        assert entry["priority"] == independent.money(entry["total_score"] * debt)


def test_a_long_history_comes_in_pages(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio)
    for count in range(7):
        shown(api.patch(f"/debtors/{debtor['id']}", json={"late_payments_count": count}))

    walked = all_pages(api, f"/debtors/{debtor['id']}/assessments", limit=3)

    assert [entry["version"] for entry in walked] == [8, 7, 6, 5, 4, 3, 2, 1]
