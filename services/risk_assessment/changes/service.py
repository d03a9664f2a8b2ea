"""Counts the changes of portfolios, in the transactions that make them. Never commits."""

import threading

from sqlalchemy import Connection

PARTS = 16
# Text for the driver, because writes of one debtor would notice what SQLAlchemy's statements cost.
_ON_SQLITE = (
    "INSERT INTO portfolio_changes (portfolio, part, changes) VALUES (?, ?, 1) "
    "ON CONFLICT (portfolio, part) DO UPDATE SET changes = changes + 1"
)
_ON_MYSQL = (
    "INSERT INTO portfolio_changes (portfolio, part, changes) VALUES (%s, %s, 1) "
    "ON DUPLICATE KEY UPDATE changes = changes + 1"
)


def note(connection: Connection, *portfolios: str) -> None:
    """Note that debtors or holds of these portfolios change in this transaction.

    Called last, because the counter stays locked until the commit.
    """
    statement = _ON_SQLITE if connection.dialect.name == "sqlite" else _ON_MYSQL
    part = threading.get_native_id() % PARTS
    # In one order, so that two writers of the same portfolios wait for each other instead of deadlocking.
    for portfolio in sorted(set(portfolios)):
        connection.exec_driver_sql(statement, (portfolio, part))
