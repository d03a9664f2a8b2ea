"""API keys: `srk_<id>_<secret>`, shown once. The database keeps the id in plain, to find the row, and a hash of it all.

The secret is 256 random bits, so that a plain SHA-256 is enough: there is nothing to guess and nothing to slow down.
Each change leaves an audit record in its own transaction.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Row, String, Table, UniqueConstraint, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from service_kit.audit import Audit
from service_kit.auth.identity import BadCredentialsError, Identity, Role, UncheckableError
from service_kit.database.engine import Database
from service_kit.database.outages import describe_outage, is_unavailable
from service_kit.database.types import UtcDateTime, table_options

PREFIX = "srk"
ID_BYTES = 6
SECRET_BYTES = 32
REMEMBERED_SECONDS = 3.0
"""How long a key is taken as it was last read, and so how long a revoked one may go on working."""
MAX_REMEMBERED = 1_000

_TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_([A-Za-z0-9_-]{{43}})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class KeyRefusedError(ValueError):
    """The key cannot be made, found or taken; the text says why."""


def api_keys_table(metadata: MetaData) -> Table:
    """Return the table of keys, for a service's own metadata."""
    return Table(
        "api_keys",
        metadata,
        Column("id", String(2 * ID_BYTES), primary_key=True),
        Column("name", String(64), nullable=False),
        Column("role", String(16), nullable=False),
        Column("hash", String(64), nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("revoked_at", UtcDateTime),
        # Of revoked keys too, so that a name in the audit records always means one key.
        UniqueConstraint("name", name="uq_api_keys_name"),
        **table_options(),
    )


def new_token() -> str:
    """Make a key."""
    return f"{PREFIX}_{secrets.token_hex(ID_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"


def key_id(token: str) -> str | None:
    """Return the id in a key, None when it is no key of ours."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None


def add(connection: Connection, keys: Table, token: str, name: str, role: str, now: datetime) -> str:
    """Let a key in under a name and a role, and return its id. Raises KeyRefusedError."""
    found = key_id(token)
    if found is None:
        raise KeyRefusedError("this is not a key that create-key has made")
    if not _NAME.fullmatch(name):
        raise KeyRefusedError("a name has 1 to 64 letters, digits and . _ @ -, and begins with a letter or digit")
    if role not in set(Role):
        raise KeyRefusedError(f"unknown role {role!r}; known are {', '.join(Role)}")
    values = {"id": found, "name": name, "role": role, "hash": _hash(token), "created_at": now}
    try:
        connection.execute(insert(keys).values(values))
    except IntegrityError:
        raise KeyRefusedError(f"there is or was a key named {name}, or this very key: choose another name") from None
    return found


def issue(database: Database, keys: Table, audit: Audit, name: str, role: str, token: str) -> None:
    """Let a key in, on record. Raises KeyRefusedError."""

    def let_in(connection: Connection) -> None:
        added = add(connection, keys, token, name, role, audit.at)
        audit.changed(connection, "key.created", f"key:{added}", name=name, role=role)

    database.transact(let_in)


def list_keys(database: Database, keys: Table) -> list[dict[str, Any]]:
    """All keys, revoked ones too, oldest first, without their hashes."""
    shown = [column for column in keys.c if column.name != "hash"]
    with database.read() as connection:
        rows = connection.execute(select(*shown).order_by(keys.c.created_at, keys.c.id)).all()
    return [{str(name): value for name, value in row._mapping.items()} for row in rows]


def revoke(database: Database, keys: Table, audit: Audit, id_or_name: str) -> str:
    """Revoke a key, on record, and return its name; one that is revoked already stays as it is.

    Raises KeyRefusedError.
    """

    def revoke(connection: Connection) -> str:
        found = _named(connection, keys, id_or_name)
        if found.revoked_at is None:
            connection.execute(update(keys).where(keys.c.id == found.id).values(revoked_at=audit.at))
            audit.changed(connection, "key.revoked", f"key:{found.id}", name=found.name)
        return str(found.name)

    return database.transact(revoke)


def _named(connection: Connection, keys: Table, id_or_name: str) -> Row[Any]:
    wanted = (keys.c.id == id_or_name) | (keys.c.name == id_or_name)
    # Should a name look like another key's id, the id means what it says.
    best_first = select(keys).where(wanted).order_by(keys.c.id != id_or_name).limit(1)
    found = connection.execute(best_first.with_for_update()).one_or_none()
    if found is None:
        raise KeyRefusedError(f"there is no key {id_or_name!r}")
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    row: Row[Any]
    read_at: float


class KeyAuthenticator:
    """Recognises the keys of one database, asking it at most every REMEMBERED_SECONDS for each."""

    def __init__(
        self, database: Callable[[], Database], keys: Table, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._remembered: dict[str, _Known] = {}

    async def identify(self, token: str) -> Identity:
        """Return who the key was made for. Raises BadCredentialsError or UncheckableError."""
        wanted = key_id(token)
        if wanted is None:
            raise BadCredentialsError("not a key of ours")
        row = self._recent(wanted) or await asyncio.to_thread(self._read, wanted)
        # Compared even when there is no such key, so that the time tells nobody which ids exist.
        fits = hmac.compare_digest(_hash(token), row.hash if row else _hash(""))
        if row is None or not fits:
            raise BadCredentialsError("unknown key")
        if row.revoked_at is not None:
            raise BadCredentialsError(f"key {wanted} is revoked")
        return Identity(f"key:{row.name}", Role(row.role))

    def _recent(self, wanted: str) -> Row[Any] | None:
        known = self._remembered.get(wanted)
        return known.row if known and self._clock() - known.read_at < REMEMBERED_SECONDS else None

    def _read(self, wanted: str) -> Row[Any] | None:
        asked_at = self._clock()
        try:
            with self._database().read() as connection:
                row = connection.execute(select(self._keys).where(self._keys.c.id == wanted)).one_or_none()
        except SQLAlchemyError as error:
            if is_unavailable(error):
                raise UncheckableError(describe_outage(error)) from error
            raise
        if row is not None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[wanted] = _Known(row, asked_at)
        return row


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
