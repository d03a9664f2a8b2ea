"""Runs in a real browser: the keyboard starts one, a double click starts one, and its page follows it by itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from playwright.sync_api import Page, expect
from tests.recovery_console.fake_apis import FakeApis
from tests.recovery_console.run_builders import RUN_ID, a_completed_run, a_preview, a_report, a_run
from tests.support.processes import eventually

from recovery_console.runs import following

RUN = f"/runs/{RUN_ID}"
READ, EVENTS = f"GET /risk-service/runs/{RUN_ID}", f"GET /risk-service/runs/{RUN_ID}/events"
REPORT = f"GET /debt-service/runs/{RUN_ID}"


class LiveRun(httpx.AsyncByteStream):
    """The events of a run that a test changes under an open page. `away` stands for a risk service that has died."""

    def __init__(self, apis: FakeApis) -> None:
        self.apis, self.run, self.away, self.watchers = apis, a_run(), False, 0
        self.set(self.run, a_report(state="processing", debtors_processed=500))

    def set(self, run: Any, report: Any) -> None:
        """Let the run be so far."""
        self.apis.answers |= {READ: run, REPORT: report, EVENTS: self._answer}
        self.run = run

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(200, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.watchers, shown = self.watchers + 1, None
        try:
            while not self.away:
                if self.run is not shown:
                    shown = self.run
                    yield b"event: run\ndata: " + orjson.dumps(shown) + b"\n\n"
                await asyncio.sleep(0.01)
            raise httpx.ReadError("connection reset")
        finally:
            self.watchers -= 1


@pytest.fixture
def live(apis: FakeApis, monkeypatch: pytest.MonkeyPatch) -> LiveRun:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.05)
    return LiveRun(apis)


@pytest.fixture
def keys(apis: FakeApis) -> None:
    """People sign in with keys."""
    apis.keys = {"srk_operator": "operator"}


def by_threshold(request: httpx.Request) -> Any:
    """A preview: debtors above the threshold are high."""
    high = 90 if float(request.url.params["threshold"]) < 750_000 else 40
    return a_preview(ranked=100, lanes={"high": high, "standard": 100 - high})


def started(apis: FakeApis) -> list[str]:
    posts = [one for one in apis.asked if (one.method, one.url.path) == ("POST", "/risk-service/runs")]
    return [one.headers["idempotency-key"] for one in posts]


def lane(page: Page, name: str) -> Any:
    return page.get_by_role("region", name="Preview").get_by_role("row", name=re.compile(rf"^{name} \d+$"))


def hide(page: Page, hidden: bool) -> None:
    """Let the page find its tab hidden, or seen again."""
    change = "Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    page.evaluate(f"(hidden) => {{ {change} document.dispatchEvent(new Event('visibilitychange')); }}", hidden)


def test_the_keyboard_alone_starts_a_run_whose_consequences_are_seen_first(tab, apis, live):
    apis.answers |= {"GET /risk-service/runs/preview": by_threshold, "POST /risk-service/runs": a_run()}
    page = tab().open("/runs/new")
    expect(lane(page, "high")).to_contain_text("90")

    page.get_by_label("Threshold").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("750000")
    expect(lane(page, "high")).to_contain_text("40")
    expect(page.get_by_label("Threshold")).to_be_focused()
    expect(page.get_by_role("button", name="Start")).to_have_text("Start: 100 debtors in 2 batches")
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{RUN}")
    assert len(started(apis)) == 1


def test_a_double_click_starts_one_run(tab, apis, live):
    apis.answers["POST /risk-service/runs"] = a_run()
    page = tab().open("/runs/new")
    page.get_by_role("button", name="Start").dblclick()
    page.wait_for_url(f"**{RUN}")
    assert len(set(started(apis))) == 1


def test_the_page_of_a_run_becomes_its_report_by_itself(tab, live):
    page = tab().open(RUN)
    expect(page).to_have_title(re.compile("^50 %"))
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")
    page.get_by_label("Reason").fill("half a thought")

    live.set(a_run(batches_done=7), a_report(state="processing", debtors_processed=700))
    expect(page).to_have_title(re.compile("^70 %"))
    expect(page.get_by_label("Reason")).to_have_value("half a thought")

    live.set(a_completed_run(), a_report())
    expect(page.get_by_role("region", name="Report", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    for name in ("Decisions", "CSV", "Compare"):
        expect(page.get_by_role("link", name=name)).to_have_count(1)
    eventually(lambda: live.watchers == 0, 10, "the stream to end")


def test_times_stay_in_the_zone_of_the_reader_when_the_page_changes_by_itself(tab, live):
    page = tab(timezone_id="Asia/Tokyo", locale="en-GB").open(RUN)
    started = page.locator("#run time").first
    exact = started.get_attribute("datetime")
    expect(started).to_have_attribute("title", re.compile(re.escape(exact)))
    shown = started.inner_text()
    assert "UTC" not in shown

    live.set(a_run(batches_done=7), a_report(state="processing", debtors_processed=700))
    expect(page).to_have_title(re.compile("^70 %"))
    expect(started).to_have_text(shown)


def test_an_api_that_dies_is_said_and_the_page_goes_on(tab, live):
    page = tab().open(RUN)
    eventually(lambda: live.watchers == 1, 10, "the page to follow the run")
    live.away = True
    expect(page.get_by_role("status").filter(has_text="The risk service does not answer")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")

    live.away = False
    live.set(a_run(batches_done=7), a_report(state="processing", debtors_processed=700))
    expect(page).to_have_title(re.compile("^70 %"))
    expect(page.get_by_text("does not answer")).to_have_count(0)


def test_a_tab_that_is_hidden_follows_nothing(tab, live):
    page = tab().open(RUN)
    eventually(lambda: live.watchers == 1, 10, "the page to follow the run")
    hide(page, True)
    eventually(lambda: live.watchers == 0, 10, "the stream to end")
    hide(page, False)
    eventually(lambda: live.watchers == 1, 10, "the page to follow the run again")


def test_a_sign_in_that_ends_under_an_open_run_is_said_with_the_way_back(keys, live, tab):
    page = tab().open(RUN)
    page.get_by_label("API key").fill("srk_operator")
    page.get_by_role("button", name="Sign in").click()
    eventually(lambda: live.watchers == 1, 10, "the page to follow the run")

    page.context.clear_cookies()
    hide(page, True)
    hide(page, False)
    expect(page.get_by_role("alert").filter(has_text="Your sign-in has ended")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")

    page.get_by_role("link", name="Sign in again").click()
    page.get_by_label("API key").fill("srk_operator")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{RUN}")


def test_without_scripts_the_form_and_the_run_can_be_read(tab, live):
    page = tab(java_script_enabled=False).open("/runs/new?batch_size=500")
    expect(page.get_by_role("button", name="Start: 44,994 debtors in 91 batches")).to_be_visible()
    page.goto(page.url.split("/runs")[0] + RUN)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")
