"""The pages of runs over fake APIs: what they show, what they send, and what they say when an API refuses."""

from typing import Any

import httpx
import orjson
import pytest
from tests.recovery_console.builders import a_page
from tests.recovery_console.fake_apis import DEBT, RISK, FakeApis, Refusal
from tests.recovery_console.reading import Browser, Page
from tests.recovery_console.run_builders import LAST_ID, RUN_ID, a_completed_run, a_preview, a_report, a_run, some_runs

pytestmark = pytest.mark.anyio

RUN = f"/runs/{RUN_ID}"
FORM = {"token": "t1", "portfolio": "default", "batch_size": "500", "threshold": "500,000", "limit": ""}


@pytest.fixture(autouse=True)
def _runs(apis: FakeApis) -> None:
    apis.answers |= some_runs()


def completed(apis: FakeApis, **report: Any) -> None:
    apis.answers[f"GET /risk-service/runs/{RUN_ID}"] = a_completed_run()
    apis.answers[f"GET /debt-service/runs/{RUN_ID}"] = a_report(**report)


def labels(page: Page) -> list[str]:
    return page.texts("label")


def started(apis: FakeApis) -> list[tuple[Any, str | None]]:
    """The bodies and idempotency keys of the runs that were started."""
    posts = [one for one in apis.asked if one.method == "POST" and one.url.path == "/risk-service/runs"]
    return [(orjson.loads(one.content), one.headers.get("idempotency-key")) for one in posts]


async def test_the_list_has_a_row_for_each_run(browser: Browser) -> None:
    page = await browser.open("/runs")
    first = page.table()[0]
    assert (first["Run"], first["State"], first["Batches done"]) == ("4b6f2c1e", "Publishing", "5 of 10")
    assert [link.text for link in page.all("a", class_="button primary")] == ["New run"]


async def test_a_viewer_finds_no_way_to_start_or_cancel(signed_in: Any) -> None:
    browser: Browser = await signed_in("viewer")
    assert "New run" not in (await browser.open("/runs")).texts("a")
    assert "Cancel" not in (await browser.open(RUN)).texts("button")


async def test_the_form_has_its_fields_and_one_button_that_says_what_it_does(browser: Browser) -> None:
    page = await browser.open("/runs/new?batch_size=500")
    assert {"Batch size", "Threshold", "Limit"} <= set(labels(page))
    assert page.texts("section", aria_labelledby="preview-title")[0].startswith("Preview")
    assert [text for text in page.texts("button") if text.startswith("Start")] == [
        "Start: 44,994 debtors in 91 batches"
    ]


async def test_numbers_of_a_preview_stand_beside_their_words(browser: Browser) -> None:
    page = await browser.open("/runs/preview?portfolio=default", hx_request="true", hx_request_type="partial")
    assert page.all("html") == []
    assert [tuple(row.values()) for row in page.table(0)][:2] == [("high", "94"), ("standard", "44,900")]
    assert [tuple(row.values()) for row in page.table(1)] == [
        ("paid PAID", "3,000"),
        ("on hold: dispute HOLD_DISPUTE", "6"),
    ]
    assert page.table(2)[0] == {"What": "ranked", "Then": "1,000", "Now": "44,994", "Change": "+43,994"}
    assert page.table(3)[0]["Name"] == "Ada"


async def test_a_preview_asks_what_the_form_says(browser: Browser, apis: FakeApis) -> None:
    await browser.open("/runs/preview?portfolio=default&threshold=750,000&limit=&level_HIGH=on&batch_size=7")
    [asked] = apis.calls("GET /risk-service/runs/preview")
    assert asked.endswith("?portfolio=default&unit=person&threshold=750000&risk_level=HIGH")


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (Refusal(422, "threshold: must be an amount"), "threshold: must be an amount"),
        (Refusal(404, "portfolio: there is no such portfolio"), "portfolio: there is no such portfolio"),
        (Refusal(503, "the database is away"), "The risk service does not answer as it should"),
    ],
)
async def test_a_preview_says_what_is_wrong_and_starts_nothing(
    browser: Browser, apis: FakeApis, refusal: Refusal, text: str
) -> None:
    apis.refusing["GET /risk-service/runs/preview"] = refusal
    page = await browser.open("/runs/preview")
    assert page.status == 200
    assert text in page.texts("p", role="status")[0]
    [button] = page.all("button")
    assert (button.text, "disabled" in button.attributes) == ("Start", True)


async def test_a_batch_size_that_cannot_be_is_said_before_anything_is_asked(browser: Browser, apis: FakeApis) -> None:
    page = await browser.open("/runs/preview?batch_size=1001")
    assert page.texts("p", role="status") == ["Write a whole number from 1 to 1,000."]
    assert apis.calls("GET /risk-service/runs/preview") == []


async def test_a_preview_that_was_away_looks_again_by_itself(browser: Browser, apis: FakeApis) -> None:
    apis.away.add(RISK)
    page = await browser.open("/runs/preview")
    [text] = page.all("p", role="status")
    assert "does not answer" in text.text
    assert text.attributes["hx-trigger"] == "every 2s"


async def test_a_form_sent_twice_starts_one_run(browser: Browser, apis: FakeApis) -> None:
    apis.answers["POST /risk-service/runs"] = a_run()
    answers = [await browser.send("/runs", FORM) for _ in range(2)]
    assert [answer.response.headers["location"] for answer in answers] == [RUN, RUN]
    (body, key), (again, same_key) = started(apis)
    options = {"portfolio": "default", "unit": "person", "threshold": "500000", "batch_size": 500}
    assert body == again == options
    assert key == same_key


async def test_another_form_is_another_run(browser: Browser, apis: FakeApis) -> None:
    apis.answers["POST /risk-service/runs"] = a_run()
    for changed in ({}, {"limit": "10"}, {"token": "t2"}):
        await browser.send("/runs", FORM | changed)
    assert len({key for _, key in started(apis)}) == 3


async def test_every_form_has_a_token_of_its_own_and_is_not_kept(browser: Browser) -> None:
    pages = [await browser.open("/runs/new") for _ in range(2)]
    tokens = {page.all("input", name="token")[0].attributes["value"] for page in pages}
    assert len(tokens) == 2
    assert pages[0].response.headers["cache-control"] == "no-store"


async def test_a_run_that_is_refused_comes_back_with_what_was_typed(browser: Browser, apis: FakeApis) -> None:
    apis.refusing["POST /risk-service/runs"] = Refusal(422, "limit: must be at least 1")
    page = await browser.send("/runs", FORM | {"limit": "0"})
    assert page.status == 422
    assert page.all("input", id="limit")[0].attributes["value"] == "0"
    assert "limit: must be at least 1" in page.texts("p", role="status")[1]


async def test_a_plain_post_names_the_missing_role(signed_in: Any, apis: FakeApis) -> None:
    browser: Browser = await signed_in("viewer")
    for path in ("/runs", f"{RUN}/cancel"):
        page = await browser.send(path, FORM)
        assert page.status == 403
        assert "operator" in page.texts("p", role="alert")[0]
    assert started(apis) == []


async def test_a_run_shows_how_far_it_is(browser: Browser) -> None:
    page = await browser.open(RUN)
    [bar] = page.all("progress")
    assert (bar.attributes["value"], bar.attributes["max"], bar.text) == ("50", "100", "50 %")
    assert page.texts("title")[0].startswith("50 % · Run 4b6f2c1e")
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Worked"] == "500 of 1,000 debtors"
    assert (facts["Rate"], facts["Time left"]) == ("400 debtors a second", "1 s")
    assert page.all("g", class_="outline cells-done")
    assert page.texts("button", class_="danger") == ["Cancel"]
    assert "Reason" in labels(page)
    assert page.all("section", aria_labelledby="report-title") == []


async def test_skips_and_errors_are_shown_as_they_come(browser: Browser) -> None:
    page = await browser.open(RUN)
    assert {"Skips: 8", "Errors: 2"} <= set(page.texts("h2"))
    texts = " ".join(page.texts("li"))
    assert "paid after the batch was sent" in texts
    assert "unknown: WHALING" in texts


async def test_a_run_without_a_batch_worked_has_no_report_yet(browser: Browser, apis: FakeApis) -> None:
    del apis.answers[f"GET /debt-service/runs/{RUN_ID}"]
    page = await browser.open(RUN)
    assert page.status == 200
    assert page.all("progress")[0].attributes["value"] == "0"


async def test_a_completed_run_is_its_report(browser: Browser, apis: FakeApis) -> None:
    completed(apis)
    page = await browser.open(RUN)
    [report] = page.all("section", aria_labelledby="report-title")
    assert report.text.startswith("Report")
    for part in ("Skips: 8", "Errors: 2", "industry_sector"):
        assert part in report.text
    links = {link.text: link.attributes["href"] for link in page.all("a", class_="button")}
    assert links == {"Decisions": f"{RUN}/decisions", "CSV": f"{RUN}/decisions.csv", "Compare": f"{RUN}/compare"}
    assert page.table(2)[1] == {"Level": "High", "Self service reminder": "0", "Agent call": "300"}
    assert "Cancel" not in page.texts("button")
    assert "data-live" not in page.response.text


async def test_a_run_says_when_the_debt_service_does_not_answer(browser: Browser, apis: FakeApis) -> None:
    apis.away.add(DEBT)
    page = await browser.open(RUN)
    assert page.status == 200
    assert "The debt service does not answer" in page.texts("p", role="status")[1]


async def test_cancelling_sends_the_reason(browser: Browser, apis: FakeApis) -> None:
    apis.answers[f"POST /risk-service/runs/{RUN_ID}/cancel"] = a_run(state="cancelled")
    page = await browser.send(f"{RUN}/cancel", {"reason": "wrong threshold"})
    assert page.response.headers["location"] == RUN
    assert apis.asked[-1].headers["x-reason"] == "wrong threshold"


async def test_a_run_that_is_over_cannot_be_cancelled(browser: Browser, apis: FakeApis) -> None:
    apis.refusing[f"POST /risk-service/runs/{RUN_ID}/cancel"] = Refusal(409, "the run is completed")
    page = await browser.send(f"{RUN}/cancel", {"reason": "too late"})
    assert (page.status, page.texts("h1")) == (409, ["It is in another state by now"])


async def test_a_comparison_is_with_the_completed_run_before(browser: Browser, apis: FakeApis) -> None:
    runs = a_page(a_completed_run(), a_completed_run(LAST_ID))
    apis.answers["GET /risk-service/runs"] = runs
    page = await browser.open(f"{RUN}/compare")
    [asked] = apis.calls(f"GET /risk-service/runs/{RUN_ID}/compare")
    assert f"with={LAST_ID}" in asked
    assert page.table(0)[:2] == [{"Change": "new", "Debtors": "1"}, {"Change": "gone", "Debtors": "2"}]
    assert page.table(2)[1] == {"Debtor": "9", "Change": "gone", "Why": "paid", "Rank then": "5", "Rank now": "–"}


async def test_a_comparison_may_be_with_any_run_before(browser: Browser, apis: FakeApis) -> None:
    later = a_completed_run("99999999-7f53-4f0e-9d0c-0b1f6a1d7c55", created_at="2026-03-02T09:30:00Z")
    oldest = a_completed_run("00000000-7f53-4f0e-9d0c-0b1f6a1d7c55")
    apis.answers["GET /risk-service/runs"] = a_page(later, a_completed_run(), a_completed_run(LAST_ID), oldest)
    page = await browser.open(f"{RUN}/compare?with={oldest['id']}")
    options = page.all("option")
    assert [option.attributes["value"] for option in options] == [LAST_ID, oldest["id"]]
    assert ["selected" in option.attributes for option in options] == [False, True]


async def test_the_first_run_has_none_to_compare_with(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/runs"] = a_page(a_completed_run())
    page = await browser.open(f"{RUN}/compare")
    assert page.texts("p", class_="empty") == ["There is no completed run of this portfolio before this one."]


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(Refusal(404, "there is no such run"), 404), (Refusal(429, "slowly", {"Retry-After": "7"}), 429)],
)
async def test_a_run_that_is_refused_is_a_page_that_says_so(
    browser: Browser, apis: FakeApis, refusal: Refusal, status: int
) -> None:
    apis.refusing[f"GET /risk-service/runs/{RUN_ID}"] = refusal
    assert (await browser.open(RUN)).status == status


async def test_a_key_that_is_no_longer_accepted_leads_to_the_sign_in(signed_in: Any, apis: FakeApis) -> None:
    browser: Browser = await signed_in("operator")
    apis.keys = {}
    answer = await browser.client.get(RUN)
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert answer.headers["location"].startswith("/sign-in?next=/runs/")


async def test_a_stream_without_a_sign_in_says_so_in_one_event_with_the_way_back(signed_in: Any) -> None:
    browser: Browser = await signed_in("operator")
    browser.client.cookies.clear()
    follows = {"Accept": "text/event-stream", "Referer": f"http://console{RUN}"}
    answer = await browser.client.get(f"{RUN}/live", headers=follows)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("event: signed-out\ndata: <p")
    assert f'href="/sign-in?next={RUN}"' in answer.text


async def test_a_hostile_name_stays_text(browser: Browser, apis: FakeApis) -> None:
    hostile = "<script>alert(1)</script>" + "\u202e" + "x" * 200
    line = a_preview()["top"][0] | {"name": hostile}
    apis.answers["GET /risk-service/runs/preview"] = a_preview(top=[line])
    page = await browser.open("/runs/preview")
    assert page.all("script") == []
    assert hostile in page.texts("bdi")
