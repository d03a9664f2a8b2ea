"""Who did what, when and why: a row for every change, in its transaction, and a log event for every read.

Reads write nothing to the database (a dry run changes nothing), so their events go to the log, at any log level.
Neither may contain personal data: subjects are ids, details are counts and names of fields.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import orjson
import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    update,
)

from service_kit.database.types import UtcDateTime, table_options

# Reads of personal data are logged even where other events are not.
log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

MAX_ACTOR_CHARS = 270
MAX_REASON_CHARS = 200
RECORDS = "audit_records"
COMPLETED = ("detail",)
"""The only columns of a record that are ever changed, by `Audit.complete`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request and why, as it is recorded."""

    actor: str
    role: str | None = None
    reason: str | None = None
    request_id: str | None = None


def audit_records_table(metadata: MetaData) -> Table:
    """Return the table of audit records, for a service's own metadata."""
    table = Table(
        RECORDS,
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("at", UtcDateTime, nullable=False),
        Column("actor", String(MAX_ACTOR_CHARS), nullable=False),
        Column("role", String(16)),
        Column("action", String(64), nullable=False),
        Column("subject", String(160), nullable=False),
        Column("reason", String(MAX_REASON_CHARS)),
        Column("request_id", String(64)),
        Column("detail", Text, nullable=False),
        sqlite_autoincrement=True,
        **table_options(),
    )
    Index("ix_audit_records_subject", table.c.subject, table.c.id)
    return table


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit of one request or command: its caller, its moment, and the table of records."""

    records: Table
    caller: Caller
    at: datetime

    def because(self, reason: str) -> "Audit":
        """Return this audit with the reason of the change itself, cut to its column, unless the caller gave one."""
        given = self.caller.reason or reason[:MAX_REASON_CHARS]
        return replace(self, caller=replace(self.caller, reason=given))

    def changed(self, connection: Connection, action: str, subject: str, **detail: Any) -> int:
        """Record a change, such as `debtor.created` of `debtor:7`, in its own transaction; return the record's id."""
        values = {
            "at": self.at,
            "actor": self.caller.actor,
            "role": self.caller.role,
            "action": action,
            "subject": subject,
            "reason": self.caller.reason,
            "request_id": self.caller.request_id,
            "detail": orjson.dumps(detail).decode(),
        }
        return int(connection.execute(_insert(self.records), values).lastrowid)

    def complete(self, connection: Connection, record_id: int, **detail: Any) -> None:
        """Update a record with how far its change is, in each transaction of a change that takes many."""
        record = update(self.records).where(self.records.c.id == record_id)
        connection.execute(record.values(detail=orjson.dumps(detail).decode()))

    def read(self, action: str, *subjects: str) -> None:
        """Log that personal data are being read."""
        caller = self.caller
        log.info("audit.read", action=action, subjects=list(subjects), **_who(caller))


@cache
def _insert(records: Table) -> Insert:
    """Build the statement once: building costs as much as executing it."""
    return insert(records)


def _who(caller: Caller) -> dict[str, str | None]:
    return {"actor": caller.actor, "role": caller.role, "reason": caller.reason, "request_id": caller.request_id}
