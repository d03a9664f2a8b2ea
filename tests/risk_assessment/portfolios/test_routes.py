"""Portfolios over HTTP: their settings, which debtors they count, and what is refused by name."""

from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

import pytest
from sqlalchemy import delete
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor
from tests.risk_assessment.responses import all_pages, created, fields_of, problem_of, shown

from recovery_core.policies.builtin import built_in_policy
from risk_assessment.portfolios.schemas import CURRENCIES
from risk_assessment.tables import portfolios

PORTFOLIO = {
    "name",
    "currency",
    "time_zone",
    "jurisdiction",
    "attributes",
    "active_policy",
    "debtors",
    "created_at",
    "updated_at",
}
NOTHING: dict[str, Any] = {"currency": None, "time_zone": "UTC", "jurisdiction": "none", "attributes": {}}
SETTINGS: dict[str, Any] = {
    "currency": "EUR",
    "time_zone": "Europe/Paris",
    "jurisdiction": "EU",
    "attributes": {
        "days_past_due": {"type": "integer", "required": True},
        "home": {"type": "category", "values": ["OWNER", "to rent"]},
        "since": {"type": "date"},
    },
}
STANDARD = built_in_policy("standard").ref.model_dump()


def add_debtor(api: Api, portfolio: str, **changes: Any) -> int:
    return int(created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))["id"])


def forget_row(api: Api, portfolio: str) -> None:
    """Leave debtors as version 1.0 wrote them."""
    with api.database.write() as connection:
        connection.execute(delete(portfolios).where(portfolios.c.name == portfolio))


class TestExisting:
    def test_a_portfolio_exists_as_soon_as_a_debtor_names_it(self, api: Api, portfolio: str) -> None:
        problem_of(api.get(f"/portfolios/{portfolio}"), 404)

        add_debtor(api, portfolio)
        add_debtor(api, portfolio)

        found = shown(api.get(f"/portfolios/{portfolio}"))
        assert set(found) == PORTFOLIO
        assert found | NOTHING == found
        assert (found["name"], found["debtors"], found["active_policy"]) == (portfolio, 2, STANDARD)

    def test_one_that_a_patch_names_exists_too(self, api: Api, portfolio: str) -> None:
        debtor = add_debtor(api, portfolio)

        shown(api.patch(f"/debtors/{debtor}", json={"portfolio": f"{portfolio}-2"}))

        counts = [shown(api.get(f"/portfolios/{name}"))["debtors"] for name in (portfolio, f"{portfolio}-2")]
        assert counts == [0, 1]

    def test_a_portfolio_of_version_1_0_works_without_its_row(self, api: Api, portfolio: str) -> None:
        debtor = add_debtor(api, portfolio)
        forget_row(api, portfolio)

        found = shown(api.get(f"/portfolios/{portfolio}"))
        assert found | NOTHING | {"debtors": 1, "active_policy": STANDARD} == found
        assert len(shown(api.get(f"/portfolios/{portfolio}/activations"))["items"]) == 1
        created(api.post("/runs", json={"portfolio": portfolio}))
        assert shown(api.put(f"/portfolios/{portfolio}", json={"time_zone": "Europe/Paris"}))["debtors"] == 1
        forget_row(api, portfolio)
        shown(api.patch(f"/debtors/{debtor}", json={"payment_status": "PARTIAL"}))
        assert portfolio in {one["name"] for one in all_pages(api, "/portfolios", limit=500)}

    def test_a_run_needs_no_debtor_but_a_portfolio(self, api: Api, portfolio: str) -> None:
        assert fields_of(api.post("/runs", json={"portfolio": portfolio}), 404) == ["portfolio"]
        created(api.put(f"/portfolios/{portfolio}", json={}))

        created(api.post("/runs", json={"portfolio": portfolio}))


class TestSettings:
    def test_the_first_put_adds_a_portfolio_and_the_next_replaces_it(self, api: Api, portfolio: str) -> None:
        first = api.put(f"/portfolios/{portfolio}", json=SETTINGS)

        found = created(first)
        assert first.headers["location"] == f"/risk-service/portfolios/{portfolio}"
        assert {name: found[name] for name in SETTINGS} == SETTINGS | {
            "attributes": {
                "days_past_due": {"type": "integer", "required": True},
                "home": {"type": "category", "values": ["OWNER", "to rent"], "required": False},
                "since": {"type": "date", "required": False},
            }
        }
        assert shown(api.get(f"/portfolios/{portfolio}")) == found
        replaced = shown(api.put(f"/portfolios/{portfolio}", json={"currency": "USD"}))
        assert replaced | NOTHING | {"currency": "USD", "created_at": found["created_at"]} == replaced
        assert datetime.fromisoformat(replaced["updated_at"]) > datetime.fromisoformat(found["updated_at"])

    def test_what_a_get_returned_may_be_sent_back(self, api: Api, portfolio: str) -> None:
        found = created(api.put(f"/portfolios/{portfolio}", json=SETTINGS))

        again = shown(api.put(f"/portfolios/{portfolio}", json=found))

        assert again | {"updated_at": found["updated_at"]} == found

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"currency": "JPY"}, "currency"),
            ({"currency": "eur"}, "currency"),
            ({"currency": ""}, "currency"),
            ({"time_zone": "Europe/Atlantis"}, "time_zone"),
            ({"time_zone": "../../etc/passwd"}, "time_zone"),
            ({"time_zone": None}, "time_zone"),
            ({"jurisdiction": "FR"}, "jurisdiction"),
            ({"surprise": 1}, "surprise"),
            ({"attributes": []}, "attributes"),
            ({"attributes": {"Home": {"type": "date"}}}, "attributes.Home"),
            ({"attributes": {"home": {"type": "text"}}}, "attributes.home.type"),
            ({"attributes": {"home": {"type": "category"}}}, "attributes.home.values"),
            ({"attributes": {"home": {"type": "category", "values": []}}}, "attributes.home.values"),
            ({"attributes": {"home": {"type": "category", "values": ["A", "A"]}}}, "attributes.home.values"),
            ({"attributes": {"home": {"type": "category", "values": ["A", ""]}}}, "attributes.home.values.1"),
            ({"attributes": {"home": {"type": "money", "values": ["A"]}}}, "attributes.home.values"),
            ({"attributes": {"home": {"type": "date", "required": "yes"}}}, "attributes.home.required"),
            ({"attributes": {f"a{number}": {"type": "date"} for number in range(101)}}, "attributes"),
        ],
        ids=str,
    )
    def test_a_setting_that_cannot_be_is_refused_by_name(
        self, api: Api, portfolio: str, body: dict[str, Any], field: str
    ) -> None:
        assert fields_of(api.put(f"/portfolios/{portfolio}", json=body), 422) == [field]
        problem_of(api.get(f"/portfolios/{portfolio}"), 404)

    def test_a_portfolio_has_a_name_that_a_debtor_could_give(self, api: Api) -> None:
        assert fields_of(api.put("/portfolios/a b", json={}), 422) == ["name"]
        problem_of(api.get("/portfolios/a b"), 404)

    def test_every_currency_and_zone_is_known(self) -> None:
        assert len(CURRENCIES) == len(set(CURRENCIES)) > 130
        assert not {"JPY", "KRW", "KWD", "BHD", "CLP", "XAU", "XXX"} & set(CURRENCIES)
        assert {"UTC", "Europe/Paris", "America/New_York"} <= available_timezones()


class TestList:
    def test_the_list_has_every_portfolio_once_by_name(self, api: Api, portfolio: str) -> None:
        names = [f"{portfolio}-{number}" for number in range(5)]
        for name in reversed(names):
            created(api.put(f"/portfolios/{name}", json={}))
        add_debtor(api, names[3])

        listed = all_pages(api, "/portfolios", limit=2)

        assert [one["name"] for one in listed] == sorted({one["name"] for one in listed})
        assert [one["debtors"] for one in listed if one["name"] in names] == [0, 0, 0, 1, 0]
        assert fields_of(api.get("/portfolios", params={"cursor": "x"}), 422) == ["cursor"]
