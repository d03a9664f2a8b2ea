"""Many rows at once, in and out, at the database's full speed: a driver's work for each value costs more than the rows.

SQLite repeats one prepared statement. MySQL receives rows as SQL text, which Python writes itself for harmless values,
or as one JSON document that a statement reads as a table. Both return rows as one JSON document.
Values are int, str (`utc_text` for moments) and None; only inserts accept bytes too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from types import NoneType
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, CursorResult, Dialect, Select, String, Table, select
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeEngine

ROWS_A_STATEMENT = 2_000

_HARMLESS = re.compile(r"[A-Za-z0-9_ .:-]*")
"""Needs no escaping anywhere. Without commas and brackets, so that a None beside one is a None."""


class _Sql:
    """SQL passed as a parameter, because the log shows the statement of an error, and none of its parameters."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def prepare(connection: Any) -> None:
    """Teach a MySQL driver's connection to write what `insert_rows` passes to it."""
    connection.encoders[_Sql] = lambda sql, _encoders: sql.text


def insert_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    ignore_duplicates: bool = False,
) -> None:
    """Insert rows of two columns or more; no column type converts their values.

    `ignore_duplicates` skips rows whose key exists already; every other violation still raises.
    """
    _insert(connection, _insert_sql(table, tuple(columns), connection.dialect, ignore_duplicates), rows)


def replace_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, each in place of the one with its key. Columns that are not given become NULL."""
    begin, row, end = _insert_sql(table, tuple(columns), connection.dialect, False)
    _insert(connection, (begin.replace("INSERT", "REPLACE", 1), row, end), rows)


def _insert(connection: Connection, sql: tuple[str, str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    begin, row, end = sql
    if connection.dialect.name == "sqlite":
        if rows:
            connection.exec_driver_sql(begin + row + end, list(rows))
        return
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        some = list(rows[start : start + ROWS_A_STATEMENT])
        written = _as_sql(some)
        if written is None:
            connection.exec_driver_sql(begin + row + end, some)
        else:
            connection.exec_driver_sql(f"{begin}%s{end}", (_Sql(written),))


def update_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Update rows by their primary key; each of `rows` contains the new values of `columns`, and then the key.

    A key that does not exist is skipped.
    """
    if not rows:
        return
    sql = _update_sql(table, tuple(columns), connection.dialect)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sql, list(rows))
    else:
        connection.exec_driver_sql(sql, (orjson.dumps(rows).decode(),))


def rows_of(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any] | None = None
) -> list[list[Any]]:
    """Return the rows of a select, in no promised order; a few thousand at most, because they are one document."""
    rows = statement.subquery()
    return _read(connection.execute(select(_JsonRows(*rows.c)), parameters))


def rows_in_groups(
    connection: Connection, statement: Select[Any], group: ColumnElement[int]
) -> Iterator[list[list[Any]]]:
    """Yield the rows of a select, those of one group together, in no promised order; a few thousand a group at most."""
    documents = statement.with_only_columns(_JsonRows(*statement.selected_columns), maintain_column_froms=True)
    result = connection.execute(documents.group_by(group), execution_options={"yield_per": 1})
    for text in result.scalars():
        yield orjson.loads(text)


def columns_of(connection: Connection, statement: Select[Any]) -> list[list[Any]]:
    """Return the columns of a select, in no promised order of rows, but the same in each; a few thousand rows at most.

    Documents of single values cost both sides about half as much as one of rows.
    """
    rows = statement.subquery()
    texts = connection.execute(select(*map(_JsonColumn, rows.c))).one()
    return [orjson.loads(text) if text else [] for text in texts]  # MySQL's document of no rows is NULL


def document_and_columns(
    connection: Connection, statement: Select[Any], of_rows: Sequence[str], columns: Sequence[str]
) -> tuple[str, list[list[Any]]]:
    """Return some columns of a select as one JSON text of an array for each row, and some as lists, all in one order.

    The text is for what is passed on as it is: nothing is parsed. A few thousand rows at most.
    """
    rows = statement.subquery()
    documents = (_JsonRows(*(rows.c[name] for name in of_rows)), *(_JsonColumn(rows.c[name]) for name in columns))
    text, *texts = connection.execute(select(*documents)).one()
    return text or "[]", [orjson.loads(one) if one else [] for one in texts]


def rows_by_key(
    connection: Connection, table: Table, columns: Sequence[str], keys: Sequence[tuple[int, ...]]
) -> list[list[Any]]:
    """Return these columns of the rows with these primary keys, a few thousand at most, in no promised order."""
    # CROSS JOIN and STRAIGHT_JOIN keep the order: the row of each given key is looked up.
    if connection.dialect.name == "sqlite":
        sql = _by_key_sqlite(table, tuple(columns), connection.dialect, len(keys))
        return _read(connection.exec_driver_sql(sql, tuple(chain.from_iterable(keys)))) if keys else []
    sql = _by_key_mysql(table, tuple(columns), connection.dialect)
    return _read(connection.exec_driver_sql(sql, (orjson.dumps(keys).decode(),)))


def _read(result: CursorResult[Any]) -> list[list[Any]]:
    text = result.scalar_one()
    found: list[list[Any]] = orjson.loads(text) if text else []  # MySQL's document of no rows is NULL
    return found


class _JsonRows(GenericFunction[str]):
    """All rows as an array of arrays."""

    name = "json_rows"
    type = String()
    inherit_cache = True


class _JsonColumn(GenericFunction[str]):
    """All values of a column as an array."""

    name = "json_column"
    type = String()
    inherit_cache = True


@compiles(_JsonColumn)
def _compiled_column(column: _JsonColumn, compiler: SQLCompiler, **options: Any) -> str:
    [value] = column.clauses
    text = compiler.process(value, **options)
    if compiler.dialect.name == "sqlite":
        return f"json_group_array({text})"
    return _as_array(_json_text(text, value.type))


@compiles(_JsonRows)
def _compiled(rows: _JsonRows, compiler: SQLCompiler, **options: Any) -> str:
    columns = [(compiler.process(column, **options), column.type) for column in rows.clauses]
    return _document(columns, compiler.dialect)


def _document(columns: Sequence[tuple[str, TypeEngine[Any]]], dialect: Dialect) -> str:
    """Return the SQL of a document of rows, given the SQL and the type of each column."""
    if dialect.name == "sqlite":
        return f"json_group_array(json_array({', '.join(text for text, _ in columns)}))"
    values = ", ".join(_json_text(text, kind) for text, kind in columns)
    return _as_array(f"CONCAT('[', CONCAT_WS(',', {values}), ']')")


def _as_array(text: str) -> str:
    # Joined text takes MariaDB two thirds of the time of JSON_ARRAYAGG and JSON_ARRAY, which parse what they made.
    return f"CONCAT('[', GROUP_CONCAT({text} SEPARATOR ','), ']')"


def _json_text(value: str, kind: TypeEngine[Any]) -> str:
    """Return the SQL of a value as JSON text. Raises TypeError for a type whose values are neither int nor str."""
    if kind.python_type is int:
        return f"IFNULL({value}, 'null')"
    if kind.python_type is str:
        return f"IFNULL(JSON_QUOTE({value}), 'null')"
    raise TypeError(f"neither int nor str: {value} is {kind!r}")


@lru_cache(maxsize=64)
def _by_key_sqlite(table: Table, columns: tuple[str, ...], dialect: Dialect, count: int) -> str:
    name, document, keys = _by_key_parts(table, columns, dialect)
    rows = ", ".join([f"({', '.join('?' for _ in keys)})"] * count)
    given = ", ".join(f"c{at}" for at, _ in enumerate(keys))
    matches = " AND ".join(f"{name}.{key} = given.c{at}" for at, key in enumerate(keys))
    return f"WITH given({given}) AS (VALUES {rows}) SELECT {document} FROM given CROSS JOIN {name} ON {matches}"  # noqa: S608


@lru_cache(maxsize=64)
def _by_key_mysql(table: Table, columns: tuple[str, ...], dialect: Dialect) -> str:
    name, document, keys = _by_key_parts(table, columns, dialect)
    types = [key.type.compile(dialect) for key in table.primary_key]
    of_key = ", ".join(f"c{at} {kind} PATH '$[{at}]'" for at, kind in enumerate(types))
    matches = " AND ".join(f"{name}.{key} = given.c{at}" for at, key in enumerate(keys))
    given = f"JSON_TABLE(%s, '$[*]' COLUMNS ({of_key})) AS given"
    return f"SELECT {document} FROM {given} STRAIGHT_JOIN {name} ON {matches}"  # noqa: S608


def _by_key_parts(table: Table, columns: tuple[str, ...], dialect: Dialect) -> tuple[str, str, list[str]]:
    """Return the table's name, the document of these columns and the columns of its key, as SQL text."""
    quote = dialect.identifier_preparer.quote
    name = dialect.identifier_preparer.format_table(table)
    document = _document([(f"{name}.{quote(table.c[one].name)}", table.c[one].type) for one in columns], dialect)
    return name, document, [quote(key.name) for key in table.primary_key]


def _as_sql(rows: list[tuple[Any, ...]]) -> str | None:
    """Return the rows as SQL text, where Python writes them alike; None where a value must be escaped."""
    values = list(chain.from_iterable(rows))
    types = set(map(type, values))
    if not types <= {int, str, NoneType} or not _HARMLESS.fullmatch("".join([v for v in values if type(v) is str])):
        return None
    written = str(rows)[1:-1]
    return written.replace(", None", ", NULL").replace("(None", "(NULL") if NoneType in types else written


@lru_cache(maxsize=256)
def _insert_sql(
    table: Table, columns: tuple[str, ...], dialect: Dialect, ignore_duplicates: bool
) -> tuple[str, str, str]:
    """Return what comes before the rows, one row, and what comes after them."""
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(table.c[name].name) for name in columns)
    begin = f"INSERT INTO {dialect.identifier_preparer.format_table(table)} ({names}) VALUES "  # noqa: S608
    marks = ", ".join(["?" if dialect.name == "sqlite" else "%s"] * len(columns))
    return begin, f"({marks})", _on_duplicate(table, dialect) if ignore_duplicates else ""


def _on_duplicate(table: Table, dialect: Dialect) -> str:
    if dialect.name == "sqlite":
        return " ON CONFLICT DO NOTHING"
    # INSERT IGNORE would also swallow truncated values, NULLs and broken references.
    key = dialect.identifier_preparer.quote(next(iter(table.primary_key)).name)
    return f" ON DUPLICATE KEY UPDATE {key} = {key}"


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
        # In this order: each given row's target is looked up by its key.
        f"STRAIGHT_JOIN {name} ON {name}.{quote(key.name)} = given.c{len(names)} SET {assignments}"
    )


def _in_json(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type to read a value as: MariaDB truncates text to its length here, and only the table rejects it."""
    if isinstance(kind, String) and kind.length is not None:
        return VARCHAR(kind.length + 1, charset="utf8mb4")
    return kind
