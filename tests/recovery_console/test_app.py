"""The console on one page: every failure is a page that says what happened, health and metrics are as elsewhere."""

import asyncio

import httpx
import pytest
from tests.recovery_console.fake_apis import DEBT, RISK, FakeApis, Refusal
from tests.recovery_console.reading import Browser

from recovery_console import dependencies, words
from recovery_core.holds import HoldKind
from recovery_core.policies.parts import Action, RiskLevel
from recovery_core.profile import PaymentStatus

pytestmark = pytest.mark.anyio


async def test_every_page_has_one_heading_and_leads_to_all_others(browser: Browser) -> None:
    for path in ("/", "/sign-in", "/nowhere"):
        page = await browser.open(path)

        assert len(page.all("h1")) == 1
        assert len(page.all("main")) == 1
        names = [link.text for link in page.all("a") if link.path[-3:] == ("nav", "ul", "li")]
        assert names[:5] == ["Portfolio", "Runs", "Operations", "Policies", "Holds"]


@pytest.mark.parametrize(
    ("refusal", "status", "text"),
    [
        (
            Refusal(403, "this needs the role operator; you are viewer"),
            403,
            "This needs the role operator; you are viewer.",
        ),
        (Refusal(404, "there is no debtor 7"), 404, "There is no debtor 7."),
        (Refusal(412, "it is at version 3"), 412, "It is at version 3."),
        (Refusal(422, "cursor: is not one of ours"), 422, "Cursor: is not one of ours."),
        (Refusal(429, "too many", {"Retry-After": "7"}), 429, "Try again in 7 s."),
        (Refusal(503, "database: away"), 503, "The risk service does not answer as it should: Database: away."),
    ],
)
async def test_a_problem_of_an_api_is_a_page_with_its_status(
    browser: Browser, apis: FakeApis, refusal: Refusal, status: int, text: str
) -> None:
    apis.refusing["GET /risk-service/portfolios"] = refusal

    page = await browser.open("/")

    assert page.status == status
    assert text in page.texts("p", role="alert")[0]


async def test_a_fragment_gets_the_text_alone_for_its_place_on_the_page(browser: Browser, apis: FakeApis) -> None:
    apis.refusing["GET /risk-service/portfolios"] = Refusal(422, "no")

    page = await browser.open("/", hx_request="true", hx_request_type="partial")

    assert page.all("html") == []
    assert page.response.headers["hx-retarget"] == "#problem"


async def test_an_error_of_ours_is_a_page_without_detail(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/portfolios"] = lambda _: 1 / 0

    page = await browser.open("/")

    assert page.status == 500
    assert page.texts("h1") == ["Something went wrong"]
    assert "ZeroDivision" not in page.response.text


async def test_the_status_says_which_service_answers(browser: Browser, apis: FakeApis) -> None:
    apis.away.add(DEBT)

    found = (await browser.client.get("/status")).json()

    assert found[RISK] is None
    assert "The debt service does not answer" in found[DEBT]


async def test_a_service_that_hangs_is_said_not_to_answer_long_before_a_call_gives_up(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "SLOW_SECONDS", 0.01)
    apis.stuck |= {"/risk-service/runs", "/risk-service/healthz"}
    async with asyncio.timeout(10):
        page = await browser.open("/runs")
    assert page.status == 503
    assert page.texts("h1") == ["The risk service does not answer"]


async def test_a_slow_answer_is_waited_for_while_its_service_lives(
    browser: Browser, apis: FakeApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "SLOW_SECONDS", 0.01)
    apis.stuck.add("/risk-service/runs")
    opening = asyncio.create_task(browser.open("/runs"))
    async with asyncio.timeout(10):
        while len(apis.calls("GET /risk-service/healthz")) < 3:
            await asyncio.sleep(0)
    assert not opening.done()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


async def test_it_is_alive_and_ready_while_both_apis_are_away(browser: Browser, apis: FakeApis) -> None:
    apis.away |= {RISK, DEBT}

    assert (await browser.client.get("/healthz")).json() == {"status": "alive"}
    assert (await browser.client.get("/readyz")).json() == {"status": "ready"}
    assert "recovery_up" in (await browser.client.get("/metrics")).text


async def test_pages_are_compressed_and_kept_by_no_one(browser: Browser) -> None:
    answer = await browser.client.get("/")

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "no-store"


async def test_static_files_are_kept_as_long_as_their_content_is_the_same(browser: Browser) -> None:
    page = await browser.open("/")
    [address] = [link.attributes["href"] for link in page.all("link", rel="stylesheet")]

    assert "immutable" in (await browser.client.get(address)).headers["cache-control"]
    assert (await browser.client.get("/static/console.css")).headers["cache-control"] == "no-cache"
    assert (await browser.client.get("/static/../app.py")).status_code == httpx.codes.NOT_FOUND


async def test_the_words_are_those_of_the_contract() -> None:
    assert tuple(kind.value for kind in HoldKind) == words.HOLD_KINDS
    assert tuple(action.value for action in Action) == words.ACTIONS
    assert set(words.LEVELS) == {level.value for level in RiskLevel}
    assert set(words.STATUSES) == {status.value for status in PaymentStatus}
