"""Whatever the size of its pages, a ranking contains each eligible debtor of its snapshot once, and counts the rest."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, change_debtor, debtor_rows, generate_debtors

from recovery_core.ranking.exclusions import Excluded, in_order
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.debtors import service as debtors
from risk_assessment.exclusions.selection import Blocked, Selection
from risk_assessment.runs.ranking import Eligible
from service_kit.database.engine import Database

CHUNK = 4
FAMILIES = sorted(independent.FAMILY)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.runs.ranking.CHUNK", CHUNK)


@contextmanager
def a_ranking(database: Database, policy: str = "standard", **filters: Any) -> Iterator[tuple[Eligible, Excluded]]:
    """The ranking of the default portfolio as it is when the block begins, and who is left out so far."""
    registry = a_registry(policy)
    with database.read() as connection:
        policy_id = registry.find_id(connection, registry.active(connection, "default"))
        selection = Selection("default", policy_id, scorer_for(registry.active(connection, "default")), filters)
        excluded = Excluded()
        yield Eligible(database, connection, selection, Blocked(connection, "default", NOON), excluded), excluded


def ranked(database: Database, policy: str = "standard", **filters: Any) -> tuple[list[Entry], dict[str, int]]:
    """All entries as they come, and who is left out."""
    with a_ranking(database, policy, **filters) as (eligible, excluded):
        entries = all_of(eligible.entries())
        return entries, in_order(excluded.counts)


def all_of(chunks: Iterator[Sequence[Sequence[int]]], then: Callable[[], None] = lambda: None) -> list[Entry]:
    """The entries of all chunks; `then` is done once, after the first chunk."""
    entries: list[Entry] = []
    done = False
    for chunk in chunks:
        assert len(chunk) <= CHUNK
        entries += [(priority, debtor_id, version) for priority, debtor_id, version in chunk]
        if not done:
            then()
            done = True
    return entries


def assert_right(
    found: tuple[list[Entry], dict[str, int]],
    rows: list[dict[str, Any]],
    policy: str = "standard",
    wanted: Callable[[dict[str, Any]], bool] = lambda row: True,
) -> None:
    """The entries are what sorting the rows gives, each debtor once, and every other debtor has one reason."""
    entries, excluded = found
    expected = independent.ranking([row for row in rows if wanted(row)], policy)
    versions = {row["id"]: row["version"] for row in rows}
    in_order = sorted(entries, key=lambda entry: (-entry[0], entry[1]))
    assert in_order == [(priority, one, versions[one]) for priority, one in expected]
    reasons = Counter(reason_of(row, policy) for row in rows if row["id"] not in {one for _, one in expected})
    assert excluded == reasons
    assert len(entries) + sum(excluded.values()) == len(rows)


def reason_of(row: dict[str, Any], policy: str) -> str:
    if row["payment_status"] == "PAID":
        return "PAID"
    return "NOT_SCORABLE" if policy == "classic" and row["family_situation"] is None else "FILTERED"


DEBTS = {
    "no debtors": [],
    "one page all but full": [3, 1, 2],
    "one page": [3, 1, 4, 2],
    "one page and one debtor": [3, 1, 5, 4, 2],
    "two pages": [3, 1, 4, 2, 8, 5, 7, 6],
    "three pages": [3, 1, 4, 2, 8, 5, 12, 7, 6, 10, 11, 9],
    "a page of one priority": [5] * 4,
    "a page of one priority and one debtor": [5] * 5,
    "two pages of one priority": [5] * 8,
    "more than two pages of one priority": [5] * 11,
    "ties across the first page's end": [5, 2, 9, 5, 1, 8, 5, 7],
    "ties across two pages' ends": [5, 2, 9, 5, 5, 1, 8, 5, 5, 7, 5, 5],
    "ties that end with the page": [5, 2, 9, 1, 8, 5],
    "ties that end with the second page": [5, 2, 5, 9, 1, 5, 8, 5, 5, 5],
    "ties that begin with the second page": [5, 2, 6, 9, 1, 5, 8, 7, 5],
    "ties at every page's end": [1, 2, 2, 2, 5, 5, 5, 5, 5, 5, 7, 7, 7],
    "pages of ties at the end": [9, 5, 5, 5, 5, 5, 5, 5, 5, 5],
}


@pytest.mark.parametrize("debts", DEBTS.values(), ids=list(DEBTS))
def test_pages_of_any_fill_have_each_debtor_once(database: Database, debts: list[int]) -> None:
    for debt in debts:
        add_debtor(database, total_debt_amount=debt)
    rows = debtor_rows(database)
    assert len({row["priority"] for row in rows}) == len(set(debts))

    assert_right(ranked(database), rows)


def a_book(database: Database) -> list[dict[str, Any]]:
    """Debtors of every kind, a page and more of them with one priority, and those of another portfolio."""
    generate_debtors(database, 20, seed=2, portfolio="other")
    generate_debtors(database, 60)
    for _ in range(2 * CHUNK + 1):
        add_debtor(database, total_debt_amount="5000.00")
    return debtor_rows(database, "default")


FILTERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
    "no filter": ({}, lambda row: True),
    "one level": ({"risk_level": ["MEDIUM"]}, lambda row: level(row) == "MEDIUM"),
    "two levels": ({"risk_level": ["LOW", "HIGH"]}, lambda row: level(row) in ("LOW", "HIGH")),
    "a least debt": ({"min_debt": 500_000}, lambda row: row["total_debt_amount"] >= 500_000),
    "a most debt": ({"max_debt": 500_000}, lambda row: row["total_debt_amount"] <= 500_000),
    "one debt": ({"min_debt": 500_000, "max_debt": 500_000}, lambda row: row["total_debt_amount"] == 500_000),
    "no debt": ({"min_debt": 500_001, "max_debt": 500_000}, lambda row: False),
    "a status": ({"payment_status": ["PARTIAL"]}, lambda row: row["payment_status"] == "PARTIAL"),
    "level and debt": (
        {"risk_level": ["MEDIUM", "HIGH"], "min_debt": 400_000},
        lambda row: level(row) in ("MEDIUM", "HIGH") and row["total_debt_amount"] >= 400_000,
    ),
}


def level(row: dict[str, Any], policy: str = "standard") -> str:
    return independent.level(independent.score(row, policy), policy)


@pytest.mark.parametrize(("filters", "wanted"), FILTERS.values(), ids=list(FILTERS))
def test_a_filter_leaves_the_others_out(
    database: Database, filters: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]
) -> None:
    rows = a_book(database)

    assert_right(ranked(database, **filters), rows, wanted=wanted)


def of_both_policies(database: Database) -> list[dict[str, Any]]:
    """A book that one policy scored, and some pages of debtors that the other one scored."""
    rows = a_book(database)
    for row in rows[::5]:
        change_debtor(database, row["id"], family_situation=None)
    for at in range(3 * CHUNK):
        family = FAMILIES[at % len(FAMILIES)]
        add_debtor(database, a_registry("classic"), total_debt_amount=5_000 + at // 2, family_situation=family)
    return debtor_rows(database, "default")


@pytest.mark.parametrize("policy", ["standard", "classic"])
def test_debtors_of_another_policy_are_scored_on_the_way(database: Database, policy: str) -> None:
    rows = of_both_policies(database)
    assert min(Counter(row["policy_id"] for row in rows).values()) > 2 * CHUNK

    assert_right(ranked(database, policy), rows, policy)


def test_under_a_policy_that_was_never_used_every_debtor_is_scored(database: Database) -> None:
    rows = a_book(database)
    assert len({row["policy_id"] for row in rows}) == 1

    assert_right(ranked(database, "classic"), rows, "classic")


def test_exactly_a_page_of_another_policy_is_scored_once(database: Database) -> None:
    for debt in (3, 1, 3, 2):
        add_debtor(database, total_debt_amount=debt, family_situation="MARRIED_DUAL_INCOME")

    assert_right(ranked(database, "classic"), debtor_rows(database), "classic")


@pytest.mark.parametrize("policy", ["standard", "classic"])
def test_a_filter_by_level_goes_by_the_policy_asked_for(database: Database, policy: str) -> None:
    rows = of_both_policies(database)
    others = "classic" if policy == "standard" else "standard"
    scorable = [row for row in rows if row["family_situation"] is not None]
    assert any(level(row, policy) != level(row, others) for row in scorable)

    found = ranked(database, policy, risk_level=["MEDIUM"])

    scored = [row for row in rows if policy == "standard" or row in scorable]
    medium = {row["id"] for row in scored if level(row, policy) == "MEDIUM"}
    assert_right(found, rows, policy, lambda row: row["id"] in medium)


@pytest.mark.parametrize("policy", ["standard", "classic"])
def test_what_others_write_between_two_chunks_is_not_seen(database: Database, policy: str) -> None:
    generate_debtors(database, 60)
    rows = debtor_rows(database)  # stored under "standard": by pages for this one, scored again for "classic"
    workable = [one for _, one in independent.ranking(rows, policy)]
    first, second, *others, last = workable

    def write() -> None:
        for debt in (1, 5_000, 5_000, "9999999999.00"):
            add_debtor(database, total_debt_amount=debt, family_situation="MARRIED_DUAL_INCOME")
        change_debtor(database, first, total_debt_amount=1)
        change_debtor(database, last, total_debt_amount=999_999_999_900)
        for one in others[::3]:
            change_debtor(database, one, payment_status="PAID")
        for one in others[1::3]:
            change_debtor(database, one, a_registry("classic"), late_payments_count=99)
        for one in (second, *others[2::3]):
            database.transact(partial(debtors.remove, debtor_id=one, now=NOON))

    with a_ranking(database, policy) as (eligible, excluded):
        found = all_of(eligible.entries(), write), in_order(excluded.counts)

    assert_right(found, rows, policy)
    now = debtor_rows(database)
    assert now != rows
    assert_right(ranked(database, policy), now, policy)
