"""Attempts at batches, on each kind of database."""

from tests.debt_processing.builders import NOW

from debt_processing.batches import attempts
from service_kit.database.engine import Database


def unfinished(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return attempts.unfinished(connection, ["a", "b", "c"])


def test_every_attempt_counts_until_the_processing_ends(any_database: Database) -> None:
    for batch_id in ("a", "a", "b"):
        with any_database.write() as connection:
            attempts.begin(connection, batch_id, NOW)
    assert unfinished(any_database) == {"a": 2, "b": 1}

    with any_database.write() as connection:
        attempts.end(connection, "a")
        attempts.end(connection, "never begun")

    assert unfinished(any_database) == {"b": 1}
