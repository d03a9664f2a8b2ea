"""A replay proves a run from stored history, and names the first thing that is not as it was recorded."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from tests.risk_assessment.builders import NOON, a_registry, accept_run, change_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.conftest import opened
from tests.risk_assessment.evidence.books import a_whole_book
from tests.risk_assessment.evidence.test_explaining import forget_what_the_version_before_did_not_record
from tests.risk_assessment.exclusions.test_eligibility import as_sent
from tests.risk_assessment.planned import a_planned_run, order_of, run_row

from recovery_core.ranking.manifest import pack, unpack_entries
from recovery_core.ranking.snapshot import pack_numbers
from risk_assessment import tables as risk
from risk_assessment.debtors import service as debtors
from risk_assessment.evidence.queries import RunNotPlannedError
from risk_assessment.evidence.replaying import Replay, Result, replay
from risk_assessment.runs.queries import RunNotFoundError
from service_kit.database.engine import Database

SPILL = 50
LATER = NOON.replace(year=2030)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"policy": "classic", "unit": "account", "limit": 20},
    {"filters": {"risk_level": ["MEDIUM", "HIGH"], "min_debt": 400_000}, "limit": 9},
    {"filters": {"payment_status": ["PAID"]}},
    {"capacities": {"AGENT_CALL": 5, "PAYMENT_PLAN_OFFER": 0}},
]


def replayed(database: Database, run_id: str) -> Replay:
    return replay(database, run_id, SPILL)


def found(database: Database, run_id: str) -> tuple[str, int | None]:
    """What the first difference is, and of which debtor."""
    difference = replayed(database, run_id).difference
    assert difference is not None
    assert difference.stored != difference.recomputed
    return difference.what, difference.debtor_id


def upset_everything(database: Database) -> None:
    """Change, delete, score under another policy: what happens to a portfolio after a run."""
    rows = debtor_rows(database, "default")
    for row in rows[::3]:
        changes = {"total_debt_amount": 1, "family_situation": "DIVORCED_NO_DEPENDENTS"}
        change_debtor(database, row["id"], a_registry("classic"), **changes)
    for row in rows[1::3]:
        database.transact(lambda c, gone=row["id"]: debtors.remove(c, gone, NOON))
    generate_debtors(database, 10, seed=9)


def test_runs_replay_whatever_became_of_the_debtors(database: Database) -> None:
    a_whole_book(database)
    runs = [a_planned_run(database, batch_size=9, threshold="200000.00", **as_sent(one)) for one in OPTIONS]

    upset_everything(database)

    for run_id in runs:
        assert replayed(database, run_id) == (
            run_id,
            Result.IDENTICAL,
            run_row(database, run_id).manifest_hash,
            None,
            None,
        )


def test_a_run_over_nothing_replays(sqlite: Database) -> None:
    assert replayed(sqlite, a_planned_run(sqlite)).result is Result.IDENTICAL


def test_a_run_without_a_plan_and_an_unknown_one_cannot_be_replayed(sqlite: Database) -> None:
    with pytest.raises(RunNotPlannedError):
        replayed(sqlite, accept_run(sqlite))
    with pytest.raises(RunNotFoundError):
        replayed(sqlite, "no-such-run")


@pytest.fixture(scope="module")
def planned(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file with a planned run, made once, and the id of the run."""
    path = tmp_path_factory.mktemp("planned") / "risk.db"
    shutil.copyfile(migrated_sqlite_file, path)
    with opened(f"sqlite:///{path}") as database:
        a_whole_book(database)
        return path, a_planned_run(database, batch_size=9, threshold="200000.00", limit=40)


class TestTampering:
    """Each stored thing is changed, and the replay names it."""

    @pytest.fixture
    def sqlite(self, planned: tuple[Path, str], tmp_path: Path) -> Iterator[Database]:
        """A copy of that file."""
        shutil.copyfile(planned[0], tmp_path / "copy.db")
        database = Database(f"sqlite:///{tmp_path / 'copy.db'}")
        yield database
        database.dispose()

    @pytest.fixture
    def run_id(self, planned: tuple[Path, str]) -> str:
        return planned[1]

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"total_debt_amount": 7}, "assessment"),
            ({"late_payments_count": 90_000}, "assessment"),
            ({"risk_level": "SEVERE"}, "assessment"),
            ({"total_score": 1}, "assessment"),
            ({"priority": 1}, "assessment"),
            ({"payment_status": "PAID"}, "entry"),
            ({"policy_id": 0, "total_debt_amount": 999_999_999}, "entry"),
            ({"family_situation": "WIDOWED_WITH_DEPENDENTS"}, "snapshot_hash"),
        ],
        ids=str,
    )
    def test_an_assessment(self, sqlite: Database, run_id: str, changes: dict[str, Any], what: str) -> None:
        debtor = self.ranked(sqlite, run_id)[4][1]
        self.change(sqlite, risk.assessments, risk.assessments.c.debtor_id == debtor, **changes)

        name, where = found(sqlite, run_id)

        assert name == what
        assert where in (debtor, None) or what == "entry"

    def test_an_order(self, sqlite: Database, run_id: str) -> None:
        def swapped(entries: list[Any]) -> list[Any]:
            return [entries[1], entries[0], *entries[2:]]

        before = self.ranked(sqlite, run_id)
        self.rewrite(sqlite, run_id, swapped)

        difference = replayed(sqlite, run_id).difference
        assert difference is not None
        assert (difference.what, *difference[4:]) == ("entry", "high", 1, 0)
        assert difference.debtor_id == before[1][1]
        assert (difference.stored["debtor_id"], difference.recomputed["debtor_id"]) == (before[1][1], before[0][1])

    @pytest.mark.parametrize("change", [lambda one: (one[0] + 1, *one[1:]), lambda one: (*one[:2], one[2] + 1)])
    def test_a_priority_and_a_version(self, sqlite: Database, run_id: str, change: Callable[[Any], Any]) -> None:
        self.rewrite(sqlite, run_id, lambda entries: [*entries[:-1], change(entries[-1])])

        assert found(sqlite, run_id)[0] == "entry"

    @pytest.mark.parametrize(
        ("table", "changes", "what"),
        [
            ("run_batches", {"lane": "standard"}, "lane"),
            ("run_batches", {"debtors": 3}, "debtors"),
            ("run_entries", {"blocked": pack([(1, 1, 1)])}, "blocked"),
            ("run_exclusions", {"reason": "HOLD_OTHER"}, "exclusion"),
            ("run_exclusions", {"debtors": 1_000}, "exclusion"),
            ("run_snapshots", {"packed": b"?"}, "snapshot"),
            ("run_holds", {"packed": b"?"}, "holds"),
            ("run_holds", {"packed": pack_numbers([])}, "blocked"),
            ("policies", {"hash": "0" * 64}, "policy"),
            ("policies", {"document": "{}"}, "policy"),
        ],
        ids=str,
    )
    def test_a_record(self, sqlite: Database, run_id: str, table: str, changes: dict[str, Any], what: str) -> None:
        rows = getattr(risk, table)
        first = {"run_batches": "sequence", "run_entries": "sequence", "run_exclusions": "part"}.get(table)
        which = rows.c[first] == 1 if first else True
        if table == "policies":
            which = rows.c.id == run_row(sqlite, run_id).policy_id
        self.change(sqlite, rows, which, **changes)

        assert found(sqlite, run_id)[0] == what

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"threshold": 10**17}, "lane"),
            ({"batch_size": 4}, "entry"),
            ({"debtor_limit": 39}, "entry"),
            ({"unit": "account"}, "entry"),
            ({"filters": '{"min_debt":1}'}, "manifest_hash"),
            ({"debtors_high": 1}, "debtors_high"),
            ({"excluded": "{}"}, "excluded"),
            ({"snapshot_hash": "0" * 64}, "snapshot_hash"),
            ({"order_hash_high": "0" * 64}, "order_hash_high"),
            ({"order_hash_standard": "0" * 64}, "order_hash_standard"),
            ({"manifest_hash": "0" * 64}, "manifest_hash"),
        ],
        ids=str,
    )
    def test_the_run_itself(self, sqlite: Database, run_id: str, changes: dict[str, Any], what: str) -> None:
        self.change(sqlite, risk.runs, True, **changes)

        assert found(sqlite, run_id)[0] == what

    @pytest.mark.parametrize("changes", [{"kind": "OTHER"}, {"blocked": 1}, {"starts_at": LATER}], ids=str)
    def test_a_hold(self, sqlite: Database, run_id: str, changes: dict[str, Any]) -> None:
        self.change(sqlite, risk.holds, True, **changes)

        assert found(sqlite, run_id)[0] in ("entry", "exclusion", "blocked")

    def test_a_batch_too_many(self, sqlite: Database, run_id: str) -> None:
        number = run_row(sqlite, run_id).number
        with sqlite.write() as connection:
            key = {"run_number": number, "sequence": 99}
            rest = {"lane": "standard", "state": "done", "debtors": 1, "sends": 1}
            connection.execute(insert(risk.run_batches).values(key | rest))
            connection.execute(insert(risk.run_entries).values(key | {"entries": pack([(1, 1, 1)])}))

        difference = replayed(sqlite, run_id).difference
        assert difference is not None
        assert (difference.what, difference.batch_sequence, difference.recomputed) == ("batch", 99, None)

    @pytest.mark.parametrize(
        "table", ["assessments", "holds", "policies", "run_entries", "run_batches", "run_snapshots", "run_holds"]
    )
    def test_deleted_history_is_no_difference(self, sqlite: Database, run_id: str, table: str) -> None:
        with sqlite.write() as connection:
            connection.execute(delete(getattr(risk, table)))

        again = replayed(sqlite, run_id)

        assert (again.result, again.difference) == (Result.ERASED, None)
        assert again.erased

    @staticmethod
    def ranked(database: Database, run_id: str) -> list[tuple[int, int]]:
        return order_of(database, run_id)

    @staticmethod
    def change(database: Database, table: Any, which: Any, **values: Any) -> None:
        def act(connection: Connection) -> None:
            statement = update(table).values(**values)
            connection.execute(statement if which is True else statement.where(which))

        database.transact(act)

    @staticmethod
    def rewrite(database: Database, run_id: str, change: Callable[[list[Any]], list[Any]]) -> None:
        entries = risk.run_entries
        here = (entries.c.run_number == run_row(database, run_id).number) & (entries.c.sequence == 1)
        with database.write() as connection:
            packed = connection.execute(select(entries.c.entries).where(here)).scalar_one()
            connection.execute(update(entries).where(here).values(entries=pack(change(unpack_entries(packed)))))


def test_a_run_that_recorded_no_snapshot_replays_by_what_it_ranked(sqlite: Database) -> None:
    rows, _ = a_whole_book(sqlite)
    run_id = a_planned_run(sqlite, batch_size=9, threshold="200000.00")
    forget_what_the_version_before_did_not_record(sqlite, run_id)
    ranked = order_of(sqlite, run_id)
    assert found(sqlite, run_id)[0] == "manifest_hash", "the hash of this version is not the one that it had"
    assert rows
    TestTampering.change(sqlite, risk.assessments, risk.assessments.c.debtor_id == ranked[0][1], late_payments_count=77)
    assert found(sqlite, run_id) in [("assessment", ranked[0][1]), ("entry", ranked[0][1])]
