"""A database for the time of an import: on disk, and deleted by the operating system."""

import sqlite3


def scratch_database(table: str) -> sqlite3.Connection:
    """Return a database with this table, in a transaction that never ends."""
    database = sqlite3.connect("", isolation_level=None)  # without a name: gone when it is closed
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA cache_size = -16384")  # KiB
    database.execute(f"CREATE TABLE {table}")
    database.execute("BEGIN")
    return database
