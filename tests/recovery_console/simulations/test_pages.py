"""`/simulations` over fake APIs: the form, the wait, the report."""

import json

import pytest
from tests.recovery_console.fake_apis import Refusal
from tests.recovery_console.policies.builders import a_rule_book
from tests.recovery_console.simulations.builders import a_simulation

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def simulations(apis):
    apis.answers |= a_rule_book()
    apis.answers["POST /risk-service/simulations"] = a_simulation("accepted")
    apis.answers["GET /risk-service/simulations/s1"] = a_simulation()


async def test_the_form_has_a_field_policy_and_a_button_simulate(browser):
    page = await browser.open("/simulations?policy=house")

    (label,) = [one for one in page.all("label") if one.text == "Policy"]
    assert page.all("input", id=label.attributes["for"])[0].attributes["value"] == "house"
    assert "Simulate" in page.texts("button")
    assert len(page.all("option")) >= 2


async def test_a_simulation_is_started_and_shown(browser, apis):
    answer = await browser.send(
        "/simulations", {"policy": "house", "portfolio": "default", "threshold": "", "unit": "account", "top_k": "50"}
    )

    assert (answer.status, answer.response.headers["location"]) == (303, "/simulations/s1")
    (asked,) = [one for one in apis.asked if one.method == "POST"]
    assert json.loads(asked.content) == {"policy": "house", "portfolio": "default", "unit": "account", "top_k": 50}


async def test_capacities_and_numbers_are_sent_as_the_reader_wrote_them(browser, apis):
    sent = {"policy": "house", "threshold": "750.000,50", "top_k": "1.000", "capacity_AGENT_CALL": "4.000"}

    await browser.send("/simulations", sent, accept_language="de")

    (asked,) = [one for one in apis.asked if one.method == "POST"]
    assert json.loads(asked.content) == {
        "policy": "house",
        "threshold": "750000.50",
        "top_k": 1000,
        "capacities": {"AGENT_CALL": 4000},
    }


async def test_a_document_that_is_not_uploaded_can_be_simulated(browser, apis):
    await browser.send("/simulations", {"policy": "", "document": '{"name": "mine"}'})

    (asked,) = [one for one in apis.asked if one.method == "POST"]
    assert json.loads(asked.content) == {"policy": {"name": "mine"}}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Name a policy, or paste a document: one of the two."),
        ({"policy": "house", "document": "{}"}, "Name a policy, or paste a document: one of the two."),
        ({"document": "[]"}, "The document is no JSON object."),
        ({"document": "{"}, "The document is no JSON: "),
    ],
)
async def test_a_form_that_names_no_policy_is_shown_again_as_it_was(browser, apis, sent, said):
    page = await browser.send("/simulations", sent | {"top_k": "70"})

    assert page.status == 422
    assert page.texts("p", role="alert")[0].startswith(said)
    assert page.texts("textarea") == [sent.get("document", "")]
    assert page.all("input", id="top_k")[0].attributes["value"] == "70"
    assert [one for one in apis.asked if one.method == "POST"] == []


async def test_the_report_says_which_capacities_both_sides_had(browser, apis):
    apis.answers["GET /risk-service/simulations/s1"] = a_simulation(capacities={"AGENT_CALL": 4000})

    page = await browser.open("/simulations/s1")

    assert "With room for 4,000 × agent call." in page.response.text


@pytest.mark.parametrize("status", [404, 422])
async def test_an_unknown_policy_is_said_on_the_form_and_the_form_stays(browser, apis, status):
    apis.refusing["POST /risk-service/simulations"] = Refusal(status, "there is no such policy")

    page = await browser.send("/simulations", {"policy": "nothing", "top_k": "x"})

    assert page.status == status
    assert page.texts("p", role="alert") == ["there is no such policy"]
    assert page.all("input", id="policy")[0].attributes["value"] == "nothing"


async def test_the_report_shows_levels_sides_and_movers(browser):
    page = await browser.open("/simulations/s1")

    assert page.texts("h1") == ["Simulation"]
    assert page.texts("p", class_="lead")[0].endswith("1 of 3 debtors change their level.")
    assert page.table(0)[1] == {"Today": "Medium", "High": "1", "Medium": "1", "Sum": "2"}
    movers = page.table(5)
    assert [(row["Debtor"], row["Rank today"], row["Change"]) for row in movers][1] == ("7", "3", "2 up")
    assert page.all("div", id="simulation")[0].attributes.get("hx-trigger") is None


@pytest.mark.parametrize("state", ["accepted", "running"])
async def test_while_it_runs_the_page_asks_again_by_itself(browser, apis, state):
    apis.answers["GET /risk-service/simulations/s1"] = a_simulation(state)

    page = await browser.open("/simulations/s1")

    assert page.all("div", id="simulation")[0].attributes["hx-trigger"] == "every 1s"
    assert (await browser.open("/simulations/s1", hx_request="true")).all("h1") == []


async def test_a_simulation_that_failed_says_why(browser, apis):
    apis.answers["GET /risk-service/simulations/s1"] = a_simulation("failed", error="the policy cannot be read")

    page = await browser.open("/simulations/s1")

    assert page.texts("p", role="alert") == ["The simulation failed: the policy cannot be read."]


async def test_a_viewer_may_look_and_not_simulate(signed_in):
    browser = await signed_in("viewer")

    assert "Simulate" not in (await browser.open("/simulations")).texts("button")
    assert (await browser.send("/simulations", {"policy": "house"})).status == 403
