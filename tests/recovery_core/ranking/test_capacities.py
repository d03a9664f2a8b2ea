"""Room for actions: the greedy worklist is exactly the best one, and texts are read as they are meant."""

import re
from collections import Counter
from itertools import combinations
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from tests.recovery_core.builders import a_document

from recovery_core.policies.document import load_policy
from recovery_core.policies.parts import Action
from recovery_core.profile import Facts
from recovery_core.ranking import capacities
from recovery_core.ranking.capacities import (
    CAPACITY_PATTERN,
    MAX_CAPACITY,
    CapacityError,
    RankedActions,
    parse_capacities,
)
from recovery_core.ranking.exclusions import Excluded, Exclusion, no_room, unpack_left
from recovery_core.ranking.queue import RecoveryQueue
from recovery_core.ranking.worklist import Cut, worklist
from recovery_core.scoring.scorer import Score

ACTIONS = ("AGENT_CALL", "SPECIALIST_REVIEW", "LEGAL_REVIEW")


class Debtor(NamedTuple):
    priority: int
    action: str | None


def ranked(
    debtors: list[Debtor], room: dict[str, int] | None, limit: int | None, excluded: Excluded | None = None
) -> list[int]:
    """Return the places of the debtors that a run ranks, in order."""
    queue = RecoveryQueue((debtor.priority, place) for place, debtor in enumerate(debtors))
    cut = Cut(capacities=room, limit=limit)
    order = worklist(queue.drain(), cut, excluded or Excluded(), lambda some: [debtors[p].action for _, p, _ in some])
    return [place for _, place, _ in order]


def value(debtors: list[Debtor], places: tuple[int, ...] | list[int]) -> int:
    return sum(debtors[place].priority for place in places)


small_books = st.lists(
    st.builds(Debtor, st.integers(0, 4), st.sampled_from([*ACTIONS[:2], None])), min_size=1, max_size=7
)
rooms = st.dictionaries(st.sampled_from(ACTIONS), st.integers(0, 3))


@given(small_books, rooms, st.none() | st.integers(1, 4))
def test_no_worklist_that_fits_is_worth_more(debtors: list[Debtor], room: dict[str, int], limit: int | None) -> None:
    chosen = ranked(debtors, room, limit)

    def fits(places: tuple[int, ...] | list[int]) -> bool:
        taken = Counter(debtors[place].action for place in places)
        return all(taken[action] <= most for action, most in room.items()) and len(places) <= (limit or 99)

    every = [some for size in range(len(debtors) + 1) for some in combinations(range(len(debtors)), size)]
    assert fits(chosen)
    assert value(debtors, chosen) == max(value(debtors, places) for places in every if fits(places))
    # Where several are worth as much, none of them is longer, and the highest priorities come first.
    assert len(chosen) == max(len(places) for places in every if fits(places))
    assert chosen == sorted(chosen, key=lambda place: (-debtors[place].priority, place))


def test_a_solver_finds_nothing_better_for_two_thousand_debtors() -> None:
    random = Random(16)
    debtors = [Debtor(random.randrange(100_000), random.choice([*Action, None])) for _ in range(2_000)]
    room = {"AGENT_CALL": 40, "SPECIALIST_REVIEW": 7, "LEGAL_REVIEW": 0, "NO_ACTION": 250}
    limit = 700

    chosen = ranked(debtors, room, limit)

    rows = [[debtor.action == action for debtor in debtors] for action in room]
    constraint = LinearConstraint(np.array([*rows, [True] * len(debtors)], dtype=float), ub=[*room.values(), limit])
    worth = np.array([-debtor.priority for debtor in debtors], dtype=float)
    best = milp(worth, integrality=np.ones(len(debtors)), bounds=Bounds(0, 1), constraints=constraint)
    assert best.success
    assert value(debtors, chosen) == value(debtors, np.flatnonzero(best.x > 0.5).tolist())
    assert Counter(debtors[place].action for place in chosen)["AGENT_CALL"] == 40


def test_who_finds_no_room_is_recorded_before_the_limit_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacities, "CHUNK", 2)
    debtors = [Debtor(9 - place, action) for place, action in enumerate(["AGENT_CALL", "LEGAL_REVIEW", None] * 3)]
    excluded = Excluded()

    assert ranked(debtors, {"AGENT_CALL": 2, "LEGAL_REVIEW": 0}, 3, excluded) == [0, 2, 3]

    assert excluded.counts == {Exclusion.CAPACITY_LEGAL_REVIEW: 3, Exclusion.CAPACITY_AGENT_CALL: 1, "LIMIT": 2}
    parts = {part.reason: [debtor_id for debtor_id, _, _ in unpack_left(part.packed)] for part in excluded.take_all()}
    assert parts == {Exclusion.CAPACITY_AGENT_CALL: [6], Exclusion.CAPACITY_LEGAL_REVIEW: [1, 4, 7]}


def test_every_action_has_its_reason() -> None:
    assert [no_room(action).value for action in Action] == [f"CAPACITY_{action}" for action in Action]


def test_the_lane_of_an_action_follows_from_the_priority() -> None:
    rows = [{"action": "AGENT_CALL", "lane": ["high"]}, {"action": "NO_ACTION"}]
    actions = RankedActions(load_policy(a_document() | {"treatment": rows}), threshold=500)
    facts = Facts(1_000, 0, 0, "EMPLOYED", "PERMANENT", "RETAIL", None)

    found = [actions.action(priority, Score(1, "LOW", (), ()), facts, "UNPAID") for priority in (500, 501)]

    assert found == ["NO_ACTION", "AGENT_CALL"]
    call = 1 << list(Action).index(Action.AGENT_CALL)
    assert actions.action(501, Score(1, "LOW", (), ()), facts, "UNPAID", call) == "NO_ACTION"


def test_capacities_are_read_in_the_order_of_the_actions() -> None:
    found = parse_capacities(["LEGAL_REVIEW:0", "AGENT_CALL:40", f"NO_ACTION:{MAX_CAPACITY}"])
    assert list(found.items()) == [("NO_ACTION", MAX_CAPACITY), ("AGENT_CALL", 40), ("LEGAL_REVIEW", 0)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "AGENT_CALL", "AGENT_CALL:", "AGENT_CALL:-1", "AGENT_CALL:1.5", "AGENT_CALL: 1", "AGENT_CALL:1:2"),
        *("AGENT_CALL:100000001", "AGENT_CALL:٥", "agent_call:1", "CALL_MUM:1", ":1", "AGENT_CALL=1"),
    ],
)
def test_what_is_no_capacity_is_refused(text: str) -> None:
    with pytest.raises(CapacityError):
        parse_capacities([text])
    assert not re.search(CAPACITY_PATTERN, text)


def test_an_action_has_one_capacity() -> None:
    with pytest.raises(CapacityError, match="AGENT_CALL is given twice"):
        parse_capacities(["AGENT_CALL:1", "AGENT_CALL:1"])
