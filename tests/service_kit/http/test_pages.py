"""A page ends with a cursor that leads to the next one, and no other text is accepted as a cursor."""

import base64
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, tuple_

from service_kit.database.engine import Database
from service_kit.http.pages import BadCursor, Page, decode_cursor, encode_cursor, fetch_page, page_of

metadata = MetaData()
books = Table("books", metadata, Column("id", Integer, primary_key=True), Column("title", String(20), nullable=False))


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("values", [[1], [2**63 - 1, -5], ["größe", 7], [""]])
def test_a_cursor_brings_its_values_back(values: list[int | str]) -> None:
    cursor = encode_cursor(values)

    assert decode_cursor(cursor, [type(value) for value in values]) == values
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    ["", "%%%", "größe", "a", forged("{}"), forged("[1]"), forged("[1,2,3]"), forged('["1",2]'), forged("[true,1]")],
)
def test_any_other_text_is_rejected(text: str) -> None:
    with pytest.raises(BadCursor, match="not one that this list returned"):
        decode_cursor(text, [int, int])


@pytest.mark.parametrize("text", ["[9223372036854775808]", "[1.0]", "[1e999]", "[NaN]", '["\\ud800"]', "[null]"])
def test_values_that_no_database_takes_are_rejected(text: str) -> None:
    for wanted in (int, str):
        with pytest.raises(BadCursor):
            decode_cursor(forged(text), [wanted])


def test_a_page_with_more_behind_it_ends_with_the_cursor_of_its_last_item() -> None:
    page = page_of([3, 5, 8], 2, lambda item: (item, "x"))

    assert page == Page([3, 5], encode_cursor((5, "x")))


@pytest.mark.parametrize("found", [[], [3], [3, 5]])
def test_the_last_page_has_no_cursor(found: list[int]) -> None:
    assert page_of(found, 2, lambda item: (item,)) == Page(found, None)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_following_the_cursors_shows_every_row_once_and_in_order(database: Database, limit: int) -> None:
    rows = [(1, "b"), (2, "a"), (3, "a"), (4, "c"), (5, "a")]
    with database.write() as connection:
        connection.execute(insert(books), [{"id": number, "title": title} for number, title in rows])

    pages: list[list[tuple[int, str]]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        statement = select(books).order_by(books.c.title, books.c.id)
        if cursor is not None:
            after = decode_cursor(cursor, (str, int))
            statement = statement.where(tuple_(books.c.title, books.c.id) > tuple_(*after))
        with database.read() as connection:
            page = fetch_page(connection, statement, limit, lambda row: (row.title, row.id))
        pages.append([tuple(row) for row in page.items])
        cursor = page.next_cursor

    assert [row for page in pages for row in page] == sorted(rows, key=lambda row: (row[1], row[0]))
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 0 < len(pages[-1]) <= limit
