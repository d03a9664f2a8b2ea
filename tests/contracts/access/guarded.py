"""Both APIs in this process, each guarded by keys over a database and queues of its own."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import Table, select
from tests.support.moments import NOW
from tests.support.serving import serving

import debt_processing.app
import debt_processing.settings
import debt_processing.tables
import risk_assessment.app
import risk_assessment.settings
import risk_assessment.tables
from service_kit.audit import Audit, Caller
from service_kit.auth import keys
from service_kit.auth.identity import Role
from service_kit.auth.portfolios import Origin
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.http.middleware.guard import RouteAccess

Names = Callable[[str], str]
ROOTS = {"risk": "/risk-service", "debt": "/debt-service"}


@dataclass(frozen=True)
class Guarded:
    """A guarded API: who has which role, or is bound to which portfolio, may call it, and its records can be read."""

    client: httpx.Client
    database: Database
    tokens: dict[str, str]
    audit_records: Table
    app: FastAPI

    def request(self, role: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """Call it with the key of a role or of a portfolio, None for no key."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        return self.client.request(method, path, headers=headers | options.pop("headers", {}), **options)

    def records(self) -> list[dict[str, Any]]:
        """What is on record, oldest first."""
        table = self.audit_records
        with self.database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(select(table).order_by(table.c.id))]


def queue_settings(queue_names: Names, sqs_url: str) -> dict[str, Any]:
    return {
        "aws_endpoint_url_sqs": sqs_url,
        "aws_region": "eu-west-1",
        "recovery_create_queues": True,
        "recovery_queue_high": queue_names("high"),
        "recovery_queue_standard": queue_names("standard"),
        "recovery_queue_results": queue_names("results"),
        "recovery_queue_stops": queue_names("stops"),
    }


def risk_app(url: str, **given: Any) -> FastAPI:
    settings = risk_assessment.settings.Settings(_env_file=None, risk_database_url=url, **given)  # type: ignore[call-arg]
    return risk_assessment.app.create_app(settings)


def debt_app(url: str, **given: Any) -> FastAPI:
    settings = debt_processing.settings.Settings(_env_file=None, debt_database_url=url, **given)  # type: ignore[call-arg]
    return debt_processing.app.create_app(settings)


@contextmanager
def guarded(service: str, folder: Path, *, bound: Sequence[str] = (), **given: Any) -> Iterator[Guarded]:
    """Serve one of the services, `risk` or `debt`, with a key for each role, and an admin's bound to each portfolio."""
    url = f"sqlite:///{folder / f'{service}.db'}"
    package, build = {"risk": ("risk_assessment", risk_app), "debt": ("debt_processing", debt_app)}[service]
    tables = {"risk": risk_assessment.tables, "debt": debt_processing.tables}[service]
    upgrade(url, package)
    database = Database(url)
    tokens = {role.value: keys.new_token() for role in Role}
    setup = Audit(tables.audit_records, Caller("cli:setup"), NOW)
    for role, token in tokens.items():
        keys.issue(database, tables.api_keys, setup, f"the-{role}", role, token)
    for portfolio in bound:
        tokens[portfolio] = keys.new_token()
        keys.issue(database, tables.api_keys, setup, f"of-{portfolio}", "admin", tokens[portfolio], [portfolio])
    try:
        app = build(url, recovery_auth="keys", **given)
        with serving(app) as client:
            yield Guarded(client, database, tokens, tables.audit_records, app)
    finally:
        database.dispose()


def routes(app: FastAPI) -> dict[tuple[str, str], APIRoute]:
    """Every route of an app by method and path."""
    found = {}
    for route in iter_route_contexts(app.routes):
        for method in sorted(set(route.methods or ()) - {"HEAD", "OPTIONS"}):
            found[method, str(route.path_format or route.path)] = route
    return found  # type: ignore[return-value]


def declared_origins(route: Any) -> tuple[Origin, ...]:
    """Where a route says that the portfolio of a request comes from."""
    checks = [dependant.call for dependant in route.dependant.dependencies if isinstance(dependant.call, RouteAccess)]
    return tuple(origin for check in checks for origin in check.origins)


def names_in_body(document: dict[str, Any], operation: dict[str, Any]) -> bool:
    """Whether the body of an operation, as its document describes it, names a portfolio."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    return "portfolio" in document["components"]["schemas"].get(name, {}).get("properties", {})


def filled(path: str) -> str:
    """Turn a path's template into a path of something that does not exist."""
    return re.sub(r"\{(\w+)\}", lambda found: "999" if found[1] == "debtor_id" else "no-such-thing", path)
