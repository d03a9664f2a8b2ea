"""A running system for each kind of database, shared by the tests of one worker and whole again before each test."""

import os
import random
from collections.abc import Callable

import pytest
from tests.faults.accounts import Accounts
from tests.support.system.fixtures import build, templates
from tests.support.system.system import System

__all__ = ["build", "templates"]

Build = Callable[..., System]
DEBTORS = 1_500


@pytest.fixture(scope="session")
def shared_systems(build: Build) -> Callable[[str], Accounts]:
    """One running system of each kind, made when first asked for."""
    made: dict[str, Accounts] = {}

    def of(kind: str) -> Accounts:
        if kind not in made:
            system = build(kind, DEBTORS)
            system.start()
            made[kind] = Accounts(system)
        return made[kind]

    return of


@pytest.fixture
def whole(shared_systems: Callable[[str], Accounts]) -> Callable[[str], Accounts]:
    """The shared system of a kind, with every process running and no fault armed."""

    def of(kind: str) -> Accounts:
        accounts = shared_systems(kind)
        accounts.heal()
        return accounts

    return of


@pytest.fixture
def seed() -> int:
    """Where chance comes from: another each time, printed with a failure. FAULTS_SEED repeats it."""
    number = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={number}")
    return number
