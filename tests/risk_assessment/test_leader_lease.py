"""One dispatcher at a time: the lease is taken, renewed, released and taken over, and fences off who lost it."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from tests.risk_assessment.builders import NOON

from risk_assessment import leases
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LEASE_SECONDS, LeaseLostError

HERE = socket.gethostname()[:60]
ELSEWHERE = "elsewhere:1:a"
OTHER = "somewhere:1:b"


def acquire(database: Database, owner: str, seconds: float = 0) -> bool:
    return database.transact(lambda c: leases.acquire(c, owner, NOON + timedelta(seconds=seconds)))


def fence(database: Database, owner: str) -> None:
    database.transact(leases.fence(owner))


def test_the_first_comer_holds_the_lease_and_others_wait(database: Database) -> None:
    assert acquire(database, ELSEWHERE)

    assert not acquire(database, OTHER)
    assert not acquire(database, OTHER, LEASE_SECONDS - 0.1)
    fence(database, ELSEWHERE)
    with pytest.raises(LeaseLostError):
        fence(database, OTHER)


def test_a_holder_that_renews_keeps_it(database: Database) -> None:
    for seconds in range(0, 100, 10):
        assert acquire(database, ELSEWHERE, seconds)
        assert not acquire(database, OTHER, seconds + 9)


def test_a_lease_that_ran_out_is_taken_over_and_fences_the_former_holder_off(database: Database) -> None:
    acquire(database, ELSEWHERE)
    # It ran out, but while nobody else took it the holder may go on.
    fence(database, ELSEWHERE)

    assert acquire(database, OTHER, LEASE_SECONDS)

    fence(database, OTHER)
    with pytest.raises(LeaseLostError):
        fence(database, ELSEWHERE)
    assert not acquire(database, ELSEWHERE, LEASE_SECONDS + 1)


def test_a_fence_keeps_the_transaction_of_a_former_holder_from_writing(database: Database) -> None:
    acquire(database, OTHER)

    def write(connection: object) -> None:
        leases.fence(ELSEWHERE)(connection)  # type: ignore[arg-type]
        pytest.fail("the fence let it pass")

    with pytest.raises(LeaseLostError):
        database.transact(write)


def test_without_any_lease_the_fence_is_closed(database: Database) -> None:
    with pytest.raises(LeaseLostError):
        fence(database, OTHER)


def test_a_released_lease_is_free_at_once(database: Database) -> None:
    acquire(database, ELSEWHERE)
    database.transact(lambda c: leases.release(c, ELSEWHERE, NOON))

    assert acquire(database, OTHER)


def test_only_the_holder_can_release(database: Database) -> None:
    acquire(database, ELSEWHERE)
    database.transact(lambda c: leases.release(c, OTHER, NOON))

    assert not acquire(database, OTHER)


def test_the_lease_of_a_process_of_this_host_that_died_is_free_at_once(database: Database) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    acquire(database, f"{HERE}:{dead.pid}:a")

    assert acquire(database, OTHER)


def test_the_lease_of_a_living_process_of_this_host_is_not(database: Database) -> None:
    acquire(database, f"{HERE}:{os.getppid()}:a")

    assert not acquire(database, OTHER)


def test_ten_racing_for_a_lease_get_it_once(database: Database) -> None:
    for seconds in (0, LEASE_SECONDS):
        start = Barrier(10)

        def race(number: int, start: Barrier = start, seconds: float = seconds) -> bool:
            start.wait()
            return acquire(database, f"host-{number}:1:{seconds}", seconds)

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(race, range(10))) == 1


def test_owners_have_names_of_their_own() -> None:
    assert len({leases.new_owner() for _ in range(100)}) == 100
    assert leases.new_owner().rsplit(":", 2)[:2] == [HERE, str(os.getpid())]
