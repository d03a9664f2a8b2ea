"""The first page and a debtor in a browser: keyboard, search while typing, holds, and APIs that come and go."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.recovery_console.builders import a_debtor, a_page, some_queues
from tests.recovery_console.debtors.builders import a_hold
from tests.recovery_console.fake_apis import RISK, FakeApis, Refusal
from tests.recovery_console.in_browser.chromium import Tab

OpenTab = Callable[..., Tab]
WIRE_BYTES, REQUESTS = 100_000, 8


def names(page: Page) -> list[str]:
    return page.locator("table.ranking tbody th").all_inner_texts()


def test_the_ranking_is_worked_by_keyboard(tab: OpenTab, apis: FakeApis) -> None:
    shown = tab()
    shown.forgiven.append("status of 404")  # only the address of debtor 8 matters here
    page = shown.open("/")
    apis.answers["GET /risk-service/debtors"] = a_page(a_debtor(8))

    page.keyboard.press("/")
    page.keyboard.type("Debtor 8")
    expect(page.locator("table.ranking tbody tr")).to_have_count(1)

    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.wait_for_url("**/?portfolio=default&q=Debtor+8")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Debtor 8")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/debtors/8?portfolio=default")


def test_a_bar_filters_and_back_and_forward_work(tab: OpenTab) -> None:
    page = tab().open("/")

    page.get_by_role("link", name="High").first.click()
    page.wait_for_url("**level=HIGH#ranking")
    expect(page.get_by_role("combobox", name="Level")).to_have_value("HIGH")
    page.go_back()
    expect(page.get_by_role("combobox", name="Level")).to_have_value("")
    page.go_forward()
    expect(page.get_by_role("combobox", name="Level")).to_have_value("HIGH")


def test_a_column_of_scores_filters_and_the_filter_can_be_taken_back(tab: OpenTab) -> None:
    page = tab().open("/")

    page.get_by_role("link", name="196–390").click()
    page.wait_for_url("**min_score=196&max_score=390#ranking")
    expect(page.get_by_role("textbox", name="Score to")).to_have_value("390")
    page.get_by_role("textbox", name="Score from").fill("")
    page.get_by_role("textbox", name="Score to").fill("")
    page.get_by_role("textbox", name="Score to").blur()
    page.wait_for_url("**/?portfolio=default")
    page.go_back()
    expect(page.get_by_role("textbox", name="Score to")).to_have_value("390")


def test_back_and_forward_go_through_the_filters_one_by_one(tab: OpenTab, apis: FakeApis) -> None:
    wanted = {"": a_page(a_debtor(7), a_debtor(8), a_debtor(9)), "HIGH": a_page(a_debtor(8), a_debtor(9))}
    searched = a_page(a_debtor(9))
    apis.answers["GET /risk-service/debtors"] = lambda request: (
        searched if "q" in request.url.params else wanted[request.url.params.get("risk_level", "")]
    )
    page = tab().open("/runs")
    page.get_by_role("link", name="Portfolio").click()
    expect(page.locator("table.ranking tbody tr")).to_have_count(3)

    page.get_by_role("combobox", name="Level").select_option("HIGH")
    expect(page.locator("table.ranking tbody tr")).to_have_count(2)
    page.get_by_role("searchbox", name="Search").press_sequentially("Debtor", delay=1)
    expect(page.locator("table.ranking tbody tr")).to_have_count(1)
    page.get_by_role("searchbox", name="Search").press_sequentially(" 9", delay=1)
    page.wait_for_url("**&q=Debtor+9&level=HIGH")

    page.go_back()
    expect(page.locator("table.ranking tbody tr")).to_have_count(2)
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("")
    page.go_back()
    expect(page.locator("table.ranking tbody tr")).to_have_count(3)
    expect(page.get_by_role("combobox", name="Level")).to_have_value("")
    page.go_forward()
    expect(page.locator("table.ranking tbody tr")).to_have_count(2)
    expect(page.get_by_role("combobox", name="Level")).to_have_value("HIGH")
    page.go_back()
    expect(page.locator("table.ranking tbody tr")).to_have_count(3)
    page.go_back()
    expect(page.locator("h1")).to_have_text("Runs")


def test_queues_that_take_long_come_by_themselves(
    tab: OpenTab, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 0.0)
    apis.answers["GET /debt-service/queues"] = some_queues(dead=2)
    shown = tab()

    with shown.page.expect_request("**/portfolio/attention?portfolio=default"):
        page = shown.open("/")

    expect(page.get_by_role("link", name="2 dead letters")).to_be_visible()
    expect(page.get_by_role("link", name="The queues are still being counted")).to_have_count(0)


def test_the_first_page_is_small(tab: OpenTab) -> None:
    shown = tab()
    sizes: list[int] = []
    shown.page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))

    page = shown.open("/")
    page.wait_for_load_state("networkidle")

    assert len(sizes) <= REQUESTS
    assert 0 < sum(sizes) <= WIRE_BYTES


def test_an_operator_places_a_hold_without_leaving_the_page(tab: OpenTab, apis: FakeApis) -> None:
    page = tab().open("/debtors/7")
    apis.answers["POST /risk-service/holds"] = a_hold()
    apis.answers["GET /risk-service/holds"] = a_page(a_hold(kind="HARDSHIP"))

    page.get_by_role("button", name="Place a hold").click()
    page.get_by_label("Kind").select_option("HARDSHIP")
    page.get_by_role("textbox", name="Reason").fill("Lost the job")
    page.get_by_role("button", name="Place the hold").click()

    expect(page.locator(".hold-banner")).to_contain_text("On hold: Hardship")


def test_times_are_those_of_the_reader_with_the_instant_beside(tab: OpenTab) -> None:
    page = tab(timezone_id="Asia/Tokyo", locale="en-GB").open("/debtors/7")

    time = page.locator("#history-title ~ div time").first
    expect(time).to_have_text("1 Mar 2026, 18:30")
    assert str(time.get_attribute("title")).startswith("2026-03-01T09:30:00Z")


def test_without_scripts_the_ranking_and_a_debtor_read_the_same(tab: OpenTab) -> None:
    shown = tab(java_script_enabled=False)
    page = shown.open("/")
    assert names(page) == ["Debtor 7", "Debtor 8", "Debtor 9"]

    page.get_by_role("link", name="Debtor 7").click()
    page.get_by_role("button", name="Place a hold").click()

    expect(page.get_by_label("Kind")).to_be_visible()


def test_an_open_page_says_when_a_service_is_away_and_when_it_is_back(tab: OpenTab, apis: FakeApis) -> None:
    page = tab().open("/")
    status = page.get_by_role("status").filter(has_text="does not answer")

    apis.away.add(RISK)
    expect(status).to_contain_text("The risk service does not answer")
    apis.away.clear()

    expect(status).to_have_count(0)


@pytest.mark.parametrize("trouble", ["away", "busy"])
def test_a_page_that_could_not_be_shown_comes_by_itself(tab: OpenTab, apis: FakeApis, trouble: str) -> None:
    shown = tab()
    shown.forgiven += ["status of 503", "status of 429"]
    if trouble == "away":
        apis.away.add(RISK)
    else:
        apis.refusing["GET /risk-service/portfolios"] = Refusal(429, "slow", {"Retry-After": "1"})
    page = shown.open("/")
    expect(page.locator("h1")).not_to_have_text("Portfolio default")

    apis.away.clear()
    apis.refusing.clear()

    expect(page.locator("h1")).to_have_text("Portfolio default")
