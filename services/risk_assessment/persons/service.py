"""Persons: the id of a reference, created when it is first named. Safe among concurrent writers; never commits.

A person is never deleted: holds and the history of debtors name it.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from risk_assessment.persons.queries import find, find_many
from risk_assessment.persons.tables import persons
from service_kit.database.bulk import insert_rows

_COLUMNS = ("portfolio", "person_ref")


def person_id_of(connection: Connection, portfolio: str, person_ref: str) -> int:
    """Return the id of a person of the portfolio, and create the person when the reference is new."""
    found = find(connection, portfolio, person_ref)
    return ids_of(connection, portfolio, [person_ref])[person_ref] if found is None else found


def ids_of(connection: Connection, portfolio: str, refs: Iterable[str]) -> dict[str, int]:
    """Return the id of each reference, and create the persons that are new.

    A writer that creates the same person waits here until the other has committed.
    """
    wanted = set(refs)
    found = find_many(connection, portfolio, wanted)
    # In one order, so that two loads of the same persons wait for each other instead of deadlocking.
    new = sorted(wanted - found.keys())
    if new:
        insert_rows(connection, persons, _COLUMNS, [(portfolio, ref) for ref in new], ignore_duplicates=True)
        found |= find_many(connection, portfolio, new)
    return found
