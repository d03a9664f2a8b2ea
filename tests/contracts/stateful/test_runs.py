"""Runs from promise to decision against a world that cuts, loses, repeats and reorders at every step.

The functions of both services are called directly, each step of a loop by itself, so that "the process dies here"
means: the next step never comes, and what was in memory is gone. Meanwhile people pay, vanish, are put on hold
and imported, and policies are activated.
Afterwards the world heals, and then every ranked debtor has one decision, one skip or one error, every run is over,
nothing is outstanding, and no debtor was decided in spite of an acknowledged stop. FUZZ_EFFORT=20 tries twenty times
as much.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.conftest import EFFORT
from tests.contracts.stateful.feeding import MAX_LAG
from tests.contracts.stateful.healing import heal
from tests.contracts.stateful.outcomes import Watch, check_outcomes
from tests.contracts.stateful.story import Story, some_debtors, step_names, wishes
from tests.contracts.stateful.world import World
from tests.support.system.restraints import violations

from risk_assessment.scoring import rescoring
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    folder = tmp_path_factory.mktemp("runs")
    opened = []
    for package in ("risk_assessment", "debt_processing"):
        url = f"sqlite:///{folder / package}.db"
        upgrade(url, package)
        opened.append(Database(url))
    yield opened[0], opened[1]
    for database in opened:
        database.dispose()


@pytest.fixture(autouse=True)
def _score_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave portfolios half scored between the steps."""
    monkeypatch.setattr(rescoring, "CHUNK", 3)


@pytest.mark.timeout(120 + 300 * EFFORT.factor)
@settings(max_examples=EFFORT.examples(40))
@given(
    bodies=st.lists(some_debtors, min_size=4, max_size=12),
    wished=st.lists(wishes, min_size=1, max_size=3),
    story=st.lists(step_names, min_size=60, max_size=150),
    seed=st.integers(0, 2**32),
)
def test_every_ranked_debtor_gets_one_outcome_whatever_is_lost_or_repeated(
    databases: tuple[Database, Database],
    bodies: list[dict[str, Any]],
    wished: list[dict[str, Any]],
    story: list[str],
    seed: int,
) -> None:
    world = World(*databases)
    world.begin(bodies, wished)
    steps, watch = Story(world), Watch(world)
    for number, name in enumerate(story):
        getattr(steps, name)(Random(f"{seed}-{number}"))
        watch.nothing_goes_back()
        watch.no_more_than_allowed_is_outstanding()
    heal(world)
    check_outcomes(world)
    assert violations(world.debt, world.people.restraints, MAX_LAG) == []
