"""Portfolios are looked up and counted along indexes, however many debtors they have."""

import re

import pytest
from sqlalchemy import Connection
from tests.risk_assessment.builders import a_registry, generate_debtors
from tests.risk_assessment.tables.explaining import Book, plans, reads_all

from risk_assessment.policies.queries import require_portfolio
from risk_assessment.portfolios import queries
from service_kit.auth.portfolios import PortfolioNotFoundError
from service_kit.database.engine import Database


@pytest.fixture
def book(database: Database) -> Book:
    for name in ("first", "second"):
        generate_debtors(database, 200, portfolio=name)
    return Book(database, "no-run", {})


def test_whether_debtors_name_a_portfolio_without_a_row_is_one_look_at_an_index(book: Book) -> None:
    def look(connection: Connection) -> None:
        with pytest.raises(PortfolioNotFoundError):
            require_portfolio(connection, "nowhere")

    [[step]] = plans(book, look)

    assert step.index is not None
    assert not reads_all(step)


def test_the_debtors_of_portfolios_are_counted_along_an_index_alone(book: Book) -> None:
    def look(connection: Connection) -> None:
        found = queries.page(connection, None, None, 100).items
        assert [one["debtors"] for one in queries.views(connection, found, a_registry())] == [200, 200]

    [steps] = plans(book, look)

    indexes = {step.index for step in steps if step.table == "debtors"}
    assert indexes <= {"ix_debtors_portfolio_priority", "uq_debtors_portfolio_external_ref"}, steps
    assert all(re.search("COVERING|Using index", step.text) for step in steps if step.table == "debtors"), steps
