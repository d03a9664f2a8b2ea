"""The first page: who owes what in which order, and why."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.recovery_console.builders import a_debtor, a_page, a_portfolio, a_rank, a_summary, some_queues
from tests.recovery_console.debtors.builders import a_hold
from tests.recovery_console.fake_apis import DEBT, RISK, FakeApis, Refusal
from tests.recovery_console.reading import Browser

from recovery_console.dependencies import Visit
from service_kit.clock import utc_now

pytestmark = pytest.mark.anyio

HEADINGS = ["Rank", "Name", "Reference", "Level", "Score", "Debt", "Priority", "Why"]


async def test_the_table_ranks_who_can_be_ranked_and_says_why(browser: Browser) -> None:
    page = await browser.open("/")

    assert page.texts("h1") == ["Portfolio default"]
    first, _, last = page.table("Rank")
    assert list(first) == HEADINGS
    assert first == {
        "Rank": "1",
        "Name": "Debtor 7",
        "Reference": "ACC-7",
        "Level": "High",
        "Score": "303",
        "Debt": "33,267.16 EUR",
        "Priority": "10,079,949.48",
        "Why": "4 late payments",
    }
    assert last["Rank"] == "–"
    assert last["Why"].startswith("Not ranked: paid")


async def test_one_sentence_says_how_many_owe_how_much(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/portfolios/default/summary"] = a_summary(
        debtors=1_000_000, debt="34012345678.12", rankable=901_234
    )

    page = await browser.open("/")

    [lead] = page.texts("p", class_="lead")
    assert lead == "1,000,000 debtors owe 34.0 B EUR; 901,234 can be ranked; the top 5 % hold 70 %."


async def test_numbers_read_as_in_the_readers_language(browser: Browser) -> None:
    page = await browser.open("/", accept_language="de-DE,de;q=0.9,en;q=0.8")

    assert page.table("Rank")[0]["Debt"] == "33.267,16 EUR"


async def test_filters_and_a_search_go_to_the_service_and_stay_in_the_form(browser: Browser, apis: FakeApis) -> None:
    page = await browser.open("/?level=HIGH&status=UNPAID&q=Debtor&min_debt=100&cursor=abc")

    [asked] = apis.calls("GET /risk-service/debtors?")
    for part in ("risk_level=HIGH", "payment_status=UNPAID", "q=Debtor", "min_debt=100", "sort=priority", "cursor=abc"):
        assert part in asked
    assert page.all("input", type="search")[0].attributes["value"] == "Debtor"
    assert [one.text for one in page.all("option") if "selected" in one.attributes] == ["High", "Unpaid"]


@pytest.mark.parametrize(
    ("given", "asked", "shown"),
    [
        ("min_score=196&max_score=390", "min_score=196&max_score=390", ["196", "390"]),
        ("min_score=390&max_score=196", "min_score=196&max_score=390", ["196", "390"]),
        ("min_score=0&max_score=", "min_score=0", ["0", ""]),
        ("min_score=1.5&max_score=9999999", "max_score=1000000", ["", "1000000"]),
    ],
)
async def test_a_range_of_scores_is_a_filter_like_the_others(
    browser: Browser, apis: FakeApis, given: str, asked: str, shown: list[str]
) -> None:
    page = await browser.open(f"/?{given}")

    [call] = apis.calls("GET /risk-service/debtors?")
    assert "&".join(part for part in call.split("?")[1].split("&") if "score" in part) == asked
    fields = [page.all("input", name=name)[0].attributes["value"] for name in ("min_score", "max_score")]
    assert fields == shown


async def test_the_rail_begins_at_the_priority_of_the_last_of_the_top_part(browser: Browser, apis: FakeApis) -> None:
    await browser.open("/?top=5")

    assert "from_priority=19995.00" in apis.calls("GET /risk-service/debtors?")[0]
    assert len(apis.calls("GET /risk-service/portfolios/default/concentration")) == 1


async def test_a_hostile_name_is_text(browser: Browser, apis: FakeApis) -> None:
    name = "<script>alert(1)</script>\u202eevil"
    apis.answers["GET /risk-service/debtors"] = a_page(a_debtor(7, name=name))

    page = await browser.open("/")

    assert "<script>alert" not in page.response.text
    assert page.table("Rank")[0]["Name"] == name
    assert name in page.texts("bdi")


async def test_what_needs_attention_comes_with_where_to_look(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /debt-service/queues"] = some_queues(dead=2, waiting=3)

    page = await browser.open("/")

    notices = [
        (link.text, link.attributes["href"]) for link in page.all("a") if "li" in link.path and "main" in link.path
    ]
    assert ("2 dead letters", "/operations?portfolio=default") in notices
    assert ("Batches wait, and no consumer is alive", "/operations?portfolio=default") in notices


async def test_several_portfolios_are_one_switch_away(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/portfolios"] = a_page(a_portfolio("alpha", debtors=9), a_portfolio())

    page = await browser.open("/?portfolio=default")

    assert page.texts("option")[:2] == ["alpha", "default"]
    assert {link.attributes["href"] for link in page.all("a") if link.text == "Runs"} == {"/runs?portfolio=default"}


async def test_a_portfolio_that_is_not_there_is_a_404_with_a_way_back(browser: Browser) -> None:
    page = await browser.open("/?portfolio=nowhere")

    assert page.status == 404
    assert page.texts("h1") == ["No debtors yet"]


async def test_without_the_debt_service_the_ranking_still_shows(browser: Browser, apis: FakeApis) -> None:
    apis.away.add(DEBT)

    page = await browser.open("/")

    assert page.status == 200
    assert len(page.table("Rank")) == 3
    assert "The debt service does not answer" in page.response.text


async def test_without_the_risk_service_the_page_says_so_and_tries_again(browser: Browser, apis: FakeApis) -> None:
    apis.away.add(RISK)

    page = await browser.open("/")

    assert page.status == 503
    assert page.texts("h1") == ["The risk service does not answer"]
    assert [alert for alert in page.texts("p", role="alert") if "does not answer" in alert]
    assert page.all("body")[0].attributes["data-recovers"] == RISK


async def test_a_debtor_that_is_on_hold_has_a_dash_and_the_reason(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/debtors/7/rank"] = a_rank(7, None, reason="HOLD_DISPUTE")
    apis.answers["GET /risk-service/debtors/8/rank"] = a_rank(8, 1)

    page = await browser.open("/")

    assert [row["Rank"] for row in page.table("Rank")] == ["–", "1", "–"]
    assert page.table("Rank")[0]["Why"].startswith("Not ranked: on hold: dispute")


async def test_each_chart_has_its_table_and_its_bars_filter(browser: Browser) -> None:
    page = await browser.open("/")

    captions = page.texts("caption")
    assert captions[:4] == ["Debt by level", "Debtors by level", "Debt by status", "Debtors by status"]
    assert page.texts("figcaption") == captions
    links = {link.text: link.attributes["href"] for link in page.all("a", class_="bar-label")}
    assert links["High"] == "/?portfolio=default&level=HIGH#ranking"
    assert links["Paid"] == "/?portfolio=default&status=PAID#ranking"
    columns = {link.attributes["href"] for link in page.all("a") if "min_score" in link.attributes["href"]}
    assert columns == {
        "/?portfolio=default&min_score=0&max_score=195#ranking",
        "/?portfolio=default&min_score=196&max_score=390#ranking",
    }
    marks = {mark.text: mark.attributes["href"] for mark in page.all("a", class_="mark")}
    assert marks["Top 5 %: 70.00 %"] == "/?portfolio=default&top=5#ranking"


async def test_a_concentration_that_takes_long_comes_after_the_first_paint(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def only_the_others(visit: Visit, call: Any, until: float | None) -> Any:
        return None if call.path.endswith("/concentration") else await visit.attempt(call)

    monkeypatch.setattr(Visit, "soon", only_the_others)

    page = await browser.open("/")
    later = await browser.open("/portfolio/concentration?portfolio=default", hx_request="true")

    assert [one.attributes["hx-get"] for one in page.all("div", hx_trigger="load")] == [
        "/portfolio/concentration?portfolio=default"
    ]
    assert page.texts("a", href="/portfolio/concentration?portfolio=default") == ["How concentrated the debt is"]
    assert later.texts("span", id="top-share") == ["; the top 5 % hold 70 %."]
    assert len(later.all("figure")) == 1


async def test_without_scripts_the_numbers_are_a_page_of_their_own(browser: Browser) -> None:
    page = await browser.open("/portfolio/numbers?portfolio=default")

    assert page.texts("h1") == ["Portfolio default in numbers"]
    assert len(page.all("figure")) == 6


async def test_a_named_portfolio_is_asked_for_beside_the_list_of_all(browser: Browser, apis: FakeApis) -> None:
    apis.stuck.add("/risk-service/portfolios")
    waiting = asyncio.create_task(browser.open("/?portfolio=default"))
    async with asyncio.timeout(10):
        while len(apis.calls("GET /risk-service/debtors")) < 3:
            await asyncio.sleep(0.01)
    apis.release()

    assert len((await waiting).table("Rank")) == 3


async def test_a_search_gets_the_table_alone_and_keeps_the_address_to_share(browser: Browser) -> None:
    page = await browser.open("/portfolio/ranking?portfolio=default&q=Debtor&level=", hx_request="true")
    shared = await browser.open("/portfolio/ranking?portfolio=default&q=Debtor")

    assert page.all("html") == []
    assert len(page.table("Rank")) == 3
    assert page.response.headers["hx-push-url"] == "/?portfolio=default&q=Debtor"
    assert str(shared.response.url).endswith("/?portfolio=default&q=Debtor")


async def test_holds_that_end_within_a_week_need_attention(browser: Browser, apis: FakeApis) -> None:
    tomorrow = (utc_now() + timedelta(days=1)).isoformat()
    apis.answers["GET /risk-service/holds"] = a_page(a_hold(until=tomorrow), a_hold("h2", until=tomorrow))

    page = await browser.open("/")

    assert "2 holds end within 7 days" in page.texts("a")
    assert all("ends_before=" in call and "active=true" in call for call in apis.calls("GET /risk-service/holds"))


async def test_a_person_bound_to_portfolios_sees_theirs_without_the_queues_of_all(
    browser: Browser, apis: FakeApis
) -> None:
    for path in ("queues", "workers"):
        apis.refusing[f"GET /debt-service/{path}"] = Refusal(403, "this is about all portfolios; you are bound to some")

    page = await browser.open("/")

    assert page.status == 200
    assert len(page.table("Rank")) == 3
    assert page.texts("p", class_="empty") == ["Nothing needs attention now."]


@pytest.mark.parametrize(("role", "shown"), [("viewer", False), ("operator", True)])
async def test_a_new_run_is_offered_to_those_who_may_start_one(signed_in, role: str, shown: bool) -> None:  # type: ignore[no-untyped-def]
    browser = await signed_in(role)

    assert ("New run" in (await browser.open("/")).texts("a")) is shown
