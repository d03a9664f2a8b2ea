"""Whatever holds, persons, filters and limit come together: who is ranked, who is left out and why is as designed."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from tests.risk_assessment.builders import NOON, a_registry, change_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.exclusions.eligibility import ACTIONS, KINDS, Left, Outcome, Placed, outcome
from tests.risk_assessment.planned import a_planned_run, bodies_of, order_of, received, run_row, run_view

from recovery_core.holds import ACTIONS as ACTION_NAMES
from risk_assessment.exclusions.selection import selection_of
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.previews.preview import Preview
from risk_assessment.runs import queries
from risk_assessment.tables import debtors, hold_ends, holds, persons
from service_kit.database.engine import Database

HOUR = timedelta(hours=1)
EVERYTHING = frozenset(range(ACTIONS))
TOP = 10


@pytest.fixture(autouse=True)
def small_amounts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in {
        "risk_assessment.runs.ranking.CHUNK": 7,
        "risk_assessment.exclusions.selection.GROUP": 3,
        "risk_assessment.previews.counting.PAGE": 4,
        "risk_assessment.runs.planning.PARTS_A_COMMIT": 2,
        "recovery_core.ranking.exclusions.PART_SIZE": 5,
        "risk_assessment.exclusions.queries._HOLDS_A_QUERY": 3,
    }.items():
        monkeypatch.setattr(name, few)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"unit": "account"},
    {"limit": 12},
    {"limit": 12, "unit": "account"},
    {"policy": "classic"},
    {"policy": "classic", "unit": "account", "limit": 20},
    {"filters": {"risk_level": ["MEDIUM", "HIGH"]}},
    {"filters": {"risk_level": ["LOW", "CRITICAL"]}, "policy": "classic", "limit": 9},
    {"filters": {"min_debt": 400_000, "max_debt": 2_500_000}},
    {"filters": {"min_debt": 500_000, "payment_status": ["PARTIAL"]}, "policy": "classic"},
    {"filters": {"payment_status": ["PAID"]}},
]


@pytest.mark.parametrize("seed", range(3))
def test_a_run_ranks_and_leaves_out_as_designed(database: Database, seed: int) -> None:
    placed = a_random_book(database, Random(seed))
    rows = debtor_rows(database, "default")

    for options in OPTIONS:
        expected = outcome(rows, placed, NOON, **options)
        run_id = a_planned_run(database, batch_size=9, threshold="200000.00", **as_sent(options))

        assert order_of(database, run_id) == expected.order, options
        assert left_out(database, run_id) == recorded(expected), options
        assert list(run_view(database, run_id)["excluded"].items()) == list(expected.counts.items()), options
        assert len(expected.order) + len(expected.left) == len(rows)
        assert blocked_in(database, run_id) == named(expected), options
        assert_preview_agrees(database, run_id, options.get("limit"))


def test_the_random_books_have_what_they_are_about(sqlite: Database) -> None:
    placed = a_random_book(sqlite, Random(0))
    found = [outcome(debtor_rows(sqlite, "default"), placed, NOON, **options) for options in OPTIONS]

    reasons = {reason for one in found for reason in one.counts}
    assert reasons >= {"PAID", "NOT_SCORABLE", "FILTERED", "COVERED", "LIMIT"}
    assert len([reason for reason in reasons if reason.startswith("HOLD_")]) > 3
    assert found[0].blocked


def as_sent(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as a client sends them, with amounts as text."""
    filters = {
        name: f"{value / 100:.2f}" if name.endswith("debt") else value
        for name, value in options.get("filters", {}).items()
    }
    return options | ({"filters": filters} if filters else {})


def a_random_book(
    database: Database, random: Random, registry: Callable[[str], PolicyRegistry] = a_registry, third: str = "standard"
) -> list[Placed]:
    """A portfolio of two or three policies in which persons have several debtors, and both have holds of every sort."""
    rows = generate_debtors(database, 110, seed=random.randrange(1_000))
    generate_debtors(database, 10, seed=2, portfolio="other")
    for row in random.sample(rows, 40):
        policy, family = random.choice([(third, None), ("classic", "WIDOWED_WITH_DEPENDENTS")])
        change_debtor(database, row["id"], registry(policy), family_situation=family)
    person_ids = persons_in(database, 25)
    with database.write() as connection:
        for row in random.sample(rows, 80):
            here = update(debtors).where(debtors.c.id == row["id"])
            connection.execute(here.values(person_id=random.choice(person_ids)))
    placed = [a_random_hold(random, number, rows, person_ids) for number in range(1, 60)]
    return [record(database, hold) for hold in placed]


def persons_in(database: Database, count: int) -> list[int]:
    with database.write() as connection:
        refs = [{"portfolio": "default", "person_ref": f"P-{number}"} for number in range(count)]
        connection.execute(insert(persons), refs)
        return list(connection.execute(select(persons.c.id).where(persons.c.portfolio == "default")).scalars())


def a_random_hold(random: Random, number: int, rows: list[dict[str, Any]], person_ids: list[int]) -> Placed:
    of_person = random.random() < 0.35
    starts_at = NOON + random.choice([-3, -2, -1, 0, 0, 1]) * HOUR
    return Placed(
        number=number,
        debtor_id=None if of_person else random.choice(rows[:60])["id"],
        person_id=random.choice(person_ids) if of_person else None,
        kind=random.choice(KINDS),
        blocked=random.choice([EVERYTHING, frozenset({5}), frozenset(range(3)), frozenset(range(2, 6))]),
        starts_at=starts_at,
        ends_at=random.choice([None, None, starts_at + HOUR, NOON, NOON + HOUR / 3_600_000]),
        ended_at=random.choice([None, None, None, NOON - HOUR, NOON, NOON + HOUR]),
    )


def record(database: Database, hold: Placed) -> Placed:
    """Write a hold, and its end; return it with the number that it got."""
    row = {
        "id": f"placed-{hold.number}",
        "portfolio": "default",
        "debtor_id": hold.debtor_id,
        "person_id": hold.person_id,
        "kind": hold.kind,
        "blocked": sum(1 << bit for bit in hold.blocked),
        "reason": "as the test says",
        "starts_at": hold.starts_at,
        "ends_at": hold.ends_at,
        "recorded_at": NOON,
        "recorded_by": "test",
    }
    with database.write() as connection:
        number = connection.execute(insert(holds).values(row)).inserted_primary_key[0]
        if hold.ended_at is not None:
            end = {"hold_number": number, "ended_at": hold.ended_at, "reason": "over", "ended_by": "test"}
            connection.execute(insert(hold_ends).values(end | {"recorded_at": NOON}))
        connection.execute(update(holds).where(holds.c.number == number).values(id=f"hold-{number}"))
    return hold._replace(number=number)


def left_out(database: Database, run_id: str) -> list[tuple[int, str, str | None, int | None]]:
    """All debtors that the records of a run name, page by page."""
    found, cursor, more = [], None, True
    with database.read() as connection:
        while more:
            page = queries.exclusion_page(connection, run_id, None, None, cursor, 13)
            found += page.items
            cursor, more = page.next_cursor, page.next_cursor is not None
    return sorted((one["debtor_id"], one["reason"].value, one["hold_id"], one["lead_debtor_id"]) for one in found)


def recorded(expected: Outcome) -> list[tuple[int, str, str | None, int | None]]:
    """What the records must say: options explain who is filtered and who is beyond the limit."""
    named = [left for left in expected.left if left.reason not in ("FILTERED", "LIMIT")]
    return sorted((left.debtor_id, left.reason, hold_id_of(left), left.lead) for left in named)


def hold_id_of(left: Left) -> str | None:
    return None if left.hold is None else f"hold-{left.hold}"


def blocked_in(database: Database, run_id: str) -> dict[int, tuple[list[str], str]]:
    """What the messages of a run say is blocked, by debtor."""
    items: list[Any] = [item for body in bodies_of(database, run_id).values() for item in received(body).items]
    return {item["debtor_id"]: (item["blocked"], item["blocked_by"]) for item in items if item.get("blocked")}


def named(expected: Outcome) -> dict[int, tuple[list[str], str]]:
    return {
        debtor_id: ([name for bit, name in enumerate(ACTION_NAMES) if bit in blocked], kind)
        for debtor_id, (blocked, kind) in expected.blocked.items()
    }


def assert_preview_agrees(
    database: Database, run_id: str, limit: int | None, capacities: dict[str, int] | None = None
) -> None:
    run = run_row(database, run_id)
    with database.read() as connection:
        selection = selection_of(run, a_registry().scorer(connection, run.policy_id))
        shown = Preview(database, connection, selection, run.threshold, NOON).show(TOP, limit, capacities)
    assert list(shown["excluded"].items()) == list(run_view(database, run_id)["excluded"].items())
    assert (shown["ranked"], shown["lanes"]["high"]) == (run.debtors_ranked, run.debtors_high)
    assert [line["debtor_id"] for line in shown["top"]] == [one for _, one in order_of(database, run_id)[:TOP]]
