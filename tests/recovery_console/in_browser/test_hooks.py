"""What tests from outside rely on: regions, fields and buttons are found by their names, each of them once."""

import re

from playwright.sync_api import Page, expect
from tests.recovery_console.debtors.builders import a_hold
from tests.recovery_console.in_browser.book import PAGES
from tests.recovery_console.run_builders import LAST_ID, RUN_ID

HEADINGS = ["Rank", "Name", "Reference", "Level", "Score", "Debt", "Priority", "Why"]


def once(page: Page, role: str, *names: str) -> None:
    for name in names:
        expect(page.get_by_role(role, name=name)).to_have_count(1)  # type: ignore[arg-type]


def test_every_page_has_its_landmarks_and_the_way_out(tab):
    shown = tab()
    shown.forgiven.append("status of 404")
    for path in PAGES:
        page = shown.open(path)
        assert [page.locator(name).count() for name in ("h1", "main")] == [1, 1], path
        pages = page.get_by_role("navigation", name="Pages")
        assert pages.get_by_role("link").all_inner_texts() == ["Portfolio", "Runs", "Operations", "Policies", "Holds"]
        once(page, "button", "Sign out")


def test_the_portfolio_has_its_table_search_and_way_to_a_new_run(tab):
    page = tab().open("/")
    expect(page.get_by_role("table").filter(has_text="Rank").get_by_role("columnheader")).to_have_text(HEADINGS)
    once(page, "searchbox", "Search")
    once(page, "link", "New run")


def test_a_debtor_has_its_regions_and_the_form_of_a_hold_its_fields(tab, apis):
    page = tab().open("/debtors/7")
    once(page, "region", "Score", "Reasons", "History", "Decisions", "Holds")
    apis.answers["POST /risk-service/holds"] = a_hold()

    page.get_by_role("button", name="Place a hold").click()
    page.get_by_label("Kind").select_option("DISPUTE")
    page.get_by_label("Reason").fill("Contested")
    page.locator("form:has(select)").get_by_role("button").click()

    page.wait_for_url("**/debtors/7?portfolio=default#holds")
    assert [call.method for call in apis.asked if call.url.path == "/risk-service/holds"].count("POST") == 1


def test_a_new_run_has_its_fields_its_preview_and_one_button(tab):
    page = tab().open("/runs/new")
    for name in ("Batch size", "Threshold", "Limit"):
        expect(page.get_by_label(name)).to_have_count(1)
    once(page, "region", "Preview")
    expect(page.get_by_role("button", name=re.compile("^Start"))).to_have_count(1)
    preview = page.get_by_role("region", name="Preview")
    for words, number in (("high", "94"), ("standard", "44,900"), ("on hold: dispute", "6")):
        expect(preview.get_by_role("row", name=re.compile(f"^{words}.*{number}$")).first).to_be_visible()


def test_a_run_can_be_cancelled_with_a_reason_and_has_a_report_when_it_is_completed(tab):
    page = tab().open(f"/runs/{RUN_ID}")
    once(page, "progressbar", "Debtors worked")
    once(page, "button", "Cancel")
    expect(page.get_by_label("Reason")).to_have_count(1)

    page = tab().open(f"/runs/{LAST_ID}")
    once(page, "region", "Report")
    once(page, "link", "Decisions", "CSV", "Compare")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_operations_have_their_regions_and_the_redrive_its_reason(tab):
    page = tab().open("/operations")
    once(page, "region", "Queues", "Workers", "Dead letters")
    once(page, "button", "Redrive")
    expect(page.get_by_label("Reason")).to_have_count(1)


def test_policies_lead_to_the_simulation_with_its_field_and_button(tab):
    page = tab().open("/policies")
    page.get_by_role("link", name="Simulation").click()
    expect(page.get_by_label("Policy")).to_have_count(1)
    once(page, "button", "Simulate")


def test_the_sign_in_has_a_field_for_the_key(tab):
    page = tab().open("/sign-in")
    expect(page.get_by_label("API key")).to_have_count(1)
