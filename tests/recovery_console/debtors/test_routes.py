"""The page of a debtor: where it stands and why, what became of it, what stops it; holds placed and ended."""

import orjson
import pytest
from tests.recovery_console.builders import a_debtor, a_page, a_rank
from tests.recovery_console.debtors.builders import a_debtor_book, a_hold
from tests.recovery_console.fake_apis import DEBT, FakeApis, Refusal
from tests.recovery_console.reading import Browser, Page
from tests.recovery_console.run_builders import a_run

pytestmark = pytest.mark.anyio

REGIONS = ["Score", "Reasons", "Holds", "What would move it", "History", "Decisions"]


@pytest.fixture(autouse=True)
def book(apis: FakeApis) -> None:
    apis.answers = a_debtor_book()


def facts(page: Page) -> dict[str, str]:
    return dict(zip(page.texts("dt"), page.texts("dd"), strict=True))


async def test_it_writes_the_priority_out_as_score_times_debt(browser: Browser) -> None:
    page = await browser.open("/debtors/7")

    assert page.texts("h1") == ["Debtor 7"]
    assert facts(page)["Rank"] == "2 of 3"
    assert facts(page)["Priority"] == "303 × 33,267.16 EUR = 10,079,949.48"


async def test_its_parts_are_regions_with_names(browser: Browser) -> None:
    page = await browser.open("/debtors/7")

    named = {one.attributes.get("id"): one.text for one in page.all("h2")}
    assert [named[one.attributes["aria-labelledby"]] for one in page.all("section")] == [
        region for region in REGIONS if region != "Reasons"
    ]
    [reasons] = page.all("div", role="region", title="Reasons")
    assert reasons.text.startswith("Reasons What the score is made of")


async def test_a_bar_for_each_factor_has_its_neutral_mark_and_its_sentence(browser: Browser) -> None:
    page = await browser.open("/debtors/7")

    first, second = page.table("Neutral")
    assert first == {"Factor": "Payment history", "Contribution": "63", "Neutral": "45", "At most": "90"}
    assert second == {"Factor": "Debt ratio", "Contribution": "18", "Neutral": "54", "At most": "90"}
    assert page.texts("span", class_="bar-note") == [
        "The number of late payments is at most 5.",
        "Not above the neutral mark.",
    ]


async def test_what_would_move_it_comes_from_the_last_run(browser: Browser) -> None:
    page = await browser.open("/debtors/7")

    best, worst = page.table("If it were")
    assert (best["Factor"], best["If it were"], best["Rank"]) == ("Employment status", "Unemployed", "1")
    assert (worst["Factor"], worst["If it were"], worst["Rank"]) == ("Payment history", "at most 0", "3")
    assert "A debt of 33,267.33 EUR would have put it first of the two." in page.response.text.replace("\xa0", " ")


async def test_a_run_that_was_cancelled_before_it_had_a_plan_explains_nothing(apis: FakeApis, browser: Browser) -> None:
    unplanned = a_run(id="run-3", state="cancelled", planned_at=None, debtors_ranked=None)
    apis.answers["GET /risk-service/runs"] = a_page(unplanned, a_run(id="run-2", state="completed"))
    apis.refusing["GET /risk-service/runs/run-3/explain/7"] = Refusal(409, "the run is cancelled and has no plan")

    page = await browser.open("/debtors/7")

    assert page.response.status_code == 200
    assert len(page.table("If it were")) == 2, "what would move it comes from the run before"


async def test_a_refused_explanation_takes_no_more_than_its_own_part(apis: FakeApis, browser: Browser) -> None:
    apis.refusing["GET /risk-service/runs/run-2/explain/7"] = Refusal(410, "inputs erased: policy")

    page = await browser.open("/debtors/7")

    assert page.texts("h2") == [region for region in REGIONS if region != "What would move it"]


async def test_decisions_and_skips_come_newest_first_each_with_its_run(browser: Browser) -> None:
    page = await browser.open("/debtors/7")

    assert [row["What"] for row in page.table("What")] == ["Skipped: on hold: dispute", "Agent call"]
    assert [one.attributes["href"] for one in page.all("a") if one.text in ("run-1", "run-2")] == [
        "/runs/run-2?portfolio=default",
        "/runs/run-1?portfolio=default",
    ]


async def test_a_hold_stands_on_top_in_words_and_has_no_rank(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/holds"] = a_page(a_hold())
    apis.answers["GET /risk-service/debtors/7/rank"] = a_rank(7, None, reason="HOLD_DISPUTE")

    page = await browser.open("/debtors/7")

    [banner] = page.texts("p", class_="hold-banner")
    assert banner == "On hold: Dispute. Blocks every action, with no end. Letter of 1 March"
    assert facts(page)["Rank"] == "– (on hold: dispute)"
    assert page.table("Kind")[0]["State"].startswith("in force")


async def test_other_accounts_of_the_person_and_its_holds_are_shown(browser: Browser, apis: FakeApis) -> None:
    apis.answers["GET /risk-service/debtors/7"]["person_ref"] = "P-1"
    apis.answers["GET /risk-service/debtors"] = a_page(a_debtor(7), a_debtor(8, person_ref="P-1"))

    page = await browser.open("/debtors/7")

    assert [link.attributes["href"] for link in page.all("a") if link.text == "Debtor 8, ACC-8"] == [
        "/debtors/8?portfolio=default"
    ]
    assert any("person_ref=P-1" in call for call in apis.calls("GET /risk-service/holds"))


async def test_an_operator_places_a_hold_with_a_reason(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    apis.answers["POST /risk-service/holds"] = a_hold()
    browser = await signed_in("operator")
    assert "Place a hold" in (await browser.open("/debtors/7")).texts("button")
    form = await browser.open("/debtors/7/holds/new")
    assert {"Kind", "Reason"} <= set(form.texts("label"))
    assert [one.text for one in form.all("button") if "main" in one.path] == ["Place the hold"]

    sent = {"kind": "DISPUTE", "reason": "Letter of 1 March", "until": "2026-03-31"}
    answer = await browser.send("/debtors/7/holds?portfolio=default", sent)

    assert answer.response.headers["location"] == "/debtors/7?portfolio=default#holds"
    [call] = [one for one in apis.asked if one.method == "POST"]
    assert orjson.loads(call.content) == sent | {"debtor_id": 7, "source": "console"}


@pytest.mark.parametrize(
    ("chosen", "blocks"),
    [
        ({"blocks": ""}, None),
        ({"blocks": "all"}, "all"),
        ({"blocks": "some", "action": ["LEGAL_REVIEW", "AGENT_CALL"]}, ["LEGAL_REVIEW", "AGENT_CALL"]),
        ({"blocks": "all", "action": ["LEGAL_REVIEW"]}, "all"),
    ],
)
async def test_an_operator_says_what_a_hold_stops(  # type: ignore[no-untyped-def]
    signed_in, apis: FakeApis, chosen: dict[str, object], blocks: object
) -> None:
    apis.answers["POST /risk-service/holds"] = a_hold()
    browser = await signed_in("operator")

    await browser.send("/debtors/7/holds", {"kind": "TIME_BARRED", "reason": "Six years"} | chosen)

    [call] = [one for one in apis.asked if one.method == "POST"]
    assert orjson.loads(call.content).get("blocks") == blocks


async def test_a_hold_on_some_actions_names_them(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    browser = await signed_in("operator")

    page = await browser.send("/debtors/7/holds", {"kind": "OTHER", "reason": "Ask first", "blocks": "some"})

    assert page.texts("p", role="alert") == ["Tick the actions that the hold stops."]
    assert page.all("input", name="reason")[0].attributes["value"] == "Ask first"
    assert [one.attributes["value"] for one in page.all("input", type="radio") if "checked" in one.attributes] == [
        "some"
    ]
    assert [one for one in apis.asked if one.method == "POST"] == []


async def test_a_hold_can_be_for_the_person(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    apis.answers["GET /risk-service/debtors/7"]["person_ref"] = "P-1"
    apis.answers["POST /risk-service/holds"] = a_hold()
    browser = await signed_in("operator")

    await browser.send("/debtors/7/holds", {"kind": "DECEASED", "reason": "Notice", "scope": "person"})

    [call] = [one for one in apis.asked if one.method == "POST"]
    body = orjson.loads(call.content)
    assert (body["person_ref"], body["portfolio"], "debtor_id" in body) == ("P-1", "default", False)


async def test_a_refused_hold_keeps_what_was_typed_and_says_what_is_wrong(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    apis.refusing["POST /risk-service/holds"] = Refusal(422, "until: must be after from")
    browser = await signed_in("operator")

    page = await browser.send("/debtors/7/holds", {"kind": "HARDSHIP", "reason": "Short time", "until": "2020-01-01"})

    assert page.status == 422
    assert page.texts("p", role="alert") == ["until: must be after from"]
    assert page.all("input", name="reason")[0].attributes["value"] == "Short time"
    assert [one.text for one in page.all("option") if "selected" in one.attributes] == ["Hardship"]


async def test_an_operator_ends_a_hold_with_a_reason(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    apis.answers["GET /risk-service/holds"] = a_page(a_hold())
    apis.answers["POST /risk-service/holds/hold-1/end"] = a_hold(active=False, ended_at="2026-03-02T00:00:00Z")
    browser = await signed_in("operator")
    form = await browser.open("/debtors/7/holds/hold-1/end")
    assert form.texts("label") == ["Reason"]

    answer = await browser.send("/debtors/7/holds/hold-1/end", {"reason": "Withdrawn"})

    assert answer.status == 303
    [call] = [one for one in apis.asked if one.method == "POST"]
    assert orjson.loads(call.content) == {"reason": "Withdrawn"}


@pytest.mark.parametrize("path", ["/debtors/7/holds", "/debtors/7/holds/hold-1/end"])
async def test_a_viewer_reads_which_role_a_hold_needs(signed_in, apis: FakeApis, path: str) -> None:  # type: ignore[no-untyped-def]
    browser = await signed_in("viewer")
    shown = await browser.open("/debtors/7")

    page = await browser.send(path)

    assert "Place a hold" not in shown.texts("button")
    assert page.status == 403
    assert page.texts("p", role="alert") == ["This needs the role operator; you are viewer."]
    assert [one for one in apis.asked if one.method == "POST"] == []


async def test_without_the_debt_service_the_score_still_shows(browser: Browser, apis: FakeApis) -> None:
    apis.away.add(DEBT)

    page = await browser.open("/debtors/7")

    assert page.status == 200
    assert "The debt service does not answer" in page.texts("p", role="status")[1]
    assert facts(page)["Rank"] == "2 of 3"


async def test_a_debtor_that_is_not_there_is_a_404(browser: Browser) -> None:
    assert (await browser.open("/debtors/99")).status == 404
    assert (await browser.open("/debtors/abc")).status == 404
