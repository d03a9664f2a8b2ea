"""One leader at a time: the lease is taken, renewed, released and taken over, and fences off a former leader."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, func, select
from tests.service_kit.worker.lease_table import NAME, a_lease, leases
from tests.support.moments import NOW

from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LEASE_SECONDS, MAX_HOST_CHARS, LeaderLease, LeaseLostError

HERE = socket.gethostname()[:MAX_HOST_CHARS]


@pytest.fixture
def lease(database: Database) -> LeaderLease:
    return a_lease(database, "elsewhere:1:a")


@pytest.fixture
def other(database: Database) -> LeaderLease:
    return a_lease(database, "somewhere:1:b")


def acquire(lease: LeaderLease, seconds: float = 0) -> bool:
    return lease.acquire(NOW + timedelta(seconds=seconds))


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(leases)).scalar_one()


def test_the_first_process_leads_and_others_wait(lease: LeaderLease, other: LeaderLease) -> None:
    assert acquire(lease)

    assert not acquire(other)
    assert not acquire(other, LEASE_SECONDS - 0.1)
    assert lease.write(count) == 1
    with pytest.raises(LeaseLostError):
        other.write(count)


def test_a_leader_that_renews_keeps_the_lease(lease: LeaderLease, other: LeaderLease) -> None:
    for seconds in range(0, 100, 10):
        assert acquire(lease, seconds)
        assert not acquire(other, seconds + 9)


def test_a_lease_that_ended_is_taken_over_and_fences_the_former_leader_off(
    lease: LeaderLease, other: LeaderLease
) -> None:
    acquire(lease)
    # It ends, but until another process takes it the leader may continue.
    assert lease.write(count) == 1

    assert acquire(other, LEASE_SECONDS)

    assert other.write(count) == 1
    with pytest.raises(LeaseLostError):
        lease.write(count)
    assert not acquire(lease, LEASE_SECONDS + 1)


def test_a_fence_keeps_the_transaction_of_a_former_leader_from_writing(lease: LeaderLease, other: LeaderLease) -> None:
    acquire(other)

    def write(_: Connection) -> None:
        pytest.fail("the fence has let it pass")

    with pytest.raises(LeaseLostError):
        lease.write(write)


def test_a_check_within_a_transaction_is_the_same_fence(
    database: Database, lease: LeaderLease, other: LeaderLease
) -> None:
    acquire(lease)

    database.transact(lease.check)
    with pytest.raises(LeaseLostError):
        database.transact(other.check)


def test_without_any_lease_the_fence_is_closed(lease: LeaderLease) -> None:
    with pytest.raises(LeaseLostError):
        lease.write(count)


def test_a_released_lease_is_free_at_once(lease: LeaderLease, other: LeaderLease) -> None:
    acquire(lease)
    lease.release(NOW)

    assert acquire(other)


def test_only_the_leader_can_release(lease: LeaderLease, other: LeaderLease) -> None:
    acquire(lease)
    other.release(NOW)

    assert not acquire(other)


def test_leases_of_other_names_are_independent(database: Database, lease: LeaderLease, other: LeaderLease) -> None:
    second = LeaderLease(database, leases, f"{NAME}-2")
    second.owner = other.owner

    assert acquire(lease)
    assert acquire(second)
    second.release(NOW)

    assert not acquire(other)
    assert lease.write(count) == 2


def test_the_lease_of_a_process_of_this_host_that_died_is_free_at_once(database: Database, other: LeaderLease) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    acquire(a_lease(database, f"{HERE}:{dead.pid}:a"))

    assert acquire(other)


def test_the_lease_of_a_living_process_of_this_host_is_not(database: Database, other: LeaderLease) -> None:
    acquire(a_lease(database, f"{HERE}:{os.getppid()}:a"))

    assert not acquire(other)


def test_the_lease_of_an_earlier_process_with_this_process_id_is_free_at_once(database: Database) -> None:
    # A container's process often has the same id after a restart, and never the same owner.
    before, now = a_lease(database), a_lease(database)

    assert acquire(before)
    assert acquire(now)

    with pytest.raises(LeaseLostError):
        before.write(count)


def test_ten_racing_for_a_lease_get_it_once(database: Database) -> None:
    for seconds in (0, LEASE_SECONDS):
        start = Barrier(10)

        def race(number: int, start: Barrier = start, seconds: float = seconds) -> bool:
            lease = a_lease(database, f"host-{number}:1:{seconds}")
            start.wait()
            return acquire(lease, seconds)

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(race, range(10))) == 1


def test_owners_have_names_of_their_own(database: Database) -> None:
    owners = {a_lease(database).owner for _ in range(100)}

    assert len(owners) == 100
    assert {owner.rsplit(":", 1)[0] for owner in owners} == {f"{HERE}:{os.getpid()}"}
