"""What the risk API's routes ask for: the request's context with the policies, versions, ids."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from risk_assessment.changes.keeping import KeptResults
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.http.context import RequestContext, context_parts
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.middleware.guard import Reason
from service_kit.http.openapi import header, with_headers


@dataclass(frozen=True, slots=True)
class RiskContext(RequestContext):
    """What one request of the risk API works with."""

    registry: PolicyRegistry
    kept: KeptResults


async def _risk_context(request: Request, reason: Reason = None) -> RiskContext:
    state = request.app.state
    return RiskContext(*context_parts(request, reason), state.registry, state.kept)


Context = Annotated[RiskContext, Depends(_risk_context)]
# Any printable text may be asked for, and is then not found.
RunId = Annotated[str, Path(pattern=PRINTABLE_PATTERN)]

ETAG = header("The version, to be sent as If-Match or If-None-Match", '"3"')
LOCATION = header("Where the new thing can be read", "/risk-service/debtors/7")
WITH_ETAG = with_headers(ETag=ETAG)
WITH_LOCATION = with_headers(Location=LOCATION)


def etag(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'
