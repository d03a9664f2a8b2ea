"""`/holds` over fake APIs: list, filters, timeline, one hold with its end, and the import with its reject list."""

import json

import pytest
from tests.recovery_console.builders import a_page, a_summary, an_exposure
from tests.recovery_console.fake_apis import RISK, Refusal
from tests.recovery_console.holds.builders import a_hold
from tests.recovery_console.reading import Page

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def holds(apis):
    person = a_hold("h2", debtor_id=None, person_ref="P-17", kind="TIME_BARRED", blocks=["LEGAL_REVIEW"], until=None)
    apis.answers |= {
        "GET /risk-service/holds": a_page(a_hold(reason=HOSTILE), person, next_cursor="next"),
        "GET /risk-service/holds/h1": a_hold(),
        "POST /risk-service/holds/h1/end": a_hold(ended_at="2026-03-02T00:00:00Z", active=False),
        "GET /risk-service/portfolios/default/summary": a_summary(on_hold={"DISPUTE": an_exposure(2)}),
    }


async def test_every_hold_is_a_row_with_its_state_and_its_reason(browser):
    page = await browser.open("/holds")
    first, second = page.table()

    assert page.texts("h1") == ["Holds"]
    assert (first["Kind"], first["Of"], first["Blocks"], first["Reason"]) == (
        "Dispute",
        "Debtor 7",
        "every action",
        f"{HOSTILE} by key:operator",
    )
    assert (second["Of"], second["Blocks"], second["Until"]) == ("Person P-17", "legal review", "open")
    assert len(page.all("rect", class_="lifeline-bar")) == 2
    assert page.all("script", src="") == []


async def test_the_filters_ask_the_api(browser, apis):
    await browser.open("/holds?state=all&kind=DISPUTE&portfolio=default&cursor=abc")

    listed = apis.calls("GET /risk-service/holds?")
    assert any("kind=DISPUTE" in call and "cursor=abc" in call and "active=" not in call for call in listed)


async def test_a_next_page_is_a_link_that_keeps_the_filters(browser):
    page = await browser.open("/holds?state=all&portfolio=default")

    (link,) = [one for one in page.all("a") if one.text == "Older"]
    assert link.attributes["href"] == "/holds?portfolio=default&state=all&cursor=next"


async def test_without_holds_the_page_says_so(browser, apis):
    apis.answers["GET /risk-service/holds"] = a_page()

    page = await browser.open("/holds")

    assert page.texts("p", class_="empty")[0].startswith("There is no such hold.")
    assert page.texts("p", class_="lead")[0].startswith("No hold ends within 7 days.")


async def test_the_kinds_are_counted_by_portfolio(browser):
    page = await browser.open("/holds/kinds")

    assert page.table() == [{"Kind": "Dispute", "Debtors": "2", "Debt": "33,267.16 EUR"}]
    assert page.texts("h1") == ["Holds by kind"]


async def test_a_hold_is_ended_with_a_reason(browser, apis):
    answer = await browser.send("/holds/h1/end", {"reason": "withdrawn"})

    assert (answer.status, answer.response.headers["location"]) == (303, "/holds/h1")
    (asked,) = [one for one in apis.asked if one.method == "POST"]
    assert json.loads(asked.content) == {"reason": "withdrawn"}


async def test_a_hold_that_was_ended_meanwhile_is_said_on_its_own_page(browser, apis):
    apis.refusing["POST /risk-service/holds/h1/end"] = Refusal(409, "the hold has ended already")

    page = await browser.send("/holds/h1/end", {"reason": "withdrawn"})

    assert page.status == 409
    assert page.texts("p", role="alert") == ["the hold has ended already"]
    assert page.texts("h1") == ["Hold: Dispute"]


async def test_a_viewer_may_look_and_not_end_or_import(signed_in):
    browser = await signed_in("viewer")

    assert "End the hold" not in (await browser.open("/holds/h1")).texts("button")
    for page in (await browser.send("/holds/h1/end", {"reason": "x"}), await browser.open("/holds/import")):
        assert page.status == 403
        assert "operator" in page.texts("p", role="alert")[0]


async def imported(browser, content: bytes) -> Page:
    return Page(await browser.client.post("/holds/import", files={"file": ("holds.csv", content, "text/csv")}))


async def test_an_import_places_rows_and_lists_its_rejects(browser, apis):
    def place(request):
        body = json.loads(request.content)
        return a_hold(recorded_at="2999-01-01T00:00:00Z" if body["debtor_id"] == 7 else "2020-01-01T00:00:00Z")

    apis.answers["POST /risk-service/holds"] = place

    page = await imported(
        browser,
        b"debtor_id,kind,from,reason\n7,DISPUTE,2026-03-01,Letter\n8,DISPUTE,2026-03-01,Letter\n9,DISPUTE,2026-03-01,\n",
    )

    assert page.texts("p", role="status", class_="note") == ["1 placed, 1 unchanged, 1 rejected."]
    assert page.table() == [{"Row": "4", "Reason": "reason: missing"}]
    keys = [one.headers["idempotency-key"] for one in apis.asked if one.method == "POST"]
    assert len(set(keys)) == 2


@pytest.mark.parametrize("content", [b"", b"colour\nred\n"])
async def test_what_is_no_file_of_holds_is_refused_on_the_form(browser, content):
    page = await imported(browser, content)

    assert page.status == 422
    assert len(page.texts("p", role="alert")) == 1
    assert page.all("input", type="file") != []


async def test_while_the_service_is_away_the_page_says_so(browser, apis):
    apis.away = {RISK}

    page = await browser.open("/holds")

    assert page.status == 200
    assert any("does not answer" in text for text in page.texts("p", role="status"))
