"""A database with history, on each kind of database, for all that looks at plans."""

from typing import Any

import pytest
from sqlalchemy import update
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.conftest import opened
from tests.risk_assessment.planned import a_planned_run, run_row
from tests.risk_assessment.tables.explaining import PORTFOLIO, Book

from risk_assessment.debtors.generating import Distribution
from risk_assessment.simulations import service as simulations
from risk_assessment.simulations.schemas import SimulationIn
from risk_assessment.tables import run_batches
from risk_assessment.tables import runs as runs_table
from risk_assessment.tables import simulations as simulations_table
from service_kit.database.engine import Database
from service_kit.http.pages import encode_cursor

ANALYZE = {
    "sqlite": "ANALYZE",
    "mysql": "ANALYZE TABLE debtors, assessments, runs, run_batches, run_entries, scoring_jobs, idempotency_keys"
    ", simulations",
}


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("plans") / "risk.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite_file").read_bytes())
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("migrated_mariadb_url")
    with opened(url) as database:
        for kind in Distribution:
            for seed in range(3):
                generate_debtors(database, 500, seed=seed, kind=kind, portfolio=f"{kind}-{seed}")
        for _ in range(30):
            finish(database, a_planned_run(database, portfolio="balanced-2", batch_size=20))
        for at in range(300):
            tried = SimulationIn(portfolio=f"balanced-{at % 3}", policy="classic")
            database.transact(lambda c, tried=tried: simulations.accept(c, tried, a_registry(), NOON))
        with database.write() as connection:
            ended = update(simulations_table).where(simulations_table.c.number % 2 == 0)
            connection.execute(ended.values(state="completed", finished_at=NOON))
        ranking = independent.ranking(debtor_rows(database, PORTFOLIO))
        # 203 batches in the high lane, of which three are still to be sent.
        run_id = a_planned_run(
            database, portfolio=PORTFOLIO, batch_size=2, threshold=independent.money(ranking[406][0])
        )
        with database.write() as connection:
            here = run_batches.c.run_number == run_row(database, run_id).number
            most = update(run_batches).where(here, run_batches.c.sequence <= 190)
            connection.execute(most.values(state="done"))
            some = update(run_batches).where(here, run_batches.c.sequence.between(191, 200))
            connection.execute(some.values(state="sent", sends=8, sent_at=NOON))
        add_debtor(database, portfolio=PORTFOLIO, person_ref="P-1", total_debt_amount="0.01")
        with database.engine.connect() as connection:
            connection.exec_driver_sql(ANALYZE[database.dialect])
            connection.commit()
        row = debtor_rows(database)[1_200]
        cursors = {"id": encode_cursor([row["id"]]), "priority": encode_cursor([row["priority"], row["id"]])}
        yield Book(database, run_id, cursors)


def finish(database: Database, run_id: str) -> None:
    with database.write() as connection:
        here = run_batches.c.run_number == run_row(database, run_id).number
        connection.execute(update(run_batches).where(here).values(state="done"))
        connection.execute(update(runs_table).where(runs_table.c.id == run_id).values(state="completed"))
