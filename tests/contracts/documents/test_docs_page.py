"""`/docs` of both APIs works where no other host can be reached: its parts come from the API itself."""

import re

import httpx
import pytest
from fastapi import FastAPI

from debt_processing.app import create_app as debt_app
from debt_processing.settings import Settings as DebtSettings
from risk_assessment.app import create_app as risk_app
from risk_assessment.settings import Settings as RiskSettings

APPS = [
    risk_app(RiskSettings(_env_file=None, recovery_auth="keys")),
    debt_app(DebtSettings(_env_file=None, recovery_auth="keys")),
]


@pytest.mark.anyio
@pytest.mark.parametrize("app", APPS, ids=["risk", "debt"])
async def test_the_page_names_no_other_host_and_its_parts_are_served(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        page = await client.get("/docs")
        parts = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
        loaded = {path: await client.get(path) for path in parts}

    assert "//" not in page.text
    assert "//" not in page.headers["content-security-policy"]
    assert {path: response.headers["content-type"].partition(";")[0] for path, response in loaded.items()} == {
        "/docs/swagger-ui-bundle.js": "text/javascript",
        "/docs/swagger-ui.css": "text/css",
    }
    assert all(len(response.content) > 100_000 for response in loaded.values())
