"""What the connection pools of both kinds of database have in common."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import PoolProxiedConnection

POOL_TIMEOUT_SECONDS = 10
READ_ONLY = "service_kit_read_only"
"""The key under which a connection remembers whether it is set up for reads."""
_NEXT = "service_kit_next"


class Begin(Enum):
    """What a transaction begins as."""

    WRITE = auto()
    SNAPSHOT = auto()
    STATEMENT_BY_STATEMENT = auto()  # reads that need no snapshot


def begin(connection: Connection, kind: Begin) -> None:
    """Begin a transaction of this kind. One that SQLAlchemy begins by itself may write."""
    connection.connection.info[_NEXT] = kind
    connection.begin()


def begin_by(engine: Engine, how: Callable[[PoolProxiedConnection, Begin], None]) -> None:
    """Let `how` begin each transaction of an engine, straight at the driver.

    Not by a listener of `begin`: with one, SQLAlchemy joins listeners for each connection and asks for them at each
    statement, a third of the time of a read.
    """

    def do_begin(connection: PoolProxiedConnection) -> None:
        how(connection, connection.info.pop(_NEXT, Begin.WRITE))

    engine.dialect.do_begin = do_begin  # type: ignore[method-assign, assignment]


def pool_options(size: int) -> dict[str, Any]:
    """Return the `create_engine` arguments of a pool of at most `size` connections."""
    return {
        "pool_size": size,
        "max_overflow": 0,  # overflow connections close after each use, and a new one costs as much as five queries
        "pool_use_lifo": True,
        "pool_timeout": POOL_TIMEOUT_SECONDS,
        "pool_reset_on_return": None,  # a Connection ends its transaction itself; a second ROLLBACK is a round trip
        "hide_parameters": True,
    }
