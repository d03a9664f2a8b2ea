"""A caller learns its name and role in a service, and which loops of the service are alive."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contracts.access.guarded import ROOTS, Guarded, guarded, queue_settings

import debt_processing.tables
import risk_assessment.tables
from service_kit.clock import utc_now
from service_kit.worker.presence import Presence, WorkerState

WORKERS = {"risk": risk_assessment.tables.workers, "debt": debt_processing.tables.workers}


@pytest.fixture(scope="module", params=list(ROOTS))
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqs_url: str
) -> Iterator[tuple[str, Guarded]]:
    folder: Path = tmp_path_factory.mktemp("callers")
    names: Callable[[str], str] = lambda role: f"{role}-callers-{folder.name}"  # noqa: E731
    with guarded(request.param, folder, bound=["ours"], **queue_settings(names, sqs_url)) as one:
        yield request.param, one


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "admin"])
def test_a_caller_learns_its_name_and_role(service: tuple[str, Guarded], role: str) -> None:
    name, api = service

    response = api.request(role, "GET", f"{ROOTS[name]}/me")

    assert response.json() == {"actor": f"key:the-{role}", "role": role, "auth": "keys", "portfolios": None}


def test_a_caller_learns_the_portfolios_that_it_is_bound_to(service: tuple[str, Guarded]) -> None:
    name, api = service
    assert api.request("ours", "GET", f"{ROOTS[name]}/me").json()["portfolios"] == ["ours"]


@pytest.mark.anyio
async def test_a_loop_that_is_alive_is_listed(service: tuple[str, Guarded]) -> None:
    name, api = service
    presence = Presence(api.database, WORKERS[name], "dispatch", utc_now)
    state = WorkerState(holding=2, leader=True, waiting_for="queues")
    await presence.step(lambda: state, ()).work()

    [one] = api.request("viewer", "GET", f"{ROOTS[name]}/workers").json()["items"]

    assert one | {"kind": "dispatch", "holding": 2, "leader": True, "waiting_for": "queues"} == one
    assert one["started_at"] <= one["heard_at"]
    await presence.leave()
    assert api.request("viewer", "GET", f"{ROOTS[name]}/workers").json() == {"items": []}
