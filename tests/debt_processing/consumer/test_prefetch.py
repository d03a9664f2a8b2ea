"""The order in which held batches are worked."""

from typing import Any

from tests.debt_processing.builders import NOW, a_batch, a_debtor

from debt_processing.consumer.deliveries import Delivery
from debt_processing.consumer.prefetch import STANDARD_TURN, Prefetch, PrefetchedBatch
from recovery_core.policies.builtin import built_in_policy
from service_kit.sqs.messages import Received


def held(
    name: str, lane: str = "high", debt: str = "1000.00", receive_count: int = 1, unended: int = 0
) -> PrefetchedBatch:
    batch = a_batch(name, entries=[a_debtor(1, total_debt_amount=debt)], lane=lane)
    delivery = Delivery(lane, Received(name, name, "", {}, receive_count, NOW))
    return PrefetchedBatch(delivery, batch, built_in_policy("standard"), unended)


def holding(*batches: PrefetchedBatch) -> Prefetch:
    found = Prefetch()
    for batch in batches:
        found.add(batch)
    return found


def taken(found: Prefetch, **options: Any) -> list[str]:
    order = []
    while batch := found.take(suspects_too=options.get("suspects_too", True)):
        order.append(batch.batch.header.run_id)
    return order


def test_the_high_lane_goes_first_and_in_it_the_better_batch() -> None:
    found = holding(
        held("standard-rich", "standard", "90000.00"),
        held("high-poor", debt="10.00"),
        held("high-rich", debt="5000.00"),
        held("standard-poor", "standard", "1.00"),
    )

    assert taken(found) == ["high-rich", "high-poor", "standard-rich", "standard-poor"]
    assert len(found) == 0


def test_standard_has_a_turn_however_much_is_high() -> None:
    found = holding(held("standard", "standard"), *(held(f"high-{n}") for n in range(2 * STANDARD_TURN)))

    assert "standard" in taken(found)[:STANDARD_TURN]


def test_suspects_go_last_the_worst_at_the_end() -> None:
    found = holding(
        held("killer", receive_count=3, unended=1),
        held("suspect", receive_count=2),
        held("new", "standard"),
    )

    assert found.suspects == 2
    assert taken(found, suspects_too=False) == ["new"]
    assert taken(found) == ["suspect", "killer"]


def test_what_is_dropped_is_not_taken() -> None:
    lost, kept = held("lost", debt="9000.00"), held("kept")
    found = holding(lost, kept)

    assert found.drop({lost.delivery}) == [lost]
    assert len(found) == 1
    assert taken(found) == ["kept"]
    assert found.clear() == []


def test_a_batch_whose_debtors_are_all_unreadable_still_has_its_turn() -> None:
    batch = a_batch("odd", entries=[{"nothing": 1}])
    odd = PrefetchedBatch(Delivery("high", Received("m", "h", "", {}, 1, NOW)), batch, built_in_policy("standard"))

    assert holding(odd).take(suspects_too=False) is odd


def test_a_group_ends_with_enough_debtors_and_a_suspect_comes_alone() -> None:
    found = holding(*(held(f"new-{n}") for n in range(5)), held("suspect", receive_count=2))

    groups = []
    while group := found.take_group(2, suspects_too=True):
        groups.append([batch.batch.header.run_id for batch in group])

    assert groups == [["new-0", "new-1"], ["new-2", "new-3"], ["new-4"], ["suspect"]]
