"""Attributes of debtors over HTTP: checked against the declaration, stored, shown, changed, and scored by a policy."""

import uuid
from typing import Any

import pytest
from tests.recovery_core.own_policies import VALUES, own_document
from tests.risk_assessment.apis import Api
from tests.risk_assessment.portfolios.activating import activate, activated
from tests.risk_assessment.responses import created, fields_of, problem_of, shown

DECLARED: dict[str, Any] = {
    "days_past_due": {"type": "integer"},
    "home": {"type": "category", "values": ["OWNER", "RENT"]},
    "insured": {"type": "boolean", "required": True},
    "expenses": {"type": "money"},
    "since": {"type": "date"},
}


@pytest.fixture
def own(api: Api, portfolio: str) -> str:
    """A portfolio that declares attributes, with a policy over them."""
    created(api.put(f"/portfolios/{portfolio}", json={"attributes": DECLARED}))
    draft = created(api.post("/policies", json=own_document() | {"name": f"own-{uuid.uuid4().hex[:10]}"}))
    activated(api, draft["hash"], portfolio)
    return portfolio


def a_debtor(portfolio: str, **changes: Any) -> dict[str, Any]:
    facts = {"portfolio": portfolio, "name": "Alex", "total_debt_amount": "2000.00", "attributes": VALUES}
    return facts | changes


def create(api: Api, portfolio: str, **changes: Any) -> dict[str, Any]:
    return created(api.post("/debtors", json=a_debtor(portfolio, **changes)))


def test_a_debtor_has_the_attributes_that_it_came_with_and_is_scored_by_them(api: Api, own: str) -> None:
    debtor = create(api, own, attributes={**VALUES, "expenses": 800, "since": "2024-02-29"})

    assert debtor["attributes"] == {**VALUES, "expenses": "800.00", "since": "2024-02-29"}
    assert (debtor["monthly_income"], debtor["employment_status"]) == (None, None)
    assert {name: one["points"] for name, one in debtor["assessment"]["factors"].items()} == {
        "burden": 3,
        "cover": 1,
        "delinquency": 7,
        "housing": 4,
        "size": 6,
    }
    assert [reason["text"] for reason in debtor["assessment"]["reasons"]][:2] == [
        "The days past due are more than 30 and at most 90.",
        "The home is rent.",
    ]
    assert shown(api.get(f"/debtors/{debtor['id']}")) == debtor
    assert shown(api.get("/debtors", params={"portfolio": own}))["items"] == [debtor]
    [entry] = shown(api.get(f"/debtors/{debtor['id']}/assessments"))["items"]
    assert entry["profile"]["attributes"] == debtor["attributes"]


@pytest.mark.parametrize(
    ("attributes", "fields"),
    [
        ({"insured": "yes"}, ["attributes.insured"]),
        ({"insured": True, "days_past_due": "5", "home": "CASTLE"}, ["attributes.days_past_due", "attributes.home"]),
        ({"insured": True, "days_past_due": 1.5}, ["attributes.days_past_due"]),
        ({"insured": True, "expenses": "1.234"}, ["attributes.expenses"]),
        ({"insured": True, "since": "2023-02-29"}, ["attributes.since"]),
        ({"insured": True, "shoe_size": 43}, ["attributes.shoe_size"]),
        ({"insured": None}, ["attributes.insured"]),
        ({}, ["attributes.insured"]),
        ({"home": ["OWNER"]}, ["attributes.home"]),
        (["OWNER"], ["attributes"]),
    ],
)
def test_what_the_declaration_does_not_allow_is_refused_by_name(
    api: Api, own: str, attributes: Any, fields: list[str]
) -> None:
    one = create(api, own)["id"]

    assert fields_of(api.post("/debtors", json=a_debtor(own, attributes=attributes)), 422) == fields
    assert fields_of(api.put(f"/debtors/{one}", json=a_debtor(own, attributes=attributes)), 422) == fields
    assert shown(api.get(f"/debtors/{one}"))["version"] == 1


def test_a_patch_changes_single_attributes_and_null_clears_one(api: Api, own: str) -> None:
    one = create(api, own)["id"]

    patched = shown(api.patch(f"/debtors/{one}", json={"attributes": {"home": "OWNER", "days_past_due": None}}))
    assert patched["attributes"] == {"home": "OWNER", "insured": True, "expenses": "800.00"}
    assert patched["assessment"]["factors"]["delinquency"]["points"] == 5

    assert fields_of(api.patch(f"/debtors/{one}", json={"attributes": {"insured": None}}), 422) == [
        "attributes.insured"
    ]
    assert fields_of(api.patch(f"/debtors/{one}", json={"attributes": None}), 422) == ["attributes.insured"]
    assert shown(api.patch(f"/debtors/{one}", json={"name": "Sam"}))["attributes"] == patched["attributes"]


def test_a_debtor_that_moves_must_fit_the_other_declaration(api: Api, own: str) -> None:
    one = create(api, own)["id"]

    moved = api.patch(f"/debtors/{one}", json={"portfolio": f"other-{own}"})

    assert {"attributes.home", "monthly_income"} <= set(fields_of(moved, 422))


def test_an_export_has_the_attributes(api: Api, own: str) -> None:
    create(api, own)

    lines = api.get("/debtors", params={"portfolio": own}, headers={"Accept": "text/csv"}).text.splitlines()
    at = lines[0].split(",").index("attributes")
    assert '""home"":""RENT""' in lines[1].split(",", at)[at]
    ndjson = api.get("/debtors", params={"portfolio": own}, headers={"Accept": "application/x-ndjson"})
    assert ndjson.json()["attributes"] == VALUES


class TestScores:
    def test_profiles_are_checked_against_what_the_policy_asks_for(self, api: Api, own: str) -> None:
        profiles = [
            {"total_debt_amount": "2000.00", "attributes": VALUES},
            {"total_debt_amount": "2000.00", "attributes": {**VALUES, "shoe_size": 43}},
            {"total_debt_amount": "2000.00", "attributes": {**VALUES, "home": "CASTLE"}},
            {"total_debt_amount": "2000.00"},
        ]

        results = shown(api.post("/scores", json={"portfolio": own, "profiles": profiles}))["results"]

        assert results[0]["priority"] == create(api, own)["priority"]
        named = [[error["field"] for error in one["errors"]] for one in results[1:]]
        assert named == [["attributes.shoe_size"], ["attributes.home"], ["attributes.insured"]]

    def test_faults_of_shape_of_facts_and_of_attributes_are_named_at_once(self, api: Api, own: str) -> None:
        profiles = [
            {"total_debt_amount": "2", "surprise": 1, "attributes": {"home": "CASTLE", "shoe_size": 43}},
            {"monthly_income": "1.234", "attributes": {"home": 7, "days_past_due": 10**15, "expenses": "x"}},
            {"total_debt_amount": "2", "attributes": ["OWNER"]},
            {"total_debt_amount": "2", "attributes": {"days_past_due": "many", "expenses": True}},
            {"total_debt_amount": "2", "attributes": {"x" * 500: 1}},
        ]

        results = shown(api.post("/scores", json={"portfolio": own, "profiles": profiles}))["results"]

        named = [sorted(error["field"] for error in one["errors"]) for one in results]
        assert named[:4] == [
            ["attributes.home", "attributes.insured", "attributes.shoe_size", "surprise"],
            [
                *(f"attributes.{name}" for name in ("days_past_due", "expenses", "home", "insured")),
                *("monthly_income", "total_debt_amount"),
            ],
            ["attributes"],
            ["attributes.days_past_due", "attributes.expenses", "attributes.insured"],
        ]
        assert all(field.startswith("attributes") and len(field) < 100 for one in named[4:] for field in one)

    def test_a_policy_without_attributes_asks_for_none(self, api: Api) -> None:
        profile = {"total_debt_amount": "1.00", "attributes": {"home": "RENT"}}

        [result] = shown(api.post("/scores", json={"profiles": [profile]}))["results"]

        assert {"attributes.home", "monthly_income"} <= {error["field"] for error in result["errors"]}


class TestDeclaring:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"days_past_due": {"type": "money"}}, "1 debtors have another value"),
            ({"home": {"type": "category", "values": ["OWNER"]}}, "1 debtors have another value"),
            ({"since": {"type": "date", "required": True}}, "1 debtors have no value"),
            ({"insured": None}, "is asked for by the active policy"),
            ({"insured": {"type": "boolean"}}, "is asked for by the active policy"),
            ({"home": {"type": "category", "values": ["OWNER", "RENT", "BOAT"]}}, "no points for BOAT"),
        ],
    )
    def test_a_declaration_that_is_contradicted_is_refused(
        self, api: Api, own: str, change: dict[str, Any], message: str
    ) -> None:
        create(api, own)
        declared = {name: one for name, one in {**DECLARED, **change}.items() if one is not None}

        problem = problem_of(api.put(f"/portfolios/{own}", json={"attributes": declared}), 409)

        assert {error["field"] for error in problem["errors"]} == {f"attributes.{next(iter(change))}"}
        assert message in problem["errors"][0]["message"]
        assert problem["detail"].startswith("{field}: {message}".format(**problem["errors"][0]))
        assert shown(api.get(f"/portfolios/{own}"))["attributes"]["insured"]["required"] is True

    def test_what_nothing_contradicts_may_change(self, api: Api, own: str) -> None:
        create(api, own)
        declared = {name: one for name, one in DECLARED.items() if name != "since"} | {"note": {"type": "date"}}

        assert "note" in shown(api.put(f"/portfolios/{own}", json={"attributes": declared}))["attributes"]

    def test_values_that_debtors_have_may_not_be_taken_away(self, api: Api, own: str) -> None:
        create(api, own, attributes={**VALUES, "since": "2024-01-01"})
        declared = {name: one for name, one in DECLARED.items() if name != "since"}

        problem = problem_of(api.put(f"/portfolios/{own}", json={"attributes": declared}), 409)

        assert ([error["field"] for error in problem["errors"]], problem["debtors"]) == (["attributes.since"], 1)

    def test_an_unknown_type_is_refused_with_all_known_ones(self, api: Api, portfolio: str) -> None:
        declared = {"home": {"type": "enum"}, "odd": {"type": ["category"]}}

        errors = problem_of(api.put(f"/portfolios/{portfolio}", json={"attributes": declared}), 422)["errors"]

        message = "must be 'integer', 'money', 'boolean', 'category' or 'date'"
        assert errors == [{"field": f"attributes.{name}.type", "message": message} for name in declared]


class TestActivating:
    @pytest.mark.parametrize(
        ("declared", "places"),
        [
            ({}, {"factors.housing.input", "factors.delinquency.input", "factors.cover.input"}),
            ({**DECLARED, "home": {"type": "integer"}}, {"factors.housing.input"}),
            ({**DECLARED, "days_past_due": {"type": "date"}}, {"factors.delinquency.input"}),
            ({**DECLARED, "insured": {"type": "boolean"}}, {"factors.cover.missing"}),
            ({**DECLARED, "home": {"type": "category", "values": ["OWNER", "BOAT"]}}, {"factors.housing.points.BOAT"}),
            (
                {**DECLARED, "home": {"type": "category", "values": ["OWNER", "Müll haus"]}},
                {"factors.housing.points.Müll haus"},
            ),
            ({**DECLARED, "expenses": {"type": "boolean"}}, {"factors.burden.input.numerator"}),
        ],
    )
    def test_a_policy_that_does_not_fit_the_declaration_is_refused(
        self, api: Api, portfolio: str, declared: dict[str, Any], places: set[str]
    ) -> None:
        created(api.put(f"/portfolios/{portfolio}", json={"attributes": declared}))
        draft = created(api.post("/policies", json=own_document() | {"name": f"own-{uuid.uuid4().hex[:10]}"}))

        named = set(fields_of(activate(api, draft["hash"], portfolio), 422))

        assert places <= named
        assert {name for name in named if name.startswith("factors.")} == places | (
            named & set(REST if not declared else ())
        )

    def test_debtors_that_lack_a_built_in_fact_are_counted(self, api: Api, own: str) -> None:
        create(api, own)
        document = own_document() | {"name": f"own-{uuid.uuid4().hex[:10]}"}
        del document["factors"]["burden"]["missing"]
        document["factors"]["burden"]["input"]["numerator"] = "total_debt_amount"
        draft = created(api.post("/policies", json=document))

        problem = problem_of(activate(api, draft["hash"], own), 409)

        assert (problem["debtors"], "no monthly_income" in problem["detail"]) == (1, True)


REST = ("factors.burden.input.numerator",)
