"""Makes repeated POSTs harmless: a key, the request it came with, and the response it got, kept for a day.

The key is claimed first, in the transaction of the effect. So of two racing requests one runs, and the other gets its
response. One key with two different requests is rejected.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    select,
    update,
)

from service_kit.database.bulk import insert_rows
from service_kit.database.types import LongText, UtcDateTime, table_options, utc_text

KEPT_FOR = timedelta(days=1)
_CLAIMED = 0


class IdempotencyKeyReusedError(ValueError):
    """The key was used before with another request."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with a different request")


def idempotency_keys_table(metadata: MetaData) -> Table:
    """Return the table of keys and responses, for a service's own metadata."""
    table = Table(
        "idempotency_keys",
        metadata,
        Column("scope", String(300), primary_key=True),  # of one caller
        Column("key", String(128), primary_key=True),
        Column("request_hash", String(64), nullable=False),
        Column("status", Integer, nullable=False),
        Column("headers", Text, nullable=False),
        Column("body", LongText, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        **table_options(),
    )
    Index("ix_idempotency_keys_created_at", table.c.created_at)
    return table


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An HTTP response that can be given again, byte for byte."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False


class IdempotencyKeys:
    """The keys of one service."""

    def __init__(self, table: Table) -> None:
        self._table = table
        # Built once: building a statement costs several times as much as executing it.
        named = (table.c.scope == bindparam("of_scope")) & (table.c.key == bindparam("of_key"))
        columns = (table.c.request_hash, table.c.status, table.c.headers, table.c.body)
        self._find = select(*columns).where(named).with_for_update()
        self._complete = update(table).where(named)

    def once(
        self,
        connection: Connection,
        scope: str,
        key: str | None,
        request: Any,
        now: datetime,
        act: Callable[[], StoredResponse],
    ) -> StoredResponse:
        """Act unless this key has a response already. Raises IdempotencyKeyReusedError.

        `request` is the parsed body: the same JSON counts as the same request, however it is spaced or ordered.
        """
        if key is None:
            return act()
        request_hash = hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()
        stored = self._claim(connection, scope, key, request_hash, now)
        if stored is not None:
            return stored
        response = act()
        values = {
            "status": response.status,
            "headers": orjson.dumps(response.headers).decode(),
            "body": response.body.decode(),
        }
        connection.execute(self._complete, {"of_scope": scope, "of_key": key, **values})
        return response

    def any_expired(self, connection: Connection, now: datetime) -> bool:
        """Return whether there is anything to delete; asking first takes no lock."""
        old = select(self._table.c.key).where(self._table.c.created_at < now - KEPT_FOR)
        return connection.execute(old.limit(1)).first() is not None

    def delete_expired(self, connection: Connection, now: datetime) -> None:
        """Delete responses that are too old to be asked for again."""
        connection.execute(delete(self._table).where(self._table.c.created_at < now - KEPT_FOR))

    def _claim(
        self, connection: Connection, scope: str, key: str, request_hash: str, now: datetime
    ) -> StoredResponse | None:
        """Claim the key, or return the response it already has. Waits for another request that is using it."""
        columns = ("scope", "key", "request_hash", "status", "headers", "body", "created_at")
        row = (scope, key, request_hash, _CLAIMED, "{}", "", utc_text(now))
        insert_rows(connection, self._table, columns, [row], ignore_duplicates=True)
        found = connection.execute(self._find, {"of_scope": scope, "of_key": key}).one()
        if found.request_hash != request_hash:
            raise IdempotencyKeyReusedError
        if found.status == _CLAIMED:
            return None
        return StoredResponse(found.status, found.body.encode(), orjson.loads(found.headers), replayed=True)
