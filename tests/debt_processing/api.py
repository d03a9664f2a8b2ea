"""The debt API in this process, and batches recorded for it to show."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
from tests.debt_processing.builders import NOW, a_batch

from debt_processing.app import create_app
from debt_processing.batches import service as inbox
from debt_processing.settings import Settings
from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy
from recovery_core.messages.stops import DebtorStop
from service_kit.database.engine import Database

BASE = "/debt-service"


async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://debt") as client:
            yield client


def storing(url: str) -> Callable[..., None]:
    """Record a batch as the consumer would; every batch takes a second."""

    def record(
        run_id: str = "run-1",
        sequence: int = 1,
        stops: Sequence[DebtorStop] = (),
        seen: int | None = None,
        **changes: Any,
    ) -> None:
        batch = a_batch(run_id, sequence, **changes)
        known = {stop.debtor_id: stop for stop in stops}
        decided = decide(batch, resolve_policy(batch.header), known, NOW, seen)
        started = NOW + timedelta(seconds=sequence - 1)
        database = Database(url)
        database.transact(lambda c: inbox.record(c, decided, started, started + timedelta(seconds=1)))
        database.dispose()

    return record


async def get(api: httpx.AsyncClient, path: str, status: int = 200, **options: Any) -> Any:
    response = await api.get(f"{BASE}{path}", **options)
    assert response.status_code == status, response.text
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
    return response.json()


async def every_page(api: httpx.AsyncClient, path: str, limit: int, **params: Any) -> list[list[Any]]:
    pages, cursor = [], None
    while True:
        page = await get(api, path, params=params | {"limit": limit} | ({"cursor": cursor} if cursor else {}))
        pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return pages
