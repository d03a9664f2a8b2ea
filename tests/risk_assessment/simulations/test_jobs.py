"""The dispatcher's step for simulations: a process of its own, its report, and what becomes of one that ends early."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, generate_debtors, some_settings

from risk_assessment.simulations import jobs, queries, service
from risk_assessment.simulations.schemas import SimulationIn
from risk_assessment.simulations.simulating import simulate
from risk_assessment.tables import leases, simulations
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaderLease, LeaseLostError
from service_kit.worker.steps import Step


def accept(database: Database, **options: Any) -> str:
    body = SimulationIn.model_validate({"policy": "classic"} | options)
    return database.transact(lambda c: service.accept(c, body, a_registry(), NOON))


def shown(database: Database, simulation_id: str) -> dict[str, Any]:
    with database.read() as connection:
        return queries.view(queries.read(connection, simulation_id))


def the_step(database: Database, interrupted: Callable[[], bool] = lambda: False) -> Callable[[], bool]:
    """Return the step of a dispatcher that has the lease: it says whether to look again at once."""
    lease = LeaderLease(database, leases, "dispatcher")
    assert lease.acquire(NOON)
    return as_call(jobs.steps_of(some_settings(), database, lease, interrupted, ())[0])


def as_call(step: Step) -> Callable[[], bool]:
    async def work() -> bool:
        return await step.work()

    return lambda: asyncio.run(work())


def test_the_oldest_simulation_is_carried_out_in_a_process_of_its_own(database: Database) -> None:
    generate_debtors(database, 60)
    first, second = accept(database), accept(database, policy="standard", top_k=7)

    step = the_step(database)
    assert step()

    found = shown(database, first)
    assert (found["state"], found["debtors_total"], found["debtors_read"]) == ("completed", 60, 60)
    with database.read() as connection:
        row = queries.read(connection, first)
        here = simulate(connection, row, a_registry(), datetime.now(UTC), lambda *_: None)
    assert {name: found[name] for name in here if name != "as_of"} == {k: v for k, v in here.items() if k != "as_of"}
    assert shown(database, second)["state"] == "accepted"


def test_there_is_nothing_to_do_without_a_simulation(sqlite: Database) -> None:
    assert not the_step(sqlite)()


def test_one_that_is_cut_off_begins_again(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add_debtor(sqlite)
    simulation_id = accept(sqlite)
    endless = "import signal; print('{\"judged\": [1, 9]}', flush=True); signal.pause()"
    monkeypatch.setattr(jobs, "CHILD", (sys.executable, "-c", endless))

    assert not the_step(sqlite, lambda: True)()  # returns at once: the process was killed

    assert shown(sqlite, simulation_id)["state"] == "running"
    assert shown(sqlite, simulation_id)["error"] is None


@pytest.mark.parametrize(
    "ending", ["sys.exit(3)", "os.kill(os.getpid(), 9)", "print('{\"failed\": true}')"], ids=["exit", "kill", "error"]
)
def test_one_whose_process_fails_has_failed(sqlite: Database, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    simulation_id = accept(sqlite)
    monkeypatch.setattr(jobs, "CHILD", (sys.executable, "-c", f"import os, sys; sys.stdin.read(); {ending}"))

    assert the_step(sqlite)()

    found = shown(sqlite, simulation_id)
    assert (found["state"], found["error"]) == ("failed", "simulating failed; see the log")


def test_one_waits_where_the_database_is_away(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation_id = accept(sqlite)
    monkeypatch.setattr(jobs, "CHILD", (sys.executable, "-c", "print('{\"unavailable\": true}')"))

    assert not the_step(sqlite)()

    assert shown(sqlite, simulation_id)["state"] == "running"


def test_a_dispatcher_that_no_longer_leads_records_nothing(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation_id = accept(sqlite)
    step = the_step(sqlite)
    with sqlite.write() as connection:
        connection.execute(leases.update().values(owner="another"))

    with pytest.raises(LeaseLostError):
        step()

    assert shown(sqlite, simulation_id)["state"] == "accepted"


def test_a_process_ends_quietly_when_its_dispatcher_is_gone(sqlite: Database) -> None:
    add_debtor(sqlite)
    orders = jobs.Simulator(some_settings(), sqlite, LeaderLease(sqlite, leases, "dispatcher"), lambda: False)._orders(
        SimpleNamespace(id=accept(sqlite))  # type: ignore[arg-type]
    )
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        jobs.CHILD, input=orjson.dumps(orders), stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


def the_forgetter(database: Database, **given: Any) -> Callable[[], bool]:
    lease = LeaderLease(database, leases, "dispatcher")
    assert lease.acquire(NOON)
    return as_call(jobs.steps_of(some_settings(**given), database, lease, lambda: False, ())[1])


def test_simulations_that_ended_long_ago_are_deleted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FORGOTTEN_AT_ONCE", 2)
    now = datetime.now(UTC)
    ages = {"completed": 100, "failed": 91, "running": 400, "accepted": 400}
    old = {state: accept(database) for state in ages}
    more = [accept(database) for _ in range(3)]
    kept = accept(database), accept(database)
    with database.write() as connection:
        for simulation_id, state, days in [
            *((old[state], state, days) for state, days in ages.items()),
            *((one, "completed", 95) for one in more),
            (kept[0], "completed", 89),
            (kept[1], "failed", 0),
        ]:
            ended = {"state": state, "finished_at": now - timedelta(days=days) if state in service.OVER else None}
            connection.execute(simulations.update().where(simulations.c.id == simulation_id).values(**ended))

    assert not the_forgetter(database, risk_simulations_kept_days=0)()
    assert len(ids_of(database)) == 9
    forget = the_forgetter(database, risk_simulations_kept_days=90)
    while forget():
        pass

    assert ids_of(database) == {old["running"], old["accepted"], *kept}


def ids_of(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(simulations.c.id)).scalars())
