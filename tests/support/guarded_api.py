"""A tiny API behind the kit's guard: a route for each role, one without a role, and tables for keys and records."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import MetaData
from tests.support.moments import NOW

from service_kit.audit import Audit, Caller, audit_records_table
from service_kit.auth.access import Access
from service_kit.auth.identity import Role
from service_kit.auth.keys import api_keys_table
from service_kit.auth.portfolios import Origin
from service_kit.database.engine import Database
from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.middleware.guard import Reason, caller_of, requires
from service_kit.http.routing.routes import JsonRoute
from service_kit.observability import metrics

metadata = MetaData()
api_keys = api_keys_table(metadata)
audit_records = audit_records_table(metadata)

router = APIRouter(prefix="/demo", route_class=JsonRoute)


def _audit(request: Request, reason: Reason = None) -> Audit:
    return Audit(audit_records, caller_of(request, reason), NOW)


Audited = Annotated[Audit, Depends(_audit)]


@router.get("/things", response_model=Caller, dependencies=[requires(Role.VIEWER, Origin.CALLER)])
def read(request: Request, audit: Audited) -> Response:
    audit.read("thing.read", "thing:7")
    bound_to = request.scope["identity"].portfolios
    portfolios = "all" if bound_to is None else ",".join(sorted(bound_to))
    return JSONResponse(asdict(audit.caller), headers={"X-Portfolios": portfolios})


@router.put("/things", dependencies=[requires(Role.OPERATOR)])
def write(request: Request, audit: Audited, fail: bool = False) -> int:
    with request.app.state.database.write() as connection:
        record = audit.changed(connection, "thing.written", "thing:7", fields=["size"])
        if fail:
            raise ZeroDivisionError
    return record


@router.post("/policies", dependencies=[requires(Role.APPROVER)])
def approve() -> str:
    return "approved"


@router.delete("/keys", dependencies=[requires(Role.ADMIN)])
def administer() -> str:
    return "done"


@router.get("/forgotten")
def forgotten() -> str:
    return "a route without a role"


def create_app(access: Access | None, database: Database | None = None, **options: Any) -> FastAPI:
    app = base_app("Guarded", "1.2.3", "/demo", access=access, **options)
    app.state.database = database
    problems.install(app, {})
    metrics.metrics_route(app)
    app.include_router(router)

    @app.get("/healthz")
    def alive() -> str:
        return "alive"

    return app
