"""Who is left out is counted in the order of the reasons, and packed into parts that name each debtor once."""

import pytest

from recovery_core.holds import HoldKind
from recovery_core.ranking.exclusions import ONLY_COUNTED, Excluded, Exclusion, held, in_order, unpack_left


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recovery_core.ranking.exclusions.PART_SIZE", 3)


def test_every_kind_of_hold_is_a_reason() -> None:
    assert {held(kind) for kind in HoldKind} == {one for one in Exclusion if one.startswith("HOLD_")}


def test_counts_are_in_the_order_of_the_reasons_whatever_came_first() -> None:
    excluded = Excluded()
    excluded.count(Exclusion.LIMIT, 2)
    excluded.add(Exclusion.COVERED, [4], leads=[1])
    excluded.add(Exclusion.HOLD_OTHER, [5], holds=[9])
    excluded.add(Exclusion.PAID, [7, 8])
    excluded.count(Exclusion.FILTERED, 0)

    assert list(in_order(excluded.counts).items()) == [("PAID", 2), ("HOLD_OTHER", 1), ("COVERED", 1), ("LIMIT", 2)]


def test_parts_are_full_or_the_last_of_their_reason_and_taken_once() -> None:
    excluded = Excluded()
    excluded.add(Exclusion.PAID, [1, 2, 3, 4])
    excluded.add(Exclusion.COVERED, [5], leads=[6])
    assert excluded.waiting == 1
    [full] = excluded.take()
    assert excluded.take() == []
    excluded.add(Exclusion.HOLD_DISPUTE, [7, 8], holds=[70, 80])
    excluded.add(Exclusion.PAID, [9, 10, 11])

    parts = [full, *excluded.take_all()]

    assert [(part.number, part.reason, unpack_left(part.packed)) for part in parts] == [
        (1, "PAID", [(1, 0, 0), (2, 0, 0), (3, 0, 0)]),
        (2, "PAID", [(4, 0, 0), (9, 0, 0), (10, 0, 0)]),
        (3, "PAID", [(11, 0, 0)]),
        (4, "HOLD_DISPUTE", [(7, 70, 0), (8, 80, 0)]),
        (5, "COVERED", [(5, 0, 6)]),
    ]
    assert [part.debtors for part in parts] == [3, 3, 1, 2, 1]


@pytest.mark.parametrize("reason", sorted(ONLY_COUNTED))
def test_what_the_options_explain_is_only_counted(reason: Exclusion) -> None:
    excluded = Excluded()
    excluded.add(reason, [1, 2, 3, 4])

    assert excluded.counts == {reason: 4}
    assert excluded.take_all() == []
