"""Two runs side by side are what an oracle in plain Python says, whatever changed in between."""

import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, update
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, change_debtor, debtor_rows
from tests.risk_assessment.exclusions.eligibility import Outcome, Placed, outcome
from tests.risk_assessment.exclusions.test_eligibility import a_random_book, as_sent
from tests.risk_assessment.planned import a_planned_run, run_row

from risk_assessment.comparisons import queries
from risk_assessment.comparisons.comparing import Comparison, RecentComparisons, compare
from risk_assessment.debtors import service as debtors
from risk_assessment.tables import assessments, run_entries, run_exclusions, run_snapshots, runs
from service_kit.database.engine import Database

THRESHOLDS = 200_000_00, 900_000_00
OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"unit": "account"}, {"limit": 25}),
    ({"limit": 30}, {"policy": "classic"}),
    ({}, {"filters": {"risk_level": ["LOW", "CRITICAL"]}, "policy": "classic", "limit": 9}),
    ({}, {"filters": {"min_debt": 500_000, "payment_status": ["PARTIAL", "UNPAID"]}}),
]


@pytest.fixture(autouse=True)
def small_amounts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in {
        "risk_assessment.comparisons.comparing.SPILL_AFTER": 20,
        "risk_assessment.comparisons.comparing._DEBTORS_A_CHUNK": 7,
        "risk_assessment.comparisons.history.IDS_A_QUERY": 3,
        "risk_assessment.comparisons.queries._BATCHES_A_QUERY": 2,
        "risk_assessment.comparisons.queries._PARTS_A_QUERY": 1,
        "recovery_core.ranking.exclusions.PART_SIZE": 5,
    }.items():
        monkeypatch.setattr(name, few)


def test_what_changed_is_what_an_oracle_finds(database: Database) -> None:
    random = Random(7)
    placed = a_random_book(database, random)
    before = debtor_rows(database, "default")
    earlier = [planned(database, first, THRESHOLDS[0]) for first, _ in OPTIONS]
    gone = change_the_book(database, before, random)
    after = debtor_rows(database, "default")

    for (first, second), earlier_id in zip(OPTIONS, earlier, strict=True):
        this_id = planned(database, second, THRESHOLDS[1])

        found = compared(database, this_id, earlier_id)

        expected = a_comparison((before, first), (after, second), placed, gone)
        totals = found.totals()
        assert (totals["run_id"], totals["with"]) == (this_id, earlier_id)
        assert {name: totals[name] for name in ("new", "gone", "moved", "unchanged", "levels")} == expected[0], second
        assert found.items(0, 1_000) == expected[1], second
        assert [one for start in range(0, 200, 6) for one in found.items(start, 6)] == expected[1]


def test_the_changes_are_of_every_kind(sqlite: Database) -> None:
    random = Random(7)
    placed = a_random_book(sqlite, random)
    before = debtor_rows(sqlite, "default")
    gone = change_the_book(sqlite, before, random)
    after = debtor_rows(sqlite, "default")

    totals = [a_comparison((before, first), (after, second), placed, gone)[0] for first, second in OPTIONS]

    assert {reason for one in totals for reason in one["gone"]} >= {
        "PAID",
        "FILTERED",
        "COVERED",
        "LIMIT",
        "NOT_SCORABLE",
        "DELETED",
        "ELSEWHERE",
    }
    assert all(one["new"] or one["moved"] for one in totals)
    assert any(old != new for one in totals for old, row in one["levels"].items() for new in row)


def test_a_run_compared_with_itself_is_unchanged(sqlite: Database) -> None:
    for debt in ("100.00", "90000.00"):
        add_debtor(sqlite, total_debt_amount=debt)
    run_id = a_planned_run(sqlite)

    totals = compared(sqlite, run_id, run_id).totals()

    assert (totals["new"], totals["gone"], totals["moved"], totals["unchanged"]) == (0, {}, 0, 2)


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded what it looked at", "of an earlier version"])
def test_who_was_filtered_or_beyond_the_limit_is_found_in_history(sqlite: Database, recorded: bool) -> None:
    first, small, last, erased, removed = (
        add_debtor(sqlite, total_debt_amount=debt) for debt in ("900.00", "10.00", "800.00", "20.00", "700.00")
    )
    earlier = a_planned_run(sqlite)
    sqlite.transact(lambda c: debtors.remove(c, removed, NOON))
    this = a_planned_run(sqlite, filters={"min_debt": "100.00"}, limit=1)
    # Afterwards, each would have the other's reason.
    later(sqlite, small, total_debt_amount=95_000)
    later(sqlite, last, total_debt_amount=500)
    sqlite.transact(lambda c: debtors.remove(c, erased, NOON + timedelta(hours=1)))
    if not recorded:
        forget_what_was_looked_at(sqlite)

    found = compared(sqlite, this, earlier)

    reasons = {one["debtor_id"]: one["reason"] for one in found.items(0, 10)}
    assert reasons == {small: "FILTERED", last: "LIMIT", erased: "FILTERED", removed: "DELETED"}
    assert first not in reasons


def test_a_run_of_version_1_0_recorded_no_exclusions(sqlite: Database) -> None:
    paid, other = add_debtor(sqlite), add_debtor(sqlite)
    earlier = a_planned_run(sqlite)
    change_debtor(sqlite, paid, payment_status="PAID")
    this = a_planned_run(sqlite)
    forget_what_was_looked_at(sqlite)
    with sqlite.write() as connection:
        connection.execute(delete(run_exclusions))

    found = compared(sqlite, this, earlier)

    assert found.totals()["gone"] == {"PAID": 1}
    assert other not in [one["debtor_id"] for one in found.items(0, 10)]


def forget_what_was_looked_at(database: Database) -> None:
    """Leave runs as a version before this one planned them."""
    with database.write() as connection:
        connection.execute(update(runs).values(snapshot_hash=None))
        connection.execute(delete(run_snapshots))


@pytest.mark.parametrize("table", [run_entries, assessments], ids=lambda table: str(table.name))
def test_a_run_whose_records_were_deleted_is_refused(sqlite: Database, table: Any) -> None:
    add_debtor(sqlite)
    earlier, this = a_planned_run(sqlite), a_planned_run(sqlite)
    with sqlite.write() as connection:
        connection.execute(delete(table))

    with pytest.raises(queries.RunErasedError):
        compared(sqlite, this, earlier)


def planned(database: Database, options: dict[str, Any], threshold: int) -> str:
    return a_planned_run(database, batch_size=9, threshold=f"{threshold / 100:.2f}", **as_sent(options))


def compared(database: Database, this_id: str, earlier_id: str) -> Comparison:
    with database.read() as connection:
        this, earlier = queries.two_runs(connection, this_id, earlier_id, None)
        return compare(connection, this, earlier, a_registry())


def later(database: Database, debtor_id: int, **changes: Any) -> None:
    after = NOON + timedelta(hours=1)
    database.transact(lambda c: debtors.patch(c, debtor_id, changes, a_registry(), after))


def change_the_book(database: Database, rows: list[dict[str, Any]], random: Random) -> dict[int, str]:
    """Change some debtors in every way; return the reasons of those who are not in the portfolio any more."""
    chosen = random.sample([row["id"] for row in rows if row["payment_status"] != "PAID"], 60)
    for debtor_id in chosen[:10]:
        change_debtor(database, debtor_id, late_payments_count=random.choice([0, 9]))
    for debtor_id in chosen[10:20]:
        change_debtor(database, debtor_id, total_debt_amount=random.randrange(1_000, 9_000_000))
    for debtor_id in chosen[20:28]:
        change_debtor(database, debtor_id, payment_status="PAID")
    for debtor_id in chosen[28:36]:
        database.transact(lambda c, one=debtor_id: debtors.remove(c, one, NOON))  # type: ignore[misc]
    for debtor_id in chosen[36:44]:
        change_debtor(database, debtor_id, portfolio="other")
    for debt in ("77.00", "77.00", "95000.00"):
        add_debtor(database, total_debt_amount=debt)
    return dict.fromkeys(chosen[28:36], "DELETED") | dict.fromkeys(chosen[36:44], "ELSEWHERE")


Side = tuple[list[dict[str, Any]], dict[str, Any]]


def a_comparison(
    earlier: Side, this: Side, placed: list[Placed], gone: dict[int, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the totals and the items, straight from the design."""
    old, new = (outcome(rows, placed, NOON, **options) for rows, options in (earlier, this))
    before, after = (
        standing(result, rows, options.get("policy", "standard"), threshold)
        for result, (rows, options), threshold in zip((old, new), (earlier, this), THRESHOLDS, strict=True)
    )
    reasons = gone | {left.debtor_id: left.reason for left in new.left}
    items, totals = [], Counter[str]()
    levels: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for debtor_id in [one for _, one in new.order] + [one for _, one in old.order if one not in after]:
        was, now = before.get(debtor_id), after.get(debtor_id)
        if was and now:
            levels[was[1]][now[1]] += 1
        change = "new" if not was else "gone" if not now else "unchanged" if was[1:] == now[1:] else "moved"
        totals[change] += 1
        if change != "unchanged":
            items.append(an_item(debtor_id, change, was, now, reasons[debtor_id] if change == "gone" else None))
    expected = {name: totals[name] for name in ("new", "moved", "unchanged")}
    expected["gone"] = dict(Counter(one["reason"] for one in items if one["change"] == "gone"))
    expected["levels"] = {old_level: dict(row) for old_level, row in levels.items()}
    return expected, items


Standing = tuple[int, str, str]


def standing(result: Outcome, rows: list[dict[str, Any]], policy: str, threshold: int) -> dict[int, Standing]:
    """Return rank, level and lane of everyone who is ranked."""
    by_id = {row["id"]: row for row in rows}
    return {
        debtor_id: (
            rank,
            independent.level(independent.score(by_id[debtor_id], policy), policy),
            "high" if priority > threshold else "standard",
        )
        for rank, (priority, debtor_id) in enumerate(result.order, start=1)
    }


def an_item(
    debtor_id: int, change: str, was: Standing | None, now: Standing | None, reason: str | None
) -> dict[str, Any]:
    item: dict[str, Any] = {"debtor_id": debtor_id, "change": change, "reason": reason}
    for at, name in enumerate(("rank", "level", "lane")):
        item |= {f"{name}_before": was[at] if was else None, f"{name}_after": now[at] if now else None}
    return item


def test_who_gave_up_waiting_leaves_a_comparison_that_the_next_one_finds(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_debtor(sqlite)
    this, earlier = (run_row(sqlite, one) for one in (planned(sqlite, {}, 1), planned(sqlite, {}, 1)))
    begun, go_on = threading.Event(), threading.Event()
    made: list[Comparison] = []

    def slowly(*given: Any) -> Comparison:
        begun.set()
        assert go_on.wait(20)
        made.append(compare(*given))
        return made[-1]

    monkeypatch.setattr("risk_assessment.comparisons.comparing.compare", slowly)
    recent = RecentComparisons()

    def ask() -> Comparison:
        with sqlite.read() as connection:
            return recent.of(connection, this, earlier, a_registry())

    with ThreadPoolExecutor(2) as pool:
        abandoned = pool.submit(ask)  # the API cancels such a request, and its thread goes on
        assert begun.wait(20)
        again = pool.submit(ask)
        go_on.set()

        assert again.result(20) is abandoned.result(20) is made[0]
    assert len(made) == 1
