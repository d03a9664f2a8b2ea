"""What is kept of a portfolio is what a fresh look would find, whatever happens to debtors, holds and time."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, change_debtor, debtor_rows
from tests.risk_assessment.exclusions.eligibility import Outcome, Placed, outcome
from tests.risk_assessment.exclusions.test_eligibility import a_random_book

from recovery_core.scoring.scorer import scorer_for
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors import service
from risk_assessment.exclusions.selection import Selection
from risk_assessment.holds import service as holds
from risk_assessment.holds.schemas import HoldEndIn, HoldIn
from risk_assessment.portfolios import queries as portfolios
from risk_assessment.previews.preview import Preview
from risk_assessment.reports import queries, standing
from risk_assessment.runs.tables import Unit
from service_kit.database.engine import Database

THRESHOLDS = (20_000_000, 0, 100_000_000)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def small_amounts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.exclusions.selection.GROUP", 3)
    monkeypatch.setattr("risk_assessment.previews.counting.PAGE", 4)
    monkeypatch.setattr("risk_assessment.previews.forecast.SHOWN", 30)
    monkeypatch.setattr("risk_assessment.previews.counting.SHOWN", 30)
    monkeypatch.setattr("risk_assessment.previews.counting.SPILL_AFTER", 20)


class Book:
    """A portfolio, what is known of it beside the database, and what is kept of it."""

    def __init__(self, database: Database, random: Random) -> None:
        self.database, self._random = database, random
        self.placed = a_random_book(database, random)
        self.kept, self.at = KeptResults(), NOON

    def change_a_debt(self) -> None:
        change_debtor(self.database, self._any(), total_debt_amount=self._random.randrange(1, 9_000_000))

    def pay(self) -> None:
        change_debtor(self.database, self._any(), payment_status="PAID")

    def delete(self) -> None:
        self.database.transact(lambda c: service.remove(c, self._any(), self.at))

    def join_a_person(self) -> None:
        change_debtor(self.database, self._any(), person_ref=f"P-{self._random.randrange(25)}")

    def add(self) -> None:
        add_debtor(self.database, person_ref=f"P-{self._random.randrange(25)}")

    def place_a_hold(self) -> None:
        debtor_id, kind = self._any(), self._random.choice(["DISPUTE", "TIME_BARRED", "BANKRUPTCY"])
        until = self.at + self._random.choice([1, 3]) * HOUR
        body = {"debtor_id": debtor_id, "kind": kind, "reason": "Letter", "until": until.isoformat()}
        hold_id = self.database.transact(lambda c: holds.place(c, HoldIn.model_validate(body), "test", self.at))
        with self.database.read() as connection:
            number = holds.read(connection, hold_id).number
        blocked = frozenset({5}) if kind == "TIME_BARRED" else frozenset(range(6))
        self.placed.append(Placed(number, debtor_id, None, kind, blocked, self.at, until, None))
        self._last = hold_id

    def end_a_hold(self) -> None:
        self.place_a_hold()
        body = HoldEndIn(reason="over")
        self.database.transact(lambda c: holds.end(c, self._last, body, "test", self.at))
        self.placed[-1] = self.placed[-1]._replace(ended_at=self.at)

    def let_time_pass(self) -> None:
        self.at += HOUR

    def do_nothing(self) -> None:
        pass

    def step(self) -> None:
        acts: list[Callable[[], None]] = [self.change_a_debt, self.pay, self.delete, self.join_a_person, self.add]
        acts += [self.place_a_hold, self.end_a_hold, self.let_time_pass, self.do_nothing]
        self._random.choice(acts)()

    def _any(self) -> int:
        return int(self._random.choice(debtor_rows(self.database, "default"))["id"])


OPTIONS: list[dict[str, Any]] = [
    {},
    {"unit": "account"},
    {"policy": "classic"},
    {"filters": {"risk_level": ["MEDIUM", "HIGH"]}},
    {"filters": {"min_debt": 400_000}, "policy": "classic", "limit": 9},
]


@pytest.mark.parametrize("seed", range(3))
def test_kept_counts_are_those_of_a_run_at_every_moment(database: Database, seed: int) -> None:
    book = Book(database, Random(seed))
    for number in range(14):
        rows = debtor_rows(database, "default")
        for options in OPTIONS:
            expected = outcome(rows, book.placed, book.at, **options)
            shown = preview(book, THRESHOLDS[number % 3], **options)
            assert as_counts(shown) == counts_of(expected, THRESHOLDS[number % 3]), (number, options)
        assert_ranks_and_summary(book, rows, outcome(rows, book.placed, book.at))
        book.step()


def preview(book: Book, threshold: int, **options: Any) -> dict[str, Any]:
    with book.database.read() as connection:
        policy = scorer_for(a_registry(options.get("policy", "standard")).active(connection, "nowhere"))
        policy_id = a_registry().find_id(connection, policy.policy)
        unit = Unit(options.get("unit", "person"))
        selection = Selection("default", policy_id, policy, options.get("filters", {}), unit)
        found = Preview(book.database, connection, selection, threshold, book.at, book.kept)
        return found.show(30, options.get("limit"))


def as_counts(shown: dict[str, Any]) -> tuple[Any, ...]:
    best = [(line["priority"], line["debtor_id"]) for line in shown["top"]]
    return shown["ranked"], shown["lanes"]["high"], list(shown["excluded"].items()), best


def counts_of(expected: Outcome, threshold: int) -> tuple[Any, ...]:
    high = sum(priority > threshold for priority, _ in expected.order)
    best = [(independent.money(priority), debtor_id) for priority, debtor_id in expected.order[:30]]
    return len(expected.order), high, list(expected.counts.items()), best


def assert_ranks_and_summary(book: Book, rows: list[dict[str, Any]], expected: Outcome) -> None:
    ranks = {debtor_id: rank for rank, (_, debtor_id) in enumerate(expected.order, start=1)}
    with book.database.read() as connection:
        for row in rows[::9]:
            found = standing.rank(book.database, connection, row["id"], None, a_registry(), book.at, book.kept)
            assert (found["rank"], found["of"]) == (ranks.get(row["id"]), len(expected.order))
        stored = portfolios.read(connection, "default")
        found = queries.summary(book.database, connection, stored, a_registry(), book.at, book.kept)
    assert (found["rankable"], found["excluded"]) == (len(expected.order), expected.counts)
    owed = sum(row["total_debt_amount"] for row in rows)
    assert (found["debtors"], found["debt"]) == (len(rows), independent.money(owed))
    assert found["as_of"] == book.at


def test_previews_over_http_see_every_write(api: Api, portfolio: str) -> None:
    ids = [add_debtor(api.database, portfolio=portfolio) for _ in range(3)]

    def ranked() -> tuple[int, int]:
        shown = api.get("/runs/preview", params={"portfolio": portfolio}).json()
        return shown["ranked"], api.get(f"/portfolios/{portfolio}/summary").json()["rankable"]

    assert ranked() == ranked() == (3, 3)
    add_debtor(api.database, portfolio=portfolio)
    assert ranked() == (4, 4)
    api.post("/holds", json={"debtor_id": ids[0], "kind": "DISPUTE", "reason": "Letter"})
    assert ranked() == (3, 3)
    api.delete(f"/debtors/{ids[1]}")
    assert ranked() == (2, 2)
