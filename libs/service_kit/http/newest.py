"""Lists of what portfolios have, newest first, of one portfolio and in one state where these are named.

A table of such a list has columns `number`, `portfolio` and `state`, and the indexes `ix_TABLE_state`,
`ix_TABLE_portfolio` and `ix_TABLE_portfolio_state`, which end with `number`: a page reads one range of one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, select, union_all

from service_kit.auth.portfolios import Portfolios
from service_kit.http.pages import Page, decode_cursor, fetch_page


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is about; None means all. `within` are the portfolios of the caller."""

    portfolio: str | None = None
    state: StrEnum | None = None
    within: Portfolios = None

    @property
    def portfolios(self) -> tuple[str, ...] | None:
        """Return the portfolios that the list is about, None for all."""
        if self.portfolio is not None:
            return (self.portfolio,)
        return None if self.within is None else tuple(sorted(self.within))

    def index(self, table: Table) -> str | None:
        """Return the index that begins with what the list is about, and then has its order; None for the table's."""
        if self.portfolios is None:
            return None if self.state is None else f"ix_{table.name}_state"
        return f"ix_{table.name}_portfolio" if self.state is None else f"ix_{table.name}_portfolio_state"


def page(
    connection: Connection,
    table: Table,
    wanted: Wanted,
    cursor: str | None,
    limit: int,
    columns: Sequence[ColumnElement[Any]] = (),
) -> Page[Row[Any]]:
    """Return one page of rows, newest first: with these columns, `number` among them, or all. Raises BadCursor."""
    before = None if cursor is None else int(decode_cursor(cursor, (int,))[0])
    if wanted.portfolios == ():
        return Page([], None)
    newest = _newest(table, columns or tuple(table.c), wanted, before, limit + 1)
    return fetch_page(connection, newest, limit, lambda row: [row.number])


def _newest(
    table: Table, columns: Sequence[ColumnElement[Any]], wanted: Wanted, before: int | None, top: int
) -> Select[Any]:
    """Select the newest rows. Of several portfolios the newest of each are merged: one range of an index each."""
    newest = select(*columns).order_by(table.c.number.desc())
    index = wanted.index(table)
    if index is not None:
        for dialect in ("mysql", "mariadb"):
            # MySQL would otherwise walk the whole table, because its order is that of the page.
            newest = newest.with_hint(table, f"FORCE INDEX ({index})", dialect)
    if wanted.state is not None:
        newest = newest.where(table.c.state == wanted.state.value)
    if before is not None:
        newest = newest.where(table.c.number < before)
    if wanted.portfolios is None:
        return newest
    parts = [newest.where(table.c.portfolio == name) for name in wanted.portfolios]
    if len(parts) == 1:
        return parts[0]
    merged = union_all(*(select(part.limit(top).subquery()) for part in parts)).subquery()
    return select(merged).order_by(merged.c.number.desc())
