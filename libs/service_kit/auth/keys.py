"""API keys: `srk_<id>_<secret>`, shown once. The database stores the id, to find the row, and a hash of the whole key.

The secret is 256 random bits, so a plain SHA-256 is enough: no attacker can guess it, so hashing need not be slow.
Each change leaves an audit record in its own transaction.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Row, String, Table, Text, UniqueConstraint, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from service_kit.audit import Audit
from service_kit.auth import portfolios
from service_kit.auth.identity import BadCredentialsError, Identity, Role, UncheckableError
from service_kit.database.engine import Database
from service_kit.database.outages import describe_outage, is_unavailable
from service_kit.database.types import UtcDateTime, table_options

PREFIX = "srk"
ID_BYTES = 6
SECRET_BYTES = 32
CACHE_SECONDS = 3.0
"""How long a key is cached, and so how long a revoked one may still work."""
MAX_CACHED = 1_000

_TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_([A-Za-z0-9_-]{{43}})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class KeyRefusedError(ValueError):
    """The key cannot be created, found or accepted; the text says why."""


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
        Column("portfolios", Text),  # JSON: the names that the key is bound to; NULL means all
        # Revoked keys count too, so that a name in the audit records always means one key.
        UniqueConstraint("name", name="uq_api_keys_name"),
        **table_options(),
    )


def new_token() -> str:
    """Return a new key."""
    return f"{PREFIX}_{secrets.token_hex(ID_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"


def key_id(token: str) -> str | None:
    """Return the id in a key, None when it is not a key of this system."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None


def _add(
    connection: Connection, keys: Table, token: str, name: str, role: str, bound_to: Sequence[str], now: datetime
) -> str:
    """Add a key under a name and a role, and return its id. Raises KeyRefusedError and WrongPortfoliosError."""
    found = key_id(token)
    if found is None:
        raise KeyRefusedError("this is not a key that create-key has made")
    if not _NAME.fullmatch(name):
        raise KeyRefusedError("a name has 1 to 64 letters, digits and . _ @ -, and begins with a letter or digit")
    if role not in set(Role):
        raise KeyRefusedError(f"unknown role {role!r}; known are {', '.join(Role)}")
    values = {"id": found, "name": name, "role": role, "hash": _hash(token), "created_at": now}
    values["portfolios"] = portfolios.stored(bound_to)
    try:
        connection.execute(insert(keys).values(values))
    except IntegrityError:
        raise KeyRefusedError(f"there is or was a key named {name}, or this very key: choose another name") from None
    return found


def issue(
    database: Database, keys: Table, audit: Audit, name: str, role: str, token: str, bound_to: Sequence[str] = ()
) -> None:
    """Add a key, bound to portfolios unless none are given, with an audit record.

    Raises KeyRefusedError and WrongPortfoliosError.
    """

    def add_key(connection: Connection) -> None:
        added = _add(connection, keys, token, name, role, bound_to, audit.at)
        binding = {"portfolios": sorted(set(bound_to))} if bound_to else {}
        audit.changed(connection, "key.created", f"key:{added}", name=name, role=role, **binding)

    database.transact(add_key)


def list_keys(database: Database, keys: Table) -> list[dict[str, Any]]:
    """Return all keys, revoked ones too, oldest first, without their hashes; `portfolios` None means all."""
    shown = [column for column in keys.c if column.name != "hash"]
    with database.read() as connection:
        rows = connection.execute(select(*shown).order_by(keys.c.created_at, keys.c.id)).all()
    return [_listed(row) for row in rows]


def _listed(row: Row[Any]) -> dict[str, Any]:
    bound_to = portfolios.loaded(row.portfolios)
    shown = {str(name): value for name, value in row._mapping.items()}
    return shown | {"portfolios": None if bound_to is None else sorted(bound_to)}


def revoke(database: Database, keys: Table, audit: Audit, id_or_name: str) -> str:
    """Revoke a key, with an audit record, and return its name; a revoked key stays as it is.

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
    # Where a name looks like another key's id, the id wins.
    best_first = select(keys).where(wanted).order_by(keys.c.id != id_or_name).limit(1)
    found = connection.execute(best_first.with_for_update()).one_or_none()
    if found is None:
        raise KeyRefusedError(f"there is no key {id_or_name!r}")
    return found


@dataclass(frozen=True, slots=True)
class _Cached:
    row: Row[Any]
    read_at: float


class KeyAuthenticator:
    """Authenticates the keys of one database, reading each at most every CACHE_SECONDS."""

    def __init__(
        self, database: Callable[[], Database], keys: Table, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._cache: dict[str, _Cached] = {}

    async def identify(self, token: str) -> Identity:
        """Return the key's identity. Raises BadCredentialsError or UncheckableError."""
        wanted = key_id(token)
        if wanted is None:
            raise BadCredentialsError("not a key of this system")
        row = self._recent(wanted) or await asyncio.to_thread(self._read, wanted)
        # Compared even when there is no such key, so that the response time does not show which ids exist.
        fits = hmac.compare_digest(_hash(token), row.hash if row else _hash(""))
        if row is None or not fits:
            raise BadCredentialsError("unknown key")
        if row.revoked_at is not None:
            raise BadCredentialsError(f"key {wanted} is revoked")
        return Identity(f"key:{row.name}", Role(row.role), portfolios.loaded(row.portfolios))

    def _recent(self, wanted: str) -> Row[Any] | None:
        cached = self._cache.get(wanted)
        return cached.row if cached and self._clock() - cached.read_at < CACHE_SECONDS else None

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
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[wanted] = _Cached(row, asked_at)
        return row


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
