"""What the debt API's routes ask for: the request's context, the settings, ids."""

from typing import Annotated

from fastapi import Depends, Path, Request

from debt_processing.settings import Settings
from recovery_core.messages.shapes import MAX_DEBTOR_ID
from service_kit.http.context import RequestContext, request_context
from service_kit.http.input.wording import PRINTABLE_PATTERN


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


Context = Annotated[RequestContext, Depends(request_context)]
ServiceSettings = Annotated[Settings, Depends(_settings)]
RunId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        pattern=PRINTABLE_PATTERN,
        description="As the risk service named the run",
    ),
]
DebtorId = Annotated[int, Path(ge=1, le=MAX_DEBTOR_ID)]
