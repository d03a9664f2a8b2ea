"""Axe finds nothing on any page: light and dark, wide and narrow, before and after use."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from tests.recovery_console.builders import a_page
from tests.recovery_console.fake_apis import FakeApis, Refusal
from tests.recovery_console.in_browser.book import PAGES
from tests.recovery_console.run_builders import RUN_ID

# What makes the page wider than the window, unless it scrolls by itself.
TOO_WIDE = """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
  [...document.querySelectorAll('main *')]
    .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .filter((one) => !one.closest('.scroll') && !one.closest('svg'))
    .map((one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
RUN = "(options) => axe.run(document, options)"
EVERY_RULE: dict[str, Any] = {"resultTypes": ["violations"]}
# Between light and dark nothing differs but colours, so that the second look at one width is for contrast alone.
CONTRAST = EVERY_RULE | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
LOOKS = ((1280, "light", EVERY_RULE), (1280, "dark", CONTRAST), (400, "dark", EVERY_RULE), (400, "light", CONTRAST))
SCRIPT = Axe().axe_script


def faults(page: Page, where: str) -> Iterator[str]:
    page.evaluate(SCRIPT)
    for width, scheme, options in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for found in page.evaluate(RUN, options)["violations"]:
            nodes = ", ".join(str(node["target"]) for node in found["nodes"][:3])
            yield f"{where} at {width} px, {scheme}: {found['id']} ({found['impact']}) at {nodes}"
        if wide := page.evaluate(TOO_WIDE):
            yield f"{where} at {width} px: wider than the window: {wide[:3]}"


@pytest.mark.timeout(300)
def test_axe_finds_nothing_on_any_page(tab):
    shown, found = tab(), []
    shown.forgiven.append("status of 404")  # of the page that says so
    for path in PAGES:
        page = shown.open(path)
        assert page.locator("h1").count() == 1, path
        found += faults(page, path)

    assert found == []


def a_filter(page: Page, apis: FakeApis) -> None:
    page.get_by_role("combobox", name="Level").select_option("HIGH")
    page.wait_for_url("**level=HIGH")
    apis.answers["GET /risk-service/debtors"] = a_page()
    page.get_by_role("searchbox", name="Search").fill("none such")
    expect(page.get_by_text("No debtor fits.")).to_be_visible()


def every_table_of_a_chart(page: Page, _: FakeApis) -> None:
    for summary in page.locator("summary").all():
        summary.click()


def a_hold_on_some_actions(page: Page, _: FakeApis) -> None:
    page.get_by_role("button", name="Place a hold").click()
    page.get_by_label("Only some actions").check()
    expect(page.get_by_label("Agent call")).to_be_visible()


def a_refused_hold(page: Page, apis: FakeApis) -> None:
    apis.refusing["POST /risk-service/holds"] = Refusal(422, "until: must be after from")
    page.get_by_label("Reason").fill("Short time")
    page.get_by_role("button", name="Place the hold").click()
    expect(page.get_by_role("alert").filter(has_text="until")).to_be_visible()


def a_preview_with_a_problem(page: Page, _: FakeApis) -> None:
    page.locator("summary", has_text="Filters").click()
    page.locator("summary", has_text="Capacities").click()
    page.get_by_label("Batch size").fill("0")
    expect(page.get_by_text("Write a whole number from 1 to 1,000.")).to_be_visible()


def a_redrive(page: Page, _: FakeApis) -> None:
    page.get_by_label("Reason").fill("mended")
    page.get_by_role("button", name="Redrive").click()
    expect(page.get_by_text("Sent back 2 dead letters")).to_be_visible()


def a_simulation_of_nothing(page: Page, _: FakeApis) -> None:
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("alert").filter(has_text="Name a policy")).to_be_visible()
    every_table_of_a_chart(page, _)


def a_refused_draft(page: Page, apis: FakeApis) -> None:
    apis.refusing["POST /risk-service/policies"] = Refusal(422, "name: must be given")
    page.locator("summary", has_text="Upload a draft").click()
    page.get_by_label("Policy document").fill("{}")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert").filter(has_text="name: must be given")).to_be_visible()


def an_import_with_rejects(page: Page, _: FakeApis) -> None:
    rows = b"debtor_id,kind,from,reason\nx,DISPUTE,2026-01-01,Letter\n"
    page.get_by_label("File").set_input_files({"name": "holds.csv", "mimeType": "text/csv", "buffer": rows})
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("region", name="Result")).to_be_visible()


USES: tuple[tuple[str, Callable[[Page, FakeApis], None]], ...] = (
    ("/", a_filter),
    ("/", every_table_of_a_chart),
    ("/debtors/7", a_hold_on_some_actions),
    ("/debtors/7", every_table_of_a_chart),
    ("/debtors/7/holds/new", a_refused_hold),
    ("/runs/new", a_preview_with_a_problem),
    (f"/runs/{RUN_ID}", every_table_of_a_chart),
    ("/operations", a_redrive),
    ("/simulations", a_simulation_of_nothing),
    ("/policies", a_refused_draft),
    ("/holds/import", an_import_with_rejects),
)


@pytest.mark.timeout(300)
def test_axe_finds_nothing_after_use(tab, apis):
    shown, found, answers = tab(), [], dict(apis.answers)
    shown.forgiven.append("status of 422")  # of forms that are shown again
    for path, use in USES:
        apis.answers = dict(answers)
        page = shown.open(path)
        use(page, apis)
        found += faults(page, f"{path} after {use.__name__}")

    assert found == []
