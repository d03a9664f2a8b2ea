"""Repeated POSTs made harmless: a key, the request it came with, and the answer it got, kept for a day.

The key is claimed first and in the same transaction as the effect, so of two racing requests one runs and the other
gets its answer. Refuses one key with two different requests.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson
from sqlalchemy import Connection, delete, select, update

from risk_assessment.tables import idempotency_keys
from service_kit.bulk import insert_rows
from service_kit.database import utc_text

KEPT_FOR = timedelta(days=1)
_CLAIMED = 0


class IdempotencyKeyReusedError(ValueError):
    """The key was used before with another request."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with a different request")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that can be given again, byte for byte."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    repeated: bool = False


def once(
    connection: Connection, scope: str, key: str | None, request: bytes, now: datetime, act: Callable[[], Answer]
) -> Answer:
    """Act unless this key was answered before. Raises IdempotencyKeyReusedError."""
    if key is None:
        return act()
    request_hash = hashlib.sha256(request).hexdigest()
    before = _claim(connection, scope, key, request_hash, now)
    if before is not None:
        return before
    answer = act()
    _keep(connection, scope, key, answer)
    return answer


def any_old(connection: Connection, now: datetime) -> bool:
    """Whether there is anything to forget, asked first because asking takes no lock."""
    old = select(idempotency_keys.c.key).where(idempotency_keys.c.created_at < now - KEPT_FOR)
    return connection.execute(old.limit(1)).first() is not None


def forget_old(connection: Connection, now: datetime) -> None:
    """Delete answers that are too old to be asked for again."""
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEPT_FOR))


def _claim(connection: Connection, scope: str, key: str, request_hash: str, now: datetime) -> Answer | None:
    """Take the key, or return the answer it already has. Waits for another request that is just using it."""
    columns = ("scope", "key", "request_hash", "status", "headers", "body", "created_at")
    row = (scope, key, request_hash, _CLAIMED, "{}", "", utc_text(now))
    insert_rows(connection, idempotency_keys, columns, [row], ignore_duplicates=True)
    mine = (idempotency_keys.c.scope == scope) & (idempotency_keys.c.key == key)
    found = connection.execute(select(idempotency_keys).where(mine).with_for_update()).one()
    if found.request_hash != request_hash:
        raise IdempotencyKeyReusedError
    if found.status == _CLAIMED:
        return None
    return Answer(found.status, found.body.encode(), orjson.loads(found.headers), repeated=True)


def _keep(connection: Connection, scope: str, key: str, answer: Answer) -> None:
    mine = (idempotency_keys.c.scope == scope) & (idempotency_keys.c.key == key)
    connection.execute(
        update(idempotency_keys)
        .where(mine)
        .values(status=answer.status, headers=orjson.dumps(answer.headers).decode(), body=answer.body.decode())
    )
