"""Portfolios with everything that leaves debtors out, and a history that says so too."""

from random import Random
from typing import Any

from sqlalchemy import select, update
from tests.risk_assessment.builders import debtor_rows
from tests.risk_assessment.exclusions.eligibility import Placed
from tests.risk_assessment.exclusions.test_eligibility import a_random_book

from risk_assessment.tables import assessments, debtors
from service_kit.database.engine import Database


def a_whole_book(database: Database, seed: int = 0, **policies: Any) -> tuple[list[dict[str, Any]], list[Placed]]:
    """Return the debtors of a random portfolio, and its holds; the persons of the debtors are in their history."""
    placed = a_random_book(database, Random(seed), **policies)
    remember_persons(database)
    return debtor_rows(database, "default"), placed


def remember_persons(database: Database) -> None:
    """Write the persons of the debtors into their history, where a random book leaves them out."""
    person = select(debtors.c.person_id).where(debtors.c.id == assessments.c.debtor_id).scalar_subquery()
    with database.write() as connection:
        connection.execute(update(assessments).values(person_id=person))
