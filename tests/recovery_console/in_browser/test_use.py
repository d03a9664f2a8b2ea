"""What only a browser can show: htmx, pages without scripts, a service that dies under an open page."""

from playwright.sync_api import expect
from tests.recovery_console.fake_apis import DEBT, RISK
from tests.recovery_console.in_browser.book import PAGES


def test_a_redrive_answers_on_the_page_and_a_refresh_takes_no_typed_text_away(tab, apis):
    page = tab().open("/operations")
    reason = page.get_by_label("Reason")
    reason.fill("the parser is mended")
    page.evaluate("htmx.trigger('#dead', 'redriven')")
    page.evaluate("htmx.ajax('GET', '/operations/live', '#live')")
    expect(page.get_by_role("region", name="Queues")).to_be_visible()

    assert reason.input_value() == "the parser is mended"
    page.get_by_role("button", name="Redrive").click()

    expect(page.get_by_text("Sent back 2 dead letters: 2 high.")).to_be_visible()
    assert page.url.endswith("/operations")
    assert len([call for call in apis.calls("POST") if "redrive" in call]) == 1


def test_every_page_can_be_read_without_scripts(tab):
    shown = tab(java_script_enabled=False)
    shown.forgiven.append("status of 404")
    for path in PAGES:
        page = shown.open(path)
        assert page.locator("h1").inner_text(), path
        assert page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts() == [
            *("Portfolio", "Runs", "Operations", "Policies", "Holds")
        ], path


def test_a_service_that_dies_and_comes_back_under_an_open_page(tab, apis):
    shown = tab()
    page = shown.open("/operations")
    status = page.locator("#service-status")

    apis.away = {RISK, DEBT}
    expect(status).to_contain_text("does not answer", timeout=20_000)
    expect(page.locator("#live")).to_contain_text("does not answer", timeout=20_000)

    apis.away = set()
    expect(status).to_be_empty(timeout=20_000)
    expect(page.locator("#live")).not_to_contain_text("does not answer", timeout=20_000)
