"""`/policies` over fake APIs: the active one, drafts, differences, findings, and the activation by another person."""

import json

import pytest
from tests.recovery_console.builders import POLICY, a_page
from tests.recovery_console.fake_apis import Refusal
from tests.recovery_console.policies.builders import DRAFT_HASH, a_draft, a_finding, a_rule_book, some_findings

from recovery_console.formatting import Reader
from recovery_console.policies.view import differences, influence_chart

pytestmark = pytest.mark.anyio
ACTIVATE = f"POST /risk-service/policies/{DRAFT_HASH}/activate"


@pytest.fixture(autouse=True)
def rule_book(apis):
    apis.answers |= a_rule_book()


async def test_the_active_policy_is_shown_as_tables_and_drafts_beside_it(browser):
    page = await browser.open("/policies")

    assert page.texts("h1") == ["Policies"]
    assert page.texts("p", class_="lead")[0].startswith("standard version 1 is active in default")
    assert page.table()[0]["Policy"] == "house"
    titles = page.texts("h2")
    assert {"Factors", "Levels", "Treatment", "Findings", "Influence", "Activations"} <= set(titles)
    assert [one.attributes["href"] for one in page.all("a") if one.text == "Simulation"] == ["/simulations"]


async def test_findings_name_their_rule_and_influence_is_a_chart_with_its_table(browser, apis):
    apis.answers[f"GET /risk-service/policies/{POLICY['hash']}/findings"] = some_findings(
        a_finding(), a_finding(code="FACTOR_PROHIBITED", severity="error", rule="12 CFR 1002.6(b)")
    )

    page = await browser.open("/policies")
    rows = next(page.table(n) for n in range(20) if "Severity" in page.table(n)[0])

    assert [(row["Severity"], row["Rule"]) for row in rows] == [("error", "12 CFR 1002.6(b)"), ("warning", "–")]
    influence = next(page.table(n) for n in range(20) if "Priority at most" in page.table(n)[0])
    assert list(influence[0].values()) == ["Debt ratio", "217/450", "72", "+131 %"]
    assert "jurisdiction=EU" in apis.calls("GET /risk-service/policies/")[0] + "".join(
        apis.calls(f"GET /risk-service/policies/{POLICY['hash']}/findings")
    )


async def test_a_draft_is_shown_with_what_differs(browser):
    page = await browser.open(f"/policies/{DRAFT_HASH}")

    assert page.texts("h1") == ["house version 2"]
    first, second = page.table()
    assert list(first.values()) == ["factors.debt_ratio.weight", "9", "12"]
    assert list(second.values()) == ["treatment.11", "–", '{"action": "AGENT_CALL"}']


async def test_an_approver_activates_it_with_a_reason_and_names_the_errors_they_accept(signed_in, apis):
    apis.answers[f"GET /risk-service/policies/{DRAFT_HASH}/findings"] = some_findings(
        a_finding(code="FACTOR_PROHIBITED", severity="error"), policy=a_draft()
    )
    apis.answers[ACTIVATE] = _a_job()
    browser = await signed_in("approver")

    page = await browser.open(f"/policies/{DRAFT_HASH}")
    assert [one.attributes["value"] for one in page.all("input", name="accept")] == ["FACTOR_PROHIBITED"]
    form = {"portfolio": "default", "reason": "agreed on 1 March", "accept": ["FACTOR_PROHIBITED"]}
    answer = await browser.send(f"/policies/{DRAFT_HASH}/activate", form)

    assert (answer.status, answer.response.headers["location"]) == (303, "/policies?portfolio=default")
    (asked,) = [one for one in apis.asked if f"{one.method} {one.url.path}" == ACTIVATE]
    assert json.loads(asked.content) == {
        "portfolio": "default",
        "reason": "agreed on 1 March",
        "accept_findings": ["FACTOR_PROHIBITED"],
    }


async def test_its_author_reads_that_another_person_has_to_activate_it(signed_in, apis):
    draft = apis.answers[f"GET /risk-service/policies/{DRAFT_HASH}"]
    draft["uploaded_by"] = "key:approver"
    browser = await signed_in("approver")

    page = await browser.open(f"/policies/{DRAFT_HASH}")

    assert "You uploaded this policy: another approver has to activate it." in page.texts("p")
    assert page.all("input", id="reason") == []


@pytest.mark.parametrize("status", [403, 409, 422])
async def test_a_refusal_is_said_beside_the_form_and_the_reason_stays(browser, apis, status):
    apis.refusing[ACTIVATE] = Refusal(status, "it may not be so")

    page = await browser.send(f"/policies/{DRAFT_HASH}/activate", {"portfolio": "default", "reason": "agreed"})

    assert page.status == status
    assert page.texts("p", role="alert") == ["it may not be so"]
    assert page.all("input", id="reason")[0].attributes["value"] == "agreed"


async def test_an_operator_uploads_and_may_not_activate(signed_in, apis):
    apis.answers["POST /risk-service/policies"] = a_draft(findings=[])
    browser = await signed_in("operator")

    answer = await browser.send("/policies", {"document": '{"name": "house"}'})
    assert answer.response.headers["location"] == f"/policies/{DRAFT_HASH}"
    assert (await browser.send(f"/policies/{DRAFT_HASH}/activate", {})).status == 403
    assert "Activation" not in (await browser.open(f"/policies/{DRAFT_HASH}")).texts("h2")


async def test_a_document_that_is_no_policy_is_refused_with_its_faults_and_kept(browser, apis):
    apis.refusing["POST /risk-service/policies"] = Refusal(422, "factors.x.weight: must be a whole number")

    page = await browser.send("/policies", {"document": '{"name": "<b>"}'})

    assert page.status == 422
    assert page.texts("p", role="alert") == ["factors.x.weight: must be a whole number"]
    assert page.texts("textarea") == ['{"name": "<b>"}']


async def test_without_a_portfolio_the_page_says_so(browser, apis):
    apis.answers["GET /risk-service/portfolios"] = a_page()

    page = await browser.open("/policies")

    assert page.status == 200
    assert "no portfolio yet" in page.texts("p", class_="empty")[0]


def test_influence_is_drawn_by_its_exact_share():
    chart = influence_chart("i", some_findings(), Reader())

    assert chart.table.rows == (("Debt ratio", "48.2\u00a0%"),)


def test_a_difference_is_text_on_both_sides():
    (found,) = differences([{"place": "levels.0.level", "left": "LOW", "right": None}])

    assert (found.left, found.right) == ("LOW", None)


def _a_job():
    return {
        "id": "j1",
        "portfolio": "default",
        "state": "accepted",
        "policy": {name: a_draft()[name] for name in ("name", "version", "hash")},
        "debtors_total": None,
        "debtors_scored": 0,
        "debtors_failed": 0,
        "levels_changed": 0,
        "created_at": "2026-03-01T09:30:00Z",
        "started_at": None,
        "finished_at": None,
        "error": None,
    }
