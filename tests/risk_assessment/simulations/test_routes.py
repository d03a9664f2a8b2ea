"""Simulations over HTTP: accepted, read, and refused by name."""

from typing import Any

import pytest
from sqlalchemy import update
from tests.recovery_core.own_policies import own_document
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_debtor
from tests.risk_assessment.policies.documents import a_document
from tests.risk_assessment.responses import created, fields_of, problem_of, shown

from recovery_core.policies.document import load_policy
from risk_assessment.tables import simulations

FOUND = ("as_of", "today", "debtors", "levels", "lanes", "actions", "excluded", "exposure", "top_k", "movers")


def add(api: Api, portfolio: str, **changes: Any) -> None:
    created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))


def test_a_simulation_is_accepted_and_nothing_is_known_yet(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    proposed = a_document("harsh", version=3)
    body = {
        "portfolio": portfolio,
        "policy": proposed,
        "threshold": "750000",
        "unit": "account",
        "capacities": {"AGENT_CALL": 4},
    }

    response = api.post("/simulations", json=body)

    accepted = created(response)
    assert response.headers["Location"] == f"/risk-service/simulations/{accepted['id']}"
    assert accepted == shown(api.get(f"/simulations/{accepted['id']}"))
    assert (accepted["state"], accepted["threshold"], accepted["unit"]) == ("accepted", "750000.00", "account")
    assert accepted["capacities"] == {"AGENT_CALL": 4}
    assert accepted["proposed"] == {"name": "harsh", "version": 3, "hash": load_policy(proposed).hash}
    assert {accepted[name] for name in ("debtors_total", "error", "started_at")} == {None}
    assert [accepted[name] for name in FOUND] == [None] * len(FOUND)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"policy": "unheard-of"}, "policy"),
        ({"policy": ""}, "policy"),
        ({"policy": 7}, "policy"),
        ({"policy": None}, "policy"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 100_001}, "top_k"),
        ({"unit": "house"}, "unit"),
        ({"threshold": "-1"}, "threshold"),
        ({"limit": 3}, "limit"),
        ({"capacities": {"AGENT_CALL": -1}}, "capacities.AGENT_CALL"),
    ],
)
def test_bad_input_is_refused_by_name(api: Api, portfolio: str, changes: dict[str, Any], field: str) -> None:
    add(api, portfolio)

    assert fields_of(api.post("/simulations", json={"portfolio": portfolio, "policy": "standard"} | changes), 422) == [
        field
    ]


def test_every_fault_of_a_document_is_named(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    wrong = a_document("wrong", max_points=0, treatment=[])

    found = fields_of(api.post("/simulations", json={"portfolio": portfolio, "policy": wrong}), 422)

    assert {"policy.max_points", "policy.treatment"} <= set(found)


def test_attributes_that_the_portfolio_does_not_declare_are_named(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    shown(api.put(f"/portfolios/{portfolio}", json={"attributes": {"home": {"type": "money"}}}))
    draft = created(api.post("/policies", json=own_document() | {"name": portfolio}))

    for policy in (own_document(), draft["hash"]):
        found = fields_of(api.post("/simulations", json={"portfolio": portfolio, "policy": policy}), 422)
        assert {"policy.factors.delinquency.input", "policy.factors.housing.input"} <= set(found)
        assert "policy.treatment.1.attributes.insured" in found


def test_what_does_not_exist_is_not_found(api: Api) -> None:
    assert fields_of(api.post("/simulations", json={"portfolio": "nowhere", "policy": "standard"}), 404)
    problem_of(api.get("/simulations/no-such-one"), 404)


def test_a_repeated_post_with_its_key_is_one_simulation(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    body, headers = {"portfolio": portfolio, "policy": "standard"}, {"Idempotency-Key": portfolio}

    first, second = (created(api.post("/simulations", json=body, headers=headers)) for _ in range(2))

    assert first["id"] == second["id"]


def test_a_draft_is_tried_by_its_hash(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    draft = created(api.post("/policies", json=a_document(portfolio)))

    accepted = created(api.post("/simulations", json={"portfolio": portfolio, "policy": draft["hash"]}))

    assert accepted["proposed"]["hash"] == draft["hash"]
    with api.database.write() as connection:
        connection.execute(update(simulations).where(simulations.c.id == accepted["id"]).values(state="failed"))
    assert shown(api.get(f"/simulations/{accepted['id']}"))["state"] == "failed"


def test_a_list_has_the_newest_first_of_a_portfolio_and_a_state(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    add(api, f"{portfolio}-b")
    first, second, third = (
        created(api.post("/simulations", json={"portfolio": portfolio, "policy": policy, "threshold": "5"}))
        for policy in ("standard", "classic", a_document("mine", version=4))
    )
    created(api.post("/simulations", json={"portfolio": f"{portfolio}-b", "policy": "standard"}))
    with api.database.write() as connection:
        ended = {"state": "completed", "report": "{}", "finished_at": NOON}
        connection.execute(update(simulations).where(simulations.c.id == second["id"]).values(**ended))

    whole = shown(api.get("/simulations", params={"portfolio": portfolio}))

    assert [one["id"] for one in whole["items"]] == [third["id"], second["id"], first["id"]]
    assert whole["items"][0] == {name: third[name] for name in third if name not in FOUND}
    assert whole["next_cursor"] is None
    page = shown(api.get("/simulations", params={"portfolio": portfolio, "limit": 2}))
    rest = shown(api.get("/simulations", params={"portfolio": portfolio, "cursor": page["next_cursor"]}))
    assert page["items"] + rest["items"] == whole["items"]
    of_state = shown(api.get("/simulations", params={"portfolio": portfolio, "state": "completed"}))["items"]
    assert [one["id"] for one in of_state] == [second["id"]]
    everybody = shown(api.get("/simulations", params={"limit": 500}))["items"]
    assert {one["portfolio"] for one in everybody} >= {portfolio, f"{portfolio}-b"}


def test_a_list_refuses_what_it_does_not_know(api: Api) -> None:
    assert fields_of(api.get("/simulations", params={"state": "asleep"}), 422) == ["state"]
    assert fields_of(api.get("/simulations", params={"cursor": "nonsense"}), 422) == ["cursor"]
    assert fields_of(api.get("/simulations", params={"limit": 501}), 422) == ["limit"]
    assert shown(api.get("/simulations", params={"portfolio": "nowhere"})) == {"items": [], "next_cursor": None}
