"""Lists of debtors against plain Python: every filter, search and order, whichever way the pages are found."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.risk_assessment.builders import add_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.conftest import opened

from risk_assessment.debtors import selection
from risk_assessment.debtors.searching import DebtorFilter
from risk_assessment.debtors.selection import NotByPriorityError, Sort, page
from service_kit.database.engine import Database

ORDERS: dict[Sort, Callable[[dict[str, Any]], Any]] = {
    "id": lambda row: row["id"],
    "priority": lambda row: (-row["priority"], row["id"]),
    "debt": lambda row: (-row["total_debt_amount"], row["id"]),
}
FILTERS: list[dict[str, Any]] = [
    {},
    {"portfolio": "a"},
    {"portfolio": "nowhere"},
    {"within": frozenset({"a", "c"})},
    {"within": frozenset()},
    {"payment_status": "PAID"},
    {"portfolio": "a", "payment_status": "PARTIAL", "risk_levels": ("HIGH", "LOW")},
    {"risk_levels": ("CRITICAL", "CRITICAL")},
    {"portfolio": "b", "min_debt": 10**11},
    {"portfolio": "a", "min_debt": 900_000, "max_debt": 3_000_000},
    {"max_debt": 700_000, "payment_status": "UNPAID"},
    {"within": frozenset({"a", "b"}), "min_debt": 2_500_000, "risk_levels": ("MEDIUM",)},
    {"min_score": 0},
    {"portfolio": "a", "max_score": 250},
    {"portfolio": "b", "min_score": 300, "max_score": 320},
    {"portfolio": "a", "min_score": 999_999},
    {"within": frozenset({"a", "b"}), "min_score": 300, "max_score": 500, "payment_status": "UNPAID"},
    {"max_score": 400, "risk_levels": ("MEDIUM", "LOW", "LOW"), "min_debt": 500_000},
    {"q": "Jo", "min_score": 200},
    {"portfolio": "a", "q": "aLeX"},
    {"q": "Jo H", "payment_status": "UNPAID"},
    {"portfolio": "c", "q": "Alex", "min_debt": 900_000},
    {"q": "ACC_1"},
    {"within": frozenset({"a"}), "q": "7"},
    {"portfolio": "c", "q": "ÖZLEM Ü"},
    {"portfolio": "c", "q": "елена горбунковА"},
    {"portfolio": "c", "q": "100%"},
    {"portfolio": "c", "q": "%"},
    {"portfolio": "c", "q": "_"},
]


def named(given: dict[str, Any]) -> str:
    """The filter as text that is the same in every process."""
    return str({name: sorted(value) if isinstance(value, frozenset) else value for name, value in given.items()})


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("lists") / "risk.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite_file").read_bytes())
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("migrated_mariadb_url")
    with opened(url) as database:
        for seed, portfolio in enumerate("abc"):
            generate_debtors(database, 120, seed=seed, portfolio=portfolio)
        for name in ("Özlem Üstün", "özlem ünal", "Ozlem Unal", "Елена Горбункова", "ЕЛЕНА Горбунков", "100% Fitness"):
            add_debtor(database, portfolio="c", name=name, total_debt_amount="9000.00")
        for number in range(3):
            add_debtor(database, portfolio="b", external_ref=f"ACC{'_x-'[number]}1", name="50% off_")
        yield database


def is_wanted(row: dict[str, Any], wanted: DebtorFilter) -> bool:
    debt, q = row["total_debt_amount"], wanted.q
    return (
        wanted.portfolio in (None, row["portfolio"])
        and (wanted.within is None or row["portfolio"] in wanted.within)
        and wanted.payment_status in (None, row["payment_status"])
        and (wanted.risk_levels is None or row["risk_level"] in wanted.risk_levels)
        and (wanted.min_debt is None or debt >= wanted.min_debt)
        and (wanted.max_debt is None or debt <= wanted.max_debt)
        and (wanted.min_score is None or row["total_score"] >= wanted.min_score)
        and (wanted.max_score is None or row["total_score"] <= wanted.max_score)
        and (wanted.from_priority is None or row["priority"] <= wanted.from_priority)
        and (q is None or row["name"].lower().startswith(q.lower()) or row["external_ref"] == q or str(row["id"]) == q)
    )


def listed(database: Database, wanted: DebtorFilter, sort: Sort, limit: int) -> list[int]:
    """The ids of all pages."""
    found: list[int] = []
    cursor = None
    for _ in itertools.count():
        with database.read() as connection:
            one = page(connection, wanted, sort, cursor, limit)
        assert len(one.items) == limit or one.next_cursor is None
        found += [row.id for row in one.items]
        cursor = one.next_cursor
        if cursor is None:
            return found
    raise AssertionError


@pytest.mark.parametrize("sort", list(ORDERS))
@pytest.mark.parametrize("given", FILTERS, ids=named)
@pytest.mark.parametrize(("few", "window"), [(5_000, 10_000), (2, 5)], ids=["few", "many"])
def test_a_list_has_what_its_filters_ask_for_in_its_order(
    book: Database, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], sort: Sort, few: int, window: int
) -> None:
    monkeypatch.setattr(selection, "FEW", few)
    monkeypatch.setattr(selection, "WINDOW", window)
    monkeypatch.setattr(selection, "_PARTS_A_QUERY", 2)
    wanted = DebtorFilter(**given)
    expected = sorted((row for row in debtor_rows(book) if is_wanted(row, wanted)), key=ORDERS[sort])

    assert listed(book, wanted, sort, 23) == [row["id"] for row in expected]


@pytest.mark.parametrize(
    "given",
    [{}, {"portfolio": "a"}, {"portfolio": "a", "max_debt": 1_500_000}, {"max_score": 400}, {"q": "Alex"}],
    ids=str,
)
def test_a_list_begins_at_a_priority_that_is_included(book: Database, given: dict[str, Any]) -> None:
    middle = sorted(row["priority"] for row in debtor_rows(book))[150]
    wanted = DebtorFilter(**given, from_priority=middle)
    expected = sorted((row for row in debtor_rows(book) if is_wanted(row, wanted)), key=ORDERS["priority"])

    assert listed(book, wanted, "priority", 40) == [row["id"] for row in expected]
    with book.read() as connection, pytest.raises(NotByPriorityError):
        page(connection, wanted, "id", None, 10)


def test_the_lists_are_not_trivial(book: Database) -> None:
    rows = debtor_rows(book)
    counts = {str(given): sum(is_wanted(row, DebtorFilter(**given)) for row in rows) for given in FILTERS}

    # Which debtor has an id is the database's choice.
    empty = [given for given, count in counts.items() if count == 0 and "'q': '7'" not in given]
    assert len(empty) == 6, empty
