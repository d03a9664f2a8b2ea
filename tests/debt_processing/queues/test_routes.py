"""Queues and redrives over HTTP."""

from typing import Any

import httpx
import pytest
from tests.debt_processing.api import BASE, get

from debt_processing.settings import Settings

pytestmark = pytest.mark.anyio


async def test_queues_are_counted_lane_by_lane(lite_api: httpx.AsyncClient, lite_settings: Settings) -> None:
    report = await get(lite_api, "/queues")

    assert [lane["lane"] for lane in report["lanes"]] == ["high", "standard"]
    assert report["lanes"][0] == {
        "lane": "high",
        "queue": lite_settings.recovery_queue_high,
        "waiting": 0,
        "in_flight": 0,
        "dead": 0,
        "oldest_seconds": None,
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lane": "fast"}, "lane"),
        ({"limit": 0}, "limit"),
        ({"limit": "5"}, "limit"),
        ({"message_ids": [""]}, "message_ids.0"),
        ({"everything": True}, "everything"),
    ],
)
async def test_a_wrong_redrive_is_a_422_that_names_the_field(
    lite_api: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    response = await lite_api.post(f"{BASE}/dead-letters/redrive", json=body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
