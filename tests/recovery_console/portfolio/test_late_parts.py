"""What takes an API long comes after the first paint of the first page, and is asked for once."""

import asyncio

import pytest
from tests.recovery_console.builders import a_debtor, a_page, a_rank, some_queues
from tests.recovery_console.fake_apis import FakeApis
from tests.recovery_console.reading import Browser, opened

pytestmark = pytest.mark.anyio


async def test_numbers_that_take_long_come_after_the_first_paint_and_are_asked_for_once(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 0.05)
    apis.stuck |= {f"/risk-service/portfolios/default/{name}" for name in ("summary", "concentration")}
    numbers = "/portfolio/numbers?portfolio=default"

    page = await browser.open("/")
    asked = len(apis.calls("GET /risk-service/portfolios/default/"))
    waiting = asyncio.create_task(browser.open(numbers, hx_request="true"))
    await asyncio.sleep(0)
    apis.release()
    later = await waiting

    assert len(page.table("Rank")) == 3
    assert page.texts("p", class_="lead") == ["The service is counting …"]
    assert [one.attributes["hx-get"] for one in page.all("section", hx_trigger="load")] == [numbers]
    assert page.texts("a", href=numbers) == ["Debt and debtors by level, status and score"]
    assert later.texts("p", id="sentence")[0].endswith("the top 5 % hold 70 %.")
    assert len(later.all("figure")) == 6
    assert len(apis.calls("GET /risk-service/portfolios/default/")) == asked == 2


async def test_queues_that_take_long_are_counted_after_the_first_paint_and_asked_for_once(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 60.0)
    apis.answers["GET /debt-service/queues"] = some_queues(dead=2, waiting=3)
    attention, quick = "/portfolio/attention?portfolio=default", await browser.open("/?portfolio=default")
    before = len(apis.calls("GET /debt-service/queues"))
    apis.stuck |= {"/debt-service/queues", "/debt-service/workers"}
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 0.05)

    page = await browser.open("/?portfolio=default")
    waiting = asyncio.create_task(browser.open(attention, hx_request="true"))
    await asyncio.sleep(0)
    apis.release()
    later = await waiting

    assert [one.attributes.get("hx-get") for one in quick.all("div", id="attention")] == [None]
    assert [one.attributes["hx-get"] for one in page.all("div", id="attention", hx_trigger="load")] == [attention]
    assert "The queues are still being counted" in page.texts("a")
    assert later.all("div", hx_trigger="load") == []
    assert later.texts("a")[:2] == ["2 dead letters", "Batches wait, and no consumer is alive"]
    assert len(apis.calls("GET /debt-service/queues")) - before == 1
    assert str((await browser.open(attention)).response.url).endswith("/?portfolio=default")


async def test_ranks_that_take_long_come_after_the_first_paint(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 1.0)
    apis.stuck.add("/risk-service/debtors/8/rank")

    page = await browser.open("/?level=HIGH")
    apis.stuck.clear()
    later = await browser.open("/portfolio/ranks?ids=8,x", hx_request="true")

    assert [row["Rank"] for row in page.table("Rank")] == ["1", "…", "–"]
    assert [one.attributes["hx-get"] for one in page.all("div", hx_trigger="load")] == ["/portfolio/ranks?ids=8"]
    assert later.texts("span", id="rank-8") == ["2"]


async def test_late_ranks_of_the_whole_order_take_as_few_questions_as_those_of_the_page(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 0.0)
    monkeypatch.setattr("recovery_console.portfolio.routes.RANKS_SECONDS", 0.0)
    some = range(1, 31)
    apis.answers["GET /risk-service/debtors"] = a_page(*map(a_debtor, some), a_debtor(31, payment_status="PAID"))
    apis.answers |= {f"GET /risk-service/debtors/{one}/rank": a_rank(one, one) for one in some}

    page = await browser.open("/")
    [late] = [
        one.attributes["hx-get"] for one in page.all("div", hx_trigger="load") if "ranks" in one.attributes["hx-get"]
    ]
    before = len(apis.asked)
    later = await browser.open(late, hx_request="true")

    assert [later.texts("span", id=f"rank-{one}") for one in (1, 17, 30)] == [["1"], ["17"], ["30"]]
    assert len(apis.asked) - before == 2


async def test_questions_under_way_end_with_the_console(apis: FakeApis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 0.05)
    apis.stuck.add("/risk-service/portfolios/default/summary")
    before = asyncio.all_tasks()

    async with opened(apis) as browser:
        await browser.open("/")
        assert asyncio.all_tasks() > before

    assert asyncio.all_tasks() == before
