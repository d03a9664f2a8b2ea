"""Whatever is wrong with a debtor, its id or its version, the response is a 4xx problem that names it."""

import json
from typing import Any

import httpx
import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, row_counts
from tests.risk_assessment.responses import created, fields_of, problem_of

BAD_MONEY = [
    -1,
    -0.01,
    "-5",
    "1.234",
    1.234,
    0.001,
    "abc",
    "",
    " 5",
    "5 ",
    "1e3",
    "+5",
    "1_000",
    "1,000.00",
    "٣",
    "0x10",
]


BAD_MONEY += [
    "NaN",
    "Infinity",
    "10000000000.00",
    10_000_000_000,
    2**63,
    1e300,
    "9" * 5_000,
    True,
    None,
    [],
    {},
    [5],
    {"a": 1},
]


BAD_COUNTS = [-1, 1.5, "1", 100_001, 2**63, 2**64, -(2**63) - 1, 1e30, True, False, None, [], {}]


BAD_CATEGORIES = ["PIRATE", "", "employed", " EMPLOYED", "EMPLOYED\n", 5, 0, True, None, [], {}, ["EMPLOYED"]]


BAD_LINES = ["", "   ", "\t", "a\nb", "a\u0001b", "a\u007fb", "\u2003", 5, True, [], {}]


BAD_REFERENCES = [*BAD_LINES, "x" * 129, " a", "a ", "a\u00a0"]


BAD_FIELDS: list[tuple[str, Any]] = [
    *(("total_debt_amount", value) for value in BAD_MONEY),
    *(("monthly_income", value) for value in BAD_MONEY),
    *(("late_payments_count", value) for value in BAD_COUNTS),
    *(("employment_status", value) for value in BAD_CATEGORIES),
    *(("contract_type", value) for value in ["EMPLOYED", None, 1]),
    *(("industry_sector", value) for value in ["EMPLOYED", None, 1]),
    *(("family_situation", value) for value in ["COMPLICATED", 1, ""]),
    *(("payment_status", value) for value in ["MAYBE", None, 1]),
    *(("name", value) for value in [*BAD_LINES, None, "x" * 201, "\u0000"]),
    *(("external_ref", value) for value in BAD_REFERENCES),
    *(("person_ref", value) for value in BAD_REFERENCES),
    *(("portfolio", value) for value in [*BAD_LINES, None, "x" * 65, "a b", "é", "-a", "a/b", "a\n"]),
    ("surprise", 1),
    ("", 1),
    ("Name", "Alex"),
]


def names(response: httpx.Response, *statuses: int) -> set[str]:
    """The fields a refusal names, without the positions inside of them."""
    return {field.split(".")[0] for field in fields_of(response, *statuses)}


@pytest.mark.parametrize("field", sorted({field for field, _ in BAD_FIELDS}))
def test_a_bad_field_is_refused_by_name_wherever_it_is_sent(api: Api, portfolio: str, field: str) -> None:
    one = created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))["id"]
    before = row_counts(api.database)

    for value in [value for name, value in BAD_FIELDS if name == field]:
        expected = {field or "(no field)"}
        assert names(api.post("/debtors", json=a_debtor() | {field: value}), 422) == expected, value
        assert names(api.put(f"/debtors/{one}", json=a_debtor() | {field: value}), 422) == expected, value
        assert names(api.patch(f"/debtors/{one}", json={field: value}), 422) == expected, value

    assert row_counts(api.database) == before


@pytest.mark.parametrize("field", sorted(a_debtor()))
@pytest.mark.usefixtures("nothing_written")
def test_a_missing_field_is_refused_by_name(api: Api, field: str) -> None:
    body = a_debtor()
    del body[field]

    assert fields_of(api.post("/debtors", json=body), 422) == [field]


@pytest.mark.usefixtures("nothing_written")
def test_everything_wrong_is_named_at_once(api: Api) -> None:
    response = api.post("/debtors", json={"name": "", "total_debt_amount": "-1", "monthly_income": "x"})
    assert names(response, 422) == {"name", "total_debt_amount", "monthly_income"}

    lacking = api.post("/debtors", json={"name": "Alex", "total_debt_amount": "1"})
    assert names(lacking, 422) == set(a_debtor()) - {"name", "total_debt_amount"}


def test_an_unknown_category_is_refused_with_the_known_ones_and_never_repeated(api: Api) -> None:
    [error] = problem_of(api.post("/debtors", json=a_debtor(industry_sector="PIRACY-OF-ALEX")), 422)["errors"]

    assert "'GOVERNMENT'" in error["message"]
    assert "'ENTERTAINMENT'" in error["message"]
    assert "PIRACY" not in json.dumps(error)


BAD_IDS = [
    "0",
    "-1",
    str(2**63),
    str(10**40),
    "abc",
    "1.5",
    "1e3",
    "0x1",
    "%C2%B2",
    "%F0%9F%99%82",
    "null",
    "9" * 5_000,
]


@pytest.mark.parametrize("debtor_id", BAD_IDS, ids=lambda text: text[:20])
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_id_is_refused_by_name(api: Api, debtor_id: str) -> None:
    path = f"/debtors/{debtor_id}"
    for response in (
        api.get(path),
        api.put(path, json=a_debtor()),
        api.patch(path, json={}),
        api.delete(path),
        api.get(f"{path}/score"),
        api.get(f"{path}/assessments"),
    ):
        assert fields_of(response, 422) == ["debtor_id"]


@pytest.mark.parametrize("if_match", ["1", '"1', 'w/"1"', "**", '*, "1"', '"1" "2"', ""])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_precondition_is_refused_by_name(api: Api, header: str, if_match: str) -> None:
    headers = {header: if_match}
    for response in (
        api.get("/debtors/1", headers=headers),
        api.put("/debtors/1", json=a_debtor(), headers=headers),
        api.patch("/debtors/1", json={}, headers=headers),
        api.delete("/debtors/1", headers=headers),
    ):
        assert fields_of(response, 422) == [header]
