"""Runs that an earlier version planned, and runs made on the other kind of database, replay and are explained.

The files in `planned_before` are SQLite databases as the commits they are named after left them: 42 generated debtors
and two runs each, one by `standard`, one by `classic` with a filter and a limit. The later one has persons and holds.
"""

import sqlite3
from collections import Counter
from pathlib import Path

import orjson
import pytest
from sqlalchemy import insert, select
from tests.risk_assessment.builders import change_debtor, debtor_rows
from tests.risk_assessment.evidence.books import a_whole_book
from tests.risk_assessment.evidence.test_explaining import explained
from tests.risk_assessment.evidence.test_manifest import manifest_of
from tests.risk_assessment.evidence.test_replaying import OPTIONS, replayed
from tests.risk_assessment.exclusions.test_eligibility import as_sent
from tests.risk_assessment.planned import a_planned_run, order_of, run_row

from risk_assessment.evidence.replaying import Result
from risk_assessment.tables import metadata, runs
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

BEFORE = Path(__file__).parent / "planned_before"


@pytest.mark.parametrize("commit", ["dcb27fc", "4237ccc"])
def test_runs_of_earlier_versions_keep_their_hash_replay_and_are_explained(tmp_path: Path, commit: str) -> None:
    path = tmp_path / "risk.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((BEFORE / f"{commit}.sql").read_text(encoding="utf-8"))
    connection.close()
    upgrade(f"sqlite:///{path}", "risk_assessment")
    database = Database(f"sqlite:///{path}")
    rows = debtor_rows(database, "default")
    with database.read() as connection:
        planned = connection.execute(select(runs.c.id, runs.c.manifest_hash, runs.c.excluded)).all()
    assert len(planned) == 2
    for run_id, manifest_hash, excluded in planned:
        shown = [explained(database, run_id, row["id"]) for row in rows]
        order = order_of(database, run_id)
        assert replayed(database, run_id)[:3] == (run_id, Result.IDENTICAL, manifest_hash)
        assert manifest_of(database, run_id)["manifest_hash"] == manifest_hash
        assert manifest_of(database, run_id)["snapshot_hash"] is None
        assert Counter(one["reason"] for one in shown if one["reason"]) == as_named_now(orjson.loads(excluded))
        assert {one["debtor_id"]: one["rank"] for one in shown if one["rank"]} == {
            debtor_id: rank for rank, (_, debtor_id) in enumerate(order, start=1)
        }
        change_debtor(database, order[0][1], total_debt_amount=1)
        assert replayed(database, run_id).result is Result.IDENTICAL
        assert explained(database, run_id, order[0][1])["rank"] == 1
    database.dispose()


def as_named_now(excluded: dict[str, int]) -> dict[str, int]:
    """Version 1.0 called the limit by another name."""
    return {{"BEYOND_LIMIT": "LIMIT"}.get(reason, reason): debtors for reason, debtors in excluded.items()}


@pytest.mark.parametrize("to_server", [True, False], ids=["SQLite to MariaDB", "MariaDB to SQLite"])
def test_runs_of_the_other_kind_of_database_replay(sqlite: Database, mysql: Database, to_server: bool) -> None:
    made, other = (sqlite, mysql) if to_server else (mysql, sqlite)
    a_whole_book(made)
    planned = [a_planned_run(made, batch_size=9, threshold="200000.00", **as_sent(one)) for one in OPTIONS]

    copy_rows(made, other)

    for run_id in planned:
        assert replayed(other, run_id)[:3] == (run_id, Result.IDENTICAL, run_row(made, run_id).manifest_hash)
        assert manifest_of(other, run_id) == manifest_of(made, run_id)
    first = order_of(made, planned[0])[0][1]
    assert explained(other, planned[0], first) == explained(made, planned[0], first)


def copy_rows(made: Database, other: Database) -> None:
    with made.read() as source, other.write() as target:
        for table in metadata.sorted_tables:
            rows = [dict(row._mapping) for row in source.execute(select(table))]
            if rows:
                target.execute(insert(table), rows)
