"""Axe finds nothing serious on any page: light and dark, wide and narrow."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from tests.recovery_console.in_browser.book import PAGES

SERIOUS = {"serious", "critical"}
# What makes the page wider than the window, unless it scrolls by itself.
TOO_WIDE = """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
  [...document.querySelectorAll('main *')]
    .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .filter((one) => !one.closest('.scroll') && !one.closest('svg'))
    .map((one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
# Two of the four: what depends on the colours does not depend on the width.
LOOKS = ((1280, "light"), (400, "dark"))


def faults(axe: Axe, page: Page, where: str) -> Iterator[str]:
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for found in axe.run(page).response["violations"]:
            if found["impact"] in SERIOUS:
                nodes = ", ".join(str(node["target"]) for node in found["nodes"][:3])
                yield f"{where} at {width} px, {scheme}: {found['id']} ({found['impact']}) at {nodes}"
        if wide := page.evaluate(TOO_WIDE):
            yield f"{where} at {width} px: wider than the window: {wide[:3]}"


@pytest.mark.timeout(300)
def test_axe_finds_nothing_serious_on_any_page(tab):
    shown, axe, found = tab(), Axe(), []
    shown.forgiven.append("status of 404")  # of the page that says so
    for path in PAGES:
        page = shown.open(path)
        assert page.locator("h1").count() == 1, path
        found += faults(axe, page, path)

    assert found == []
