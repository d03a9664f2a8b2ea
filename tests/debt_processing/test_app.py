"""The debt API as a whole: wrong parameters, health, and its description."""

from collections.abc import Callable

import httpx
import pytest
from tests.debt_processing.api import BASE, get, serving
from tests.debt_processing.conftest import make_settings
from tests.support.processes import free_port

from debt_processing.settings import Settings
from service_kit.database.migrations import upgrade

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/runs/run-1/decisions?limit=0", "limit"),
        ("/runs/run-1/decisions?limit=501", "limit"),
        ("/runs/run-1/decisions?cursor=abc", "cursor"),
        ("/runs/run-1/errors?cursor=WzFd", "cursor"),
        ("/debtors/0/decisions", "debtor_id"),
        ("/debtors/9223372036854775808/decisions", "debtor_id"),
        ("/debtors/me/decisions", "debtor_id"),
        ("/debtors/1/decisions?cursor=WyJhIl0", "cursor"),
        ("/dead-letters?lane=fast", "lane"),
        ("/dead-letters?limit=0", "limit"),
        (f"/runs/{'x' * 65}", "run_id"),
    ],
)
async def test_a_wrong_parameter_is_a_422_that_names_it(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None], path: str, field: str
) -> None:
    lite_store()
    problem = await get(lite_api, path, 422)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_paths_respond_with_and_without_a_trailing_slash(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store()
    for path in ("/runs/run-1/", "/runs/run-1/decisions/", "/runs/run-1/errors/", "/debtors/1/decisions/", "/queues/"):
        assert await get(lite_api, path)
    assert (await lite_api.post(f"{BASE}/dead-letters/redrive/")).status_code == 200


# Health


async def test_alive_and_ready_at_the_top_and_under_the_base_path(lite_api: httpx.AsyncClient) -> None:
    for prefix in ("", BASE):
        assert (await lite_api.get(f"{prefix}/healthz")).json() == {"status": "alive"}
        ready = await lite_api.get(f"{prefix}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert "debt_decisions_total" in (await lite_api.get("/metrics")).text


async def test_not_ready_names_the_schema_and_the_queues(sqlite_url: str, queue_names: Names, sqs_url: str) -> None:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url)

    async for client in serving(settings):
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    missing = {error["field"]: error["message"] for error in response.json()["errors"]}
    assert "debt-processing migrate" in missing["database"]
    assert "does not exist" in missing["queues"]


async def test_not_ready_when_no_queue_service_listens_and_503_for_what_needs_the_queues(
    sqlite_url: str, queue_names: Names, aws_environment: None
) -> None:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=f"http://127.0.0.1:{free_port()}")
    upgrade(sqlite_url, "debt_processing")

    async for client in serving(settings):
        ready = await client.get("/readyz")
        queues = await client.get(f"{BASE}/queues")
        runs = await client.get(f"{BASE}/runs/x")

    assert [error["field"] for error in ready.json()["errors"]] == ["queues"]
    assert (ready.status_code, queues.status_code, runs.status_code) == (503, 503, 404)
    assert queues.headers["retry-after"]


# The description


async def test_the_description_has_every_path_and_its_problems(lite_api: httpx.AsyncClient) -> None:
    paths = (await lite_api.get("/openapi.json")).json()["paths"]

    assert set(paths) >= {
        f"{BASE}/runs/{{run_id}}",
        f"{BASE}/runs/{{run_id}}/decisions",
        f"{BASE}/runs/{{run_id}}/errors",
        f"{BASE}/debtors/{{debtor_id}}/decisions",
        f"{BASE}/queues",
        f"{BASE}/dead-letters",
        f"{BASE}/dead-letters/redrive",
        "/healthz",
        "/readyz",
    }
    responses = paths[f"{BASE}/runs/{{run_id}}/decisions"]["get"]["responses"]
    assert set(responses["200"]["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    assert "406" in responses


async def test_the_description_need_not_be_served(lite_settings: Settings) -> None:
    async for client in serving(lite_settings.model_copy(update={"recovery_docs": False})):
        assert (await client.get("/openapi.json")).status_code == 404
        assert (await client.get("/docs")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
