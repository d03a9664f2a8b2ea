"""One browser for a module, and guarded tabs: a test fails on any error or violation of the content policy."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.recovery_console.fake_apis import FakeApis
from tests.recovery_console.in_browser.book import a_whole_book
from tests.recovery_console.in_browser.chromium import Tab, chromium, opened_tab
from tests.support.serving import serving

from recovery_console.app import create_app
from recovery_console.rendering import STATIC
from recovery_console.settings import Settings

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, for the tests of one module. Without the scripts of the console it would show only half."""
    if not (STATIC / "vendor/htmx.min.js").exists():
        missing = "the console's scripts were not fetched from the npm registry: no page is tested in a browser"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium() as found:
        yield found


@pytest.fixture
def apis() -> FakeApis:
    """Both APIs with something to show on every page."""
    return FakeApis(answers=a_whole_book())


@pytest.fixture
def tab(browser: Browser, apis: FakeApis) -> Iterator[OpenTab]:
    """Open a tab at a console over the fake APIs, with keys if they have some; its guards are asked at the end."""
    settings = Settings(_env_file=None, recovery_auth="off" if apis.keys is None else "keys")  # type: ignore[call-arg]
    with ExitStack() as stack:
        client = stack.enter_context(serving(create_app(settings, apis)))
        address = str(client.base_url).rstrip("/")

        def open_tab(**options: Any) -> Tab:
            return stack.enter_context(opened_tab(browser, address, **options))

        yield open_tab
