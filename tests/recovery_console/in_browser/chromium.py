"""A real browser for tests: Debian's Chromium, with guards that fail a test on whatever a page does wrong."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# A violation of the content policy becomes an error on the console, where the guard finds it.
_SHOW_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`content policy: ${event.violatedDirective} blocked ${event.blockedURI} ${event.sourceFile || ''}`));
"""


def find_chromium() -> str | None:
    """Return the browser, if there is one; TEST_CHROMIUM chooses among several."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser. Missing: the tests are skipped with a reason, and failed in CI.

    Playwright keeps an event loop in this thread until the block ends, so that no other test may run meanwhile.
    """
    program = find_chromium()
    if program is None:
        reason = "no chromium on this machine: no page is tested in a browser"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # As root, and on some CI machines, Chromium has no sandbox; what it opens are our own pages.
    options = ["--no-sandbox"] if os.geteuid() == 0 or os.environ.get("CI") else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page in a browser of its own cookies, and what went wrong on it. `forgiven` are parts of expected errors."""

    page: Page
    address: str
    forgiven: list[str] = field(default_factory=list)
    _wrong: list[str] = field(default_factory=list)
    _hosts: set[str] = field(default_factory=set)

    def open(self, path: str) -> Page:
        """Open a page of the console, and wait until it has loaded."""
        self.page.goto(f"{self.address}{path}")
        return self.page

    @property
    def wrong(self) -> list[str]:
        """Errors on the console, exceptions, violations of the content policy, and requests to another host."""
        others = [f"request to {host}" for host in sorted(self._hosts) if not self.address.endswith(host)]
        return [text for text in self._wrong + others if not any(part in text for part in self.forgiven)]

    def watch(self) -> None:
        """Note from now on what goes wrong."""
        self.page.add_init_script(_SHOW_VIOLATIONS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._wrong.append(f"exception: {error}"))
        self.page.on("request", lambda request: self._hosts.add(request.url.split("/")[2]))

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self._wrong.append(f"console: {message.text}")


@contextmanager
def opened_tab(browser: Browser, address: str, **options: Any) -> Iterator[Tab]:
    """A guarded tab with these options of a context, such as `color_scheme` or `java_script_enabled`."""
    context = browser.new_context(**options)
    context.set_default_timeout(10_000)
    tab = Tab(context.new_page(), address)
    tab.watch()
    try:
        yield tab
        assert not tab.wrong, "\n".join(tab.wrong)
    finally:
        context.close()
