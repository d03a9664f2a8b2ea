"""`/me` and `/workers`: who the caller is, and which loops of the service are alive."""

from datetime import datetime

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy import Table

from service_kit.auth.identity import Identity, Role
from service_kit.auth.portfolios import Origin
from service_kit.clock import utc_now
from service_kit.http.context import resources_of, viewer
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute
from service_kit.worker import presence


class CallerOut(BaseModel):
    """The caller of this request. The role is null for a known caller who may do nothing here."""

    actor: str
    role: Role | None
    auth: str
    portfolios: list[str] | None


class WorkerOut(BaseModel):
    """A loop that is alive: where, since when, how much it holds, and the dependency that it waits for, if any."""

    id: str
    kind: str
    host: str
    started_at: datetime
    heard_at: datetime
    holding: int
    leader: bool
    waiting_for: str | None


class WorkersOut(BaseModel):
    """The loops that were heard of within 30 seconds."""

    items: list[WorkerOut]


def add_callers(app: FastAPI, root: str, auth: str, workers: Table) -> None:
    """Serve `/me` and `/workers` under the service's root."""
    router = APIRouter(tags=["service"], route_class=JsonRoute)

    @router.get("/me", response_model=CallerOut, dependencies=viewer(Origin.NONE))
    async def me(request: Request) -> CallerOut:
        """Who you are to this service, and what you may do."""
        identity: Identity = request.scope["identity"]
        bound = None if identity.portfolios is None else sorted(identity.portfolios)
        return CallerOut(actor=identity.actor, role=identity.role, auth=auth, portfolios=bound)

    @router.get("/workers", response_model=WorkersOut, dependencies=viewer(Origin.ALL))
    def alive(request: Request) -> Response:
        """The loops that are alive: where, since when, what they hold and what they wait for."""
        with resources_of(request).database.read() as connection:
            found = presence.alive(connection, workers, utc_now())
        return json_response(WorkersOut(items=[WorkerOut.model_validate(row._mapping) for row in found]))

    app.include_router(router, prefix=root)
