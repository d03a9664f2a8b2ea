"""POSTs that may be repeated: a route acts once for a key, and gives the same response again."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from fastapi import Header, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from service_kit.http.context import RequestContext
from service_kit.http.input.wording import KEY_PATTERN
from service_kit.idempotency import IdempotencyKeys, StoredResponse

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=KEY_PATTERN,
        description="Makes a repeat of this request harmless: it gets the first one's response. Kept for a day.",
    ),
]


class Effect(NamedTuple):
    """What a POST did: the response's status, its body, and its headers, `Location` among them."""

    status: int
    body: BaseModel
    headers: dict[str, str]


def respond_once(
    keys: IdempotencyKeys,
    context: RequestContext,
    kind: str,
    key: str | None,
    request: Any,
    act: Callable[[Connection], Effect],
) -> Response:
    """Act in one transaction, or return the response that the same caller's key already got for this `request`."""
    audit = context.audit
    with context.writing() as connection:

        def acted() -> StoredResponse:
            status, body, headers = act(connection)
            return StoredResponse(status, body.model_dump_json().encode(), headers)

        response = keys.once(connection, f"POST {kind} {audit.caller.actor}", key, request, audit.at, acted)
    if response.replayed:
        audit.read("answer.repeated", f"{kind}:{response.headers['Location'].rsplit('/', 1)[1]}")
    headers = response.headers | ({"Idempotency-Replayed": "true"} if response.replayed else {})
    return Response(response.body, response.status, headers, media_type="application/json")
