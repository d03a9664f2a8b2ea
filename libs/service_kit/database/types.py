"""Column types and table options that work alike on SQLite and MySQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

# SQLite numbers rows by itself only in a column declared INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")
LongText = Text().with_variant(mysql.MEDIUMTEXT, "mysql", "mariadb")
LongBlob = LargeBinary().with_variant(mysql.MEDIUMBLOB, "mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with microseconds: aware UTC in Python, without a zone in the database. Naive values are rejected."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep microseconds on MySQL, whose plain DATETIME drops them."""
        on_mysql = dialect.name in {"mysql", "mariadb"}
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if on_mysql else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC without a zone."""
        return None if value is None else _as_utc(value).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the stored moment its zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


def utc_text(moment: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DD HH:MM:SS.ffffff`, as both databases store it: for `bulk`."""
    return _as_utc(moment).strftime("%Y-%m-%d %H:%M:%S.%f")


def table_options() -> dict[str, Any]:
    """Return the keyword arguments of every `Table`: InnoDB with exact, case-sensitive utf8mb4 text."""
    return {
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
        "mariadb_engine": "InnoDB",
        "mariadb_charset": "utf8mb4",
        "mariadb_collate": "utf8mb4_bin",
    }


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a time zone: {moment.isoformat()}")
    return moment.astimezone(UTC)
