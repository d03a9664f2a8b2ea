"""Who may call what, route by route: a new route fails here until it has a role, in the code and in this table."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from tests.contracts.access.guarded import ROOTS, Guarded, debt_app, filled, guarded, queue_settings, risk_app, routes
from tests.contracts.access.roles import EXPECTED

from service_kit.auth.identity import Role
from service_kit.http.app import open_paths

DOCS = {"/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}
OPEN = DOCS | {"/", "/openapi.json", "/metrics", "/healthz", "/readyz"}
EVERY = [(service, *route, role) for service, table in EXPECTED.items() for route, role in table.items()]
ORDER = [role.value for role in Role]


def app_of(service: str) -> FastAPI:
    return {"risk": risk_app, "debt": debt_app}[service](f"sqlite:///unused-{service}.db", recovery_auth="keys")


def declared(route: Any) -> list[str]:
    """The roles that a route declares, wherever among its dependencies."""
    found, waiting = [], list(route.dependant.dependencies) if hasattr(route, "dependant") else []
    while waiting:
        dependant = waiting.pop()
        found += dependant.own_oauth_scopes or []
        waiting += dependant.dependencies
    return found


@pytest.mark.parametrize("service", list(EXPECTED))
def test_every_route_declares_the_role_that_the_table_names(service: str) -> None:
    root = ROOTS[service]
    found = {
        (method, path): declared(route)
        for (method, path), route in routes(app_of(service)).items()
        if path not in open_paths(root)
    }

    assert found == {(method, root + path): [role] for (method, path), role in EXPECTED[service].items()}


@pytest.mark.parametrize("service", list(EXPECTED))
def test_what_is_open_is_the_short_list_and_nothing_else(service: str) -> None:
    root = ROOTS[service]

    assert open_paths(root) == OPEN | {root, f"{root}/healthz", f"{root}/readyz"}


@pytest.mark.parametrize("service", list(EXPECTED))
def test_the_description_names_the_same_roles(service: str) -> None:
    document = app_of(service).openapi()

    named = {
        (method.upper(), path.removeprefix(ROOTS[service])): operation["security"][0]["bearer"][0]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    }
    assert named == EXPECTED[service]


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory, sqs_url: str) -> Iterator[dict[str, Guarded]]:
    folder: Path = tmp_path_factory.mktemp("roles")
    names: Callable[[str], str] = lambda role: f"{role}-roles-{folder.name}"  # noqa: E731
    given = queue_settings(names, sqs_url)
    with guarded("risk", folder, **given) as risk, guarded("debt", folder, **given) as debt:
        yield {"risk": risk, "debt": debt}


def call(api: Guarded, role: str | None, method: str, path: str) -> int:
    return api.request(role, method, path, json={} if method in ("POST", "PUT", "PATCH") else None).status_code


@pytest.mark.parametrize(("service", "method", "path", "role"), EVERY)
def test_each_route_opens_to_its_role_and_to_none_below(
    apis: dict[str, Guarded], service: str, method: str, path: str, role: str
) -> None:
    api, address = apis[service], filled(ROOTS[service] + path)

    assert call(api, None, method, address) == 401
    for below in ORDER[: ORDER.index(role)]:
        assert call(api, below, method, address) == 403
    for enough in ORDER[ORDER.index(role) :]:
        assert call(api, enough, method, address) not in (401, 403, 429, 500, 503)


@pytest.mark.parametrize("service", list(EXPECTED))
def test_a_key_of_one_service_does_not_open_the_other(apis: dict[str, Guarded], service: str) -> None:
    other = apis["debt" if service == "risk" else "risk"]

    response = apis[service].client.get(
        f"{ROOTS[service]}/runs/no-such-thing", headers={"Authorization": f"Bearer {other.tokens['admin']}"}
    )

    assert response.status_code == 401
