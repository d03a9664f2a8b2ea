"""`/operations` over fake APIs: what it says, who may redrive, and what it shows while a service is away."""

import json

import pytest
from tests.recovery_console.fake_apis import DEBT, RISK, Refusal
from tests.recovery_console.operations.builders import a_dead_letter, a_lane, a_system

pytestmark = pytest.mark.anyio
REDRIVE = "POST /debt-service/dead-letters/redrive"


@pytest.fixture(autouse=True)
def system(apis):
    lanes = [a_lane("high", dead=2), a_lane("standard")]
    apis.answers |= a_system(lanes)
    apis.answers["GET /debt-service/dead-letters"] = {
        "items": [a_dead_letter("1"), a_dead_letter("2")],
        "next_cursor": None,
    }
    apis.answers[REDRIVE] = {"redriven": 2, "failed": 0, "lanes": {"high": 2, "standard": 0}, "not_found": []}


def regions(page):
    names = dict(zip([one.attributes["id"] for one in page.all("h2")], page.texts("h2"), strict=True))
    return [names[one.attributes["aria-labelledby"]] for one in page.all("section")]


async def test_a_sentence_comes_first_and_the_regions_have_their_names(browser):
    page = await browser.open("/operations")

    assert page.texts("h1") == ["Operations"]
    assert page.texts("p", class_="lead complaint") == ["High lane has 2 dead letters"]
    assert regions(page) == ["Queues", "Workers", "Dead letters"]
    assert page.table(0)[0]["Lane"] == "High"
    assert page.table(3)[0]["Reason"] == "the message is not JSON"


async def test_a_redrive_asks_why_and_says_what_came_back(browser, apis):
    page = await browser.send("/operations/redrive", {"reason": "the parser is mended", "lane": ""})

    assert page.texts("p", role="status", class_="note") == ["Sent back 2 dead letters: 2 high."]
    (asked,) = [one for one in apis.asked if one.method == "POST"]
    assert asked.headers["x-reason"] == "the parser is mended"
    assert json.loads(asked.content) == {"limit": 1000}


async def test_a_redrive_without_a_reason_sends_nothing(browser, apis):
    page = await browser.send("/operations/redrive", {"lane": "high"})

    assert page.status == 422
    assert "Give a reason" in page.texts("p", role="alert")[0]
    assert apis.calls("POST") == []


async def test_a_lane_can_be_chosen_and_htmx_gets_the_answer_alone(browser, apis):
    page = await browser.send("/operations/redrive", {"reason": "x", "lane": "high"}, hx_request="true")

    assert page.all("h1") == []
    assert page.texts("p") == ["Sent back 2 dead letters: 2 high."]
    (asked,) = [one for one in apis.asked if one.method == "POST"]
    assert json.loads(asked.content)["lane"] == "high"


async def test_a_viewer_has_no_button_and_is_refused_by_the_name_of_the_role(signed_in, apis):
    browser = await signed_in("viewer")

    assert "Redrive" not in (await browser.open("/operations")).texts("button")
    page = await browser.send("/operations/redrive", {"reason": "x"})
    assert page.status == 403
    assert "operator" in page.texts("p", role="alert")[0]
    assert REDRIVE.partition(" ")[2] not in " ".join(apis.calls("POST"))


async def test_an_operator_has_the_button(signed_in):
    page = await (await signed_in("operator")).open("/operations")

    assert "Redrive" in page.texts("button")


async def test_while_the_debt_service_is_away_the_page_says_so(browser, apis):
    apis.away = {DEBT}

    page = await browser.open("/operations")

    assert page.status == 200
    assert "does not answer" in page.texts("p", class_="lead complaint")[0]
    assert any("does not answer" in text for text in page.texts("p", role="status"))


async def test_while_the_risk_service_is_away_the_lanes_are_still_shown(browser, apis):
    apis.away = {RISK}

    page = await browser.open("/operations")

    assert page.texts("p", class_="lead complaint") == ["High lane has 2 dead letters"]


@pytest.mark.parametrize("path", ["live", "dead-letters"])
async def test_the_parts_that_refresh_are_no_whole_pages(browser, path):
    page = await browser.open(f"/operations/{path}", hx_request="true")

    assert page.status == 200
    assert page.all("h1") == []


async def test_a_caller_of_some_portfolios_reads_why_queues_are_not_shown(browser, apis):
    apis.refusing["GET /debt-service/queues"] = Refusal(403, "your key is bound to portfolios")

    page = await browser.open("/operations")

    assert page.status == 403
    assert "bound to portfolios" in page.texts("p", role="alert")[0]
