"""A console over fake APIs, and a browser without scripts that reads its pages."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.recovery_console.builders import a_book
from tests.recovery_console.fake_apis import FakeApis
from tests.recovery_console.reading import Browser, opened


@pytest.fixture
def apis() -> FakeApis:
    """Both APIs with a small book, without authentication."""
    return FakeApis(answers=a_book())


@pytest.fixture
async def browser(apis: FakeApis) -> AsyncIterator[Browser]:
    """A browser at a console without authentication."""
    async with opened(apis) as found:
        yield found


@pytest.fixture
async def signed_in(apis: FakeApis) -> AsyncIterator[Any]:
    """A browser at a console with keys: `await signed_in("viewer")` signs in with a key of that role."""
    apis.keys = {f"srk_{role}": role for role in ("viewer", "operator", "approver", "admin")}
    async with opened(apis, recovery_auth="keys") as found:

        async def sign_in(role: str) -> Browser:
            answer = await found.client.post("/sign-in", data={"key": f"srk_{role}"})
            assert answer.status_code == httpx.codes.SEE_OTHER
            return found

        yield sign_in


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page waits for everything that will come: tests of what comes later wait less."""
    monkeypatch.setattr("recovery_console.portfolio.routes.SOON_SECONDS", 60.0)
