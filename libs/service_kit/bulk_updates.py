"""Many rows updated at once, each to values of its own, at the database's full speed.

SQLite repeats one prepared statement. MySQL's drivers would ask the server once a row, so there all rows travel as one
JSON document, which one statement reads as a table. It refuses bytes, which JSON cannot hold.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, String, Table
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.types import TypeEngine


def update_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Update rows by their primary key; each of `rows` holds the new values of `columns`, and then the key.

    Values are int, str (`utc_text` for moments) or None. A key that is not there is passed over.
    """
    if not rows:
        return
    sql = _update_sql(table, tuple(columns), connection.dialect)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sql, list(rows))
    else:
        connection.exec_driver_sql(sql, (orjson.dumps(rows).decode(),))


@lru_cache(maxsize=64)
def _update_sql(table: Table, columns: tuple[str, ...], dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.quote
    name, names = dialect.identifier_preparer.format_table(table), [quote(table.c[column].name) for column in columns]
    [key] = table.primary_key
    if dialect.name == "sqlite":
        assignments = ", ".join(f"{column} = ?" for column in names)
        return f"UPDATE {name} SET {assignments} WHERE {quote(key.name)} = ?"  # noqa: S608
    types = [_in_json(column.type).compile(dialect) for column in (*(table.c[column] for column in columns), key)]
    given = ", ".join(f"c{at} {kind} PATH '$[{at}]' ERROR ON ERROR" for at, kind in enumerate(types))
    assignments = ", ".join(f"{name}.{column} = given.c{at}" for at, column in enumerate(names))
    return (
        f"UPDATE JSON_TABLE(%s, '$[*]' COLUMNS ({given})) AS given "  # noqa: S608
        # In this order: for each row that is given, the one it is about is looked up by its key.
        f"STRAIGHT_JOIN {name} ON {name}.{quote(key.name)} = given.c{len(names)} SET {assignments}"
    )


def _in_json(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type to read a value as: MariaDB cuts text to its length here, and only the table itself refuses it."""
    if isinstance(kind, String) and kind.length is not None:
        return VARCHAR(kind.length + 1, charset="utf8mb4")
    return kind
