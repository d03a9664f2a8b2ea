"""Decisions, the lists beside them, files, and why a debtor was not worked, over fake APIs."""

from typing import Any

import httpx
import pytest
from tests.recovery_console.builders import a_debtor, a_page
from tests.recovery_console.fake_apis import FakeApis, Refusal
from tests.recovery_console.reading import Browser
from tests.recovery_console.run_builders import (
    RUN_ID,
    a_completed_run,
    a_decision,
    a_skip,
    an_explanation,
    some_runs,
)

pytestmark = pytest.mark.anyio

RUN = f"/runs/{RUN_ID}"
DEBT_RUN, RISK_RUN = f"GET /debt-service/runs/{RUN_ID}", f"GET /risk-service/runs/{RUN_ID}"


@pytest.fixture(autouse=True)
def _runs(apis: FakeApis) -> None:
    apis.answers |= some_runs() | {RISK_RUN: a_completed_run()}


def known(apis: FakeApis, debtor_id: int, *decisions: Any, **explanation: Any) -> None:
    """Let both APIs know a debtor, which `q` finds."""
    apis.answers["GET /risk-service/debtors"] = a_page(a_debtor(debtor_id))
    apis.answers[f"GET /debt-service/debtors/{debtor_id}/decisions"] = a_page(*decisions)
    apis.answers[f"{RISK_RUN}/explain/{debtor_id}"] = an_explanation(debtor_id, **explanation)


async def test_decisions_have_their_reasons(browser: Browser) -> None:
    page = await browser.open(f"{RUN}/decisions")
    [row] = page.table()
    assert (row["Debtor"], row["Action"], row["Level"], row["Why"]) == ("7", "Agent call", "High", "4 late payments.")


async def test_a_blocked_action_is_said_in_words(browser: Browser, apis: FakeApis) -> None:
    apis.answers[f"{DEBT_RUN}/decisions"] = a_page(a_decision(blocked=["LEGAL_REVIEW"]))
    page = await browser.open(f"{RUN}/decisions")
    assert page.table()[0]["Why"] == "4 late payments. Blocked by a hold: Legal review"


async def test_action_and_level_are_asked_of_the_api(browser: Browser, apis: FakeApis) -> None:
    page = await browser.open(f"{RUN}/decisions?action=AGENT_CALL&level=HIGH")
    [asked] = apis.calls(f"{DEBT_RUN}/decisions")
    assert asked.endswith("?limit=50&action=AGENT_CALL&level=HIGH")
    [file] = page.all("a", download="")
    assert file.attributes["href"] == f"{RUN}/decisions.csv?action=AGENT_CALL&level=HIGH"


async def test_a_text_finds_the_decisions_of_debtors(browser: Browser, apis: FakeApis) -> None:
    known(apis, 7, a_decision(7, run_id="another"), a_decision(7))
    page = await browser.open(f"{RUN}/decisions?text=ACC-7")
    assert [row["Debtor"] for row in page.table()] == ["7"]
    assert "q=ACC-7" in apis.calls("GET /risk-service/debtors?")[0]


async def test_a_text_goes_together_with_a_level(browser: Browser, apis: FakeApis) -> None:
    known(apis, 7, a_decision(7))
    page = await browser.open(f"{RUN}/decisions?text=ACC-7&level=LOW")
    assert "No decision fits." in page.texts("p", class_="empty")[0]


async def test_the_next_page_keeps_the_filters(browser: Browser, apis: FakeApis) -> None:
    apis.answers[f"{DEBT_RUN}/decisions"] = a_page(a_decision(), next_cursor="c2")
    page = await browser.open(f"{RUN}/decisions?level=HIGH")
    assert page.all("a", rel="next")[0].attributes["href"] == f"{RUN}/decisions?level=HIGH&cursor=c2"


@pytest.mark.parametrize(
    ("listed", "row"),
    [
        ("skips", {"Debtor": "8", "Reason": "paid", "Detail": "paid after the batch was sent"}),
        ("errors", {"Debtor": "9", "Stage": "score", "Error": "industry_sector", "Detail": "unknown: WHALING"}),
        (
            "exclusions",
            {"Debtor": "5", "Reason": "another account of the same person leads", "Rests on": "debtor 7"},
        ),
    ],
)
async def test_the_lists_beside_the_decisions(browser: Browser, listed: str, row: dict[str, str]) -> None:
    page = await browser.open(f"{RUN}/{listed}")
    assert row.items() <= page.table()[0].items()


async def test_a_run_that_the_debt_service_does_not_know_has_empty_lists(browser: Browser, apis: FakeApis) -> None:
    del apis.answers[f"{DEBT_RUN}/skips"]
    page = await browser.open(f"{RUN}/skips")
    assert (page.status, page.texts("p", class_="empty")) == (200, ["There are none."])


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("decisions.csv?action=AGENT_CALL", f"{DEBT_RUN}/decisions?action=AGENT_CALL"),
        ("skips.csv", f"{DEBT_RUN}/skips"),
        ("errors.csv?error=industry_sector", f"{DEBT_RUN}/errors?error=industry_sector"),
        ("exclusions.csv?reason=PAID", f"{RISK_RUN}/exclusions?reason=PAID"),
    ],
)
async def test_every_list_is_a_file(browser: Browser, apis: FakeApis, path: str, asked: str) -> None:
    key = asked.partition("?")[0]
    apis.answers[key] = lambda request: httpx.Response(200, text=f"asked for {request.headers['accept']}\r\n")
    answer = await browser.client.get(f"{RUN}/{path}")
    assert (answer.text, answer.headers["content-type"]) == ("asked for text/csv\r\n", "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    assert apis.calls(key) == [asked]


async def test_a_file_that_is_refused_is_a_page(browser: Browser, apis: FakeApis) -> None:
    apis.refusing[f"{DEBT_RUN}/decisions"] = Refusal(403, "this takes the role viewer")
    page = await browser.open(f"{RUN}/decisions.csv")
    assert (page.status, page.texts("h1")) == (403, ["You may not do this"])


async def test_why_not_answers_from_the_exclusion(browser: Browser, apis: FakeApis) -> None:
    known(apis, 8, outcome="excluded", reason="HOLD_DISPUTE", hold_id="h1")
    page = await browser.open(f"{RUN}/why?debtor=ACC-8")
    assert page.texts("h2") == ["Why not: Debtor 8"]
    assert page.texts("p", class_="lead") == ["The run left it out: on hold: dispute."]
    assert "/holds/h1" in [link.attributes["href"] for link in page.all("a")]


async def test_why_not_answers_from_the_skips_page_after_page(browser: Browser, apis: FakeApis) -> None:
    known(apis, 8)
    pages = {None: a_page(a_skip(3), next_cursor="c2"), "c2": a_page(a_skip(8))}
    apis.answers[f"{DEBT_RUN}/skips"] = lambda request: pages[request.url.params.get("cursor")]
    page = await browser.open(f"{RUN}/why?debtor=ACC-8")
    assert page.texts("p", class_="lead") == ["It was skipped when its batch was worked: paid."]


async def test_why_not_says_when_the_debtor_was_worked(browser: Browser, apis: FakeApis) -> None:
    known(apis, 7, a_decision(7))
    page = await browser.open(f"{RUN}/why?debtor=ACC-7")
    assert page.texts("h2") == ["It was worked: Debtor 7"]


async def test_why_not_asks_which_of_several(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/debtors"] = a_page(a_debtor(7), a_debtor(8))
    page = await browser.open(f"{RUN}/why?debtor=Deb")
    links = [link.attributes["href"] for link in page.all("a") if "why?debtor" in link.attributes["href"]]
    assert links == [f"{RUN}/why?debtor=7", f"{RUN}/why?debtor=8"]


async def test_why_not_of_a_debtor_that_was_deleted_goes_by_its_id(browser: Browser, apis: FakeApis) -> None:
    known(apis, 8, outcome="excluded", reason="PAID")
    apis.answers["GET /risk-service/debtors"] = a_page()
    page = await browser.open(f"{RUN}/why?debtor=8")
    assert page.texts("p", class_="lead") == ["The run left it out: paid."]


async def test_why_not_finds_none(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/debtors"] = a_page()
    page = await browser.open(f"{RUN}/why?debtor=%3Cscript%3E")
    assert page.texts("p", class_="empty")[0].startswith("No debtor of this portfolio")
    assert page.all("input", name="debtor")[0].attributes["value"] == "<script>"
