"""The stretches of a run against plain Python, and how little of the run they read."""

import random
from itertools import groupby

import pytest
from sqlalchemy import event, insert

from risk_assessment.batches import stretches as subject
from risk_assessment.batches.stretches import Stretch, count_high, stretches
from risk_assessment.batches.tables import BatchState, run_batches
from service_kit.database.engine import Database

ALL = list(BatchState)
RUN = 7


def hold(database: Database, batches: list[tuple[str, str]]) -> None:
    """Store batches of this lane and state, with one more of the runs before and after."""
    fixed = {"debtors": 1, "sends": 0}
    rows = [
        {"run_number": RUN, "sequence": at, "lane": lane, "state": state} for at, (lane, state) in enumerate(batches, 1)
    ]
    rows += [{"run_number": other, "sequence": 1, "lane": "high", "state": "dead"} for other in (RUN - 1, RUN + 1)]
    database.transact(lambda c: c.execute(insert(run_batches), [row | fixed for row in rows]))


def expected(batches: list[tuple[str, str]]) -> list[Stretch]:
    found, first = [], 1
    for (lane, state), group in groupby(batches):
        last = first + len(list(group)) - 1
        found.append(Stretch(lane, state, first, last))
        first = last + 1
    return found


@pytest.mark.parametrize("seed", range(12))
def test_batches_side_by_side_in_one_lane_and_state_are_one_stretch(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "AT_FIRST", 2)
    monkeypatch.setattr(subject, "AT_MOST", 9)
    rng = random.Random(seed)
    states = [
        str(state) for _ in range(rng.choice([0, 1, 3, 40])) for state in [rng.choice(ALL)] * rng.choice([1, 1, 2, 30])
    ]
    high = rng.randint(0, len(states)) if seed % 3 else rng.choice([0, len(states)])
    batches = [("high" if at < high else "standard", state) for at, state in enumerate(states)]
    hold(database, batches)

    with database.read() as connection:
        assert stretches(connection, RUN) == expected(batches)
        assert count_high(connection, RUN) == high


def test_of_a_long_run_the_ends_of_its_stretches_are_read(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "AT_MOST", 64)
    states = ["done"] * 9_000 + ["dead"] + ["done"] * 900 + ["sent", "done"] * 50 + ["planned"] * 10_000
    batches = [("high" if at < 4_000 else "standard", state) for at, state in enumerate(states)]
    hold(sqlite, batches)
    asked: list[str] = []

    with sqlite.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
        found = stretches(connection, RUN)

    assert found == expected(batches)
    assert len(asked) * subject.AT_MOST < len(batches) / 5
