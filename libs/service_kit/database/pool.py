"""What the connection pools of both kinds of database have in common."""

from typing import Any

POOL_TIMEOUT_SECONDS = 10
READ_ONLY = "service_kit_read_only"
"""The execution option of a read transaction; the key under which a connection remembers its current mode."""
STATEMENT_BY_STATEMENT = "service_kit_statement_by_statement"
"""The execution option of a read transaction that needs no snapshot."""


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
