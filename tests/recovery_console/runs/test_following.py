"""A run that is watched: its page at each change, through outages, to its end."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest
from tests.recovery_console.fake_apis import FakeApis, Refusal
from tests.recovery_console.reading import Browser
from tests.recovery_console.run_builders import RUN_ID, a_completed_run, a_report, a_run, some_runs, some_stretches

from recovery_console.runs import following
from recovery_console.runs.following import OVER_EVENT, as_event

pytestmark = pytest.mark.anyio

LIVE = f"/runs/{RUN_ID}/live"
EVENTS, REPORT = f"GET /risk-service/runs/{RUN_ID}/events", f"GET /debt-service/runs/{RUN_ID}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, apis: FakeApis) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.001)
    apis.answers |= some_runs()


class Stream(httpx.AsyncByteStream):
    """Events of runs. Before each one but the first, and before the end, the page must have been looked at again."""

    def __init__(self, apis: FakeApis, *runs: Any, breaks: bool = False) -> None:
        self.apis, self.runs, self.breaks = apis, runs, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for run in self.runs:
            yield b"event: run\ndata: " + orjson.dumps(run) + b"\n\n"
            await self.looked_at()
        if self.breaks:
            raise httpx.ReadError("connection reset")

    async def looked_at(self) -> None:
        seen = looks(self.apis)
        async with asyncio.timeout(10):
            while looks(self.apis) < seen + 3:
                await asyncio.sleep(0)


def looks(apis: FakeApis) -> int:
    """How often the report was asked for: once for each look at the run."""
    return apis.calls(REPORT).count(REPORT)


def streaming(apis: FakeApis, *runs: Any, breaks: bool = False) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(200, stream=Stream(apis, *runs, breaks=breaks))


async def watched(browser: Browser) -> list[str]:
    """The events of the run's page, to their end."""
    async with asyncio.timeout(20):
        answer = await browser.client.get(LIVE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text.strip("\n").split("\n\n")


async def test_the_page_follows_the_run_and_ends_with_it(browser: Browser, apis: FakeApis) -> None:
    apis.answers[EVENTS] = streaming(apis, a_run(), a_completed_run())
    first, last, over = await watched(browser)
    assert "<title>50 % · Run 4b6f2c1e" in first
    assert "<title>Completed · Run 4b6f2c1e" in last
    assert "Report</h2>" in last
    assert over == OVER_EVENT.strip("\n")


async def test_a_cancelled_run_is_followed_until_no_batch_is_under_way(browser: Browser, apis: FakeApis) -> None:
    under_way = {"planned": 0, "sent": 2, "done": 1, "dead": 0, "cancelled": 3}
    worked = under_way | {"sent": 0, "done": 3}
    before, after = (
        a_run(state="cancelled", batches_by_lane={"high": of, "standard": worked}) for of in (under_way, worked)
    )
    apis.answers[EVENTS] = streaming(apis, before)
    apis.answers[f"GET /risk-service/runs/{RUN_ID}"] = after
    del apis.answers[f"GET /risk-service/runs/{RUN_ID}/batches"]

    *_, last, over = await watched(browser)

    assert "<title>Cancelled" in last
    counted = dict(re.findall(r'<span>(\w+)</span><span class="num">(\d+)</span>', last))
    assert (counted["worked"], counted["sent"]) == ("6", "0")
    assert over == OVER_EVENT.strip("\n")


async def test_batches_that_are_scattered_are_asked_for_less_often(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STRETCHES_A_LOOK", 1)
    apis.answers[EVENTS] = streaming(apis, a_run(), a_run(), a_run(), a_completed_run())

    *_, last, over = await watched(browser)

    asked = len(apis.calls(f"GET /risk-service/runs/{RUN_ID}/batches"))
    stretches = len(some_stretches()["stretches"])
    assert 2 <= asked <= looks(apis) // (stretches + 1) + 5 < looks(apis)
    assert "<title>Completed" in last
    assert over == OVER_EVENT.strip("\n")


async def test_nothing_is_sent_while_nothing_changes(browser: Browser, apis: FakeApis) -> None:
    apis.answers[EVENTS] = streaming(apis, a_run(), a_run(), a_run(), a_completed_run())
    assert len([event for event in await watched(browser) if event.startswith("data:")]) == 2


async def test_an_api_that_dies_is_said_and_the_page_goes_on_by_itself(browser: Browser, apis: FakeApis) -> None:
    streams = iter([streaming(apis, a_run(), breaks=True), None, streaming(apis, a_run(), a_completed_run())])
    silent_until = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal silent_until
        if looks(apis) < silent_until:
            raise httpx.ConnectError("connection refused", request=request)
        if (stream := next(streams)) is None:
            silent_until = looks(apis) + 3
            raise httpx.ConnectError("connection refused", request=request)
        return stream(request)

    apis.answers[EVENTS] = answer
    before, away, again, last, _ = await watched(browser)
    text = "The risk service does not answer. This page goes on by itself as soon as it does."
    assert [text in event for event in (before, away, again, last)] == [False, True, False, False]
    assert "50 %" in away


async def test_a_debt_service_that_is_away_is_said_and_what_it_said_before_still_holds(
    browser: Browser, apis: FakeApis
) -> None:
    apis.answers[EVENTS] = streaming(apis, a_run(), a_completed_run())

    def answer(_: httpx.Request) -> Any:
        at = looks(apis)
        if 3 < at < 9:
            raise httpx.ConnectError("connection refused")
        return a_report() if at >= 9 else a_report(debtors_processed=500)

    apis.answers[REPORT] = answer
    before, *_, away, last, _over = await watched(browser)
    assert ["does not answer" in event for event in (before, away, last)] == [False, True, False]
    assert "1,000 of 1,000 debtors" in last
    assert "500 of 1,000 debtors" in away


async def test_too_many_requests_are_a_pause(browser: Browser, apis: FakeApis) -> None:
    refused = iter([True])

    def answer(request: httpx.Request) -> httpx.Response:
        if next(refused, False):
            return httpx.Response(429, json={"detail": "50 streams are open"})
        return streaming(apis, a_completed_run())(request)

    apis.answers[EVENTS] = answer
    assert "Completed" in (await watched(browser))[-2]


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (Refusal(401, "the credentials are not valid"), following.SIGN_IN_AGAIN),
        (Refusal(403, "this takes the role viewer"), "This takes the role viewer."),
        (Refusal(404, "there is no such run"), "There is no such run."),
    ],
)
async def test_a_refusal_is_said_and_ends_the_stream(
    browser: Browser, apis: FakeApis, refusal: Refusal, text: str
) -> None:
    apis.refusing[EVENTS] = refusal
    shown, over = await watched(browser)
    assert text in shown
    assert over == OVER_EVENT.strip("\n")


async def test_a_report_that_goes_on_is_shown_without_a_change_of_the_run(browser: Browser, apis: FakeApis) -> None:
    worked = iter(range(100, 1000, 100))
    apis.answers[EVENTS] = streaming(apis, a_run(), a_completed_run())
    apis.answers[REPORT] = lambda _: a_report(debtors_processed=next(worked))
    shown = [event for event in await watched(browser) if "<title>" in event]
    assert ["<title>10 %" in shown[0], "<title>20 %" in shown[1]] == [True, True]


def test_html_of_several_lines_is_one_event() -> None:
    assert as_event("<p>\n\n  a\n</p>") == "data: <p>\ndata:   a\ndata: </p>\n\n"
