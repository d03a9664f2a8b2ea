"""The order in which prefetched batches are processed."""

from dataclasses import replace
from typing import Any

from tests.debt_processing.builders import NOW, a_batch, a_debtor

from debt_processing.consumer.deliveries import Delivery
from debt_processing.consumer.prefetch import STANDARD_TURN, Prefetch, PrefetchedBatch
from recovery_core.policies.builtin import built_in_policy
from service_kit.sqs.messages import Received


def a_prefetched(
    name: str, lane: str = "high", debt: str = "1000.00", receive_count: int = 1, unfinished: int = 0
) -> PrefetchedBatch:
    batch = a_batch(name, entries=[a_debtor(1, total_debt_amount=debt)], lane=lane)
    delivery = Delivery(lane, Received(name, name, "", {}, receive_count, NOW))
    return PrefetchedBatch(delivery, batch, built_in_policy("standard"), unfinished)


def a_prefetch(*batches: PrefetchedBatch) -> Prefetch:
    found = Prefetch()
    for batch in batches:
        found.add(batch)
    return found


def taken(found: Prefetch, **options: Any) -> list[str]:
    order = []
    while batch := found.take(redelivered_too=options.get("redelivered_too", True)):
        order.append(batch.batch.header.run_id)
    return order


def test_the_high_lane_goes_first_and_in_it_the_better_batch() -> None:
    found = a_prefetch(
        a_prefetched("standard-rich", "standard", "90000.00"),
        a_prefetched("high-poor", debt="10.00"),
        a_prefetched("high-rich", debt="5000.00"),
        a_prefetched("standard-poor", "standard", "1.00"),
    )

    assert taken(found) == ["high-rich", "high-poor", "standard-rich", "standard-poor"]
    assert len(found) == 0


def test_standard_has_a_turn_however_much_is_high() -> None:
    found = a_prefetch(
        a_prefetched("standard", "standard"), *(a_prefetched(f"high-{n}") for n in range(2 * STANDARD_TURN))
    )

    assert "standard" in taken(found)[:STANDARD_TURN]


def test_redelivered_batches_go_last_the_worst_at_the_end() -> None:
    found = a_prefetch(
        a_prefetched("killer", receive_count=3, unfinished=1),
        a_prefetched("redelivered", receive_count=2),
        a_prefetched("new", "standard"),
    )

    assert found.redelivered == 2
    assert taken(found, redelivered_too=False) == ["new"]
    assert taken(found) == ["redelivered", "killer"]


def test_what_is_dropped_is_not_taken() -> None:
    lost, kept = a_prefetched("lost", debt="9000.00"), a_prefetched("kept")
    found = a_prefetch(lost, kept)

    assert found.drop({lost.delivery}) == [lost]
    assert len(found) == 1
    assert taken(found) == ["kept"]
    assert found.clear() == []


def test_a_batch_whose_debtors_are_all_unreadable_still_has_its_turn() -> None:
    batch = a_batch("odd", entries=[{"nothing": 1}])
    odd = PrefetchedBatch(Delivery("high", Received("m", "h", "", {}, 1, NOW)), batch, built_in_policy("standard"))

    assert a_prefetch(odd).take(redelivered_too=False) is odd


def test_a_group_ends_with_enough_debtors_and_a_redelivered_batch_comes_alone() -> None:
    found = a_prefetch(*(a_prefetched(f"new-{n}") for n in range(5)), a_prefetched("redelivered", receive_count=2))

    groups = []
    while group := found.take_group(2, redelivered_too=True):
        groups.append([batch.batch.header.run_id for batch in group])

    assert groups == [["new-0", "new-1"], ["new-2", "new-3"], ["new-4"], ["redelivered"]]


def test_a_batch_leaves_its_turn_to_the_next_until_enough_is_known() -> None:
    found = a_prefetch(a_prefetched("best", debt="9000.00"), a_prefetched("second"), a_prefetched("v1", "standard"))
    needs = {"best": 5, "second": 3, "v1": None}
    for batch in found.clear():
        header = replace(batch.batch.header, stops_before=needs[batch.batch.header.run_id])
        found.add(replace(batch, batch=replace(batch.batch, header=header)))
    assert found.stops_needed == 5

    def next_one(known_through: float) -> str | None:
        batch = found.take(redelivered_too=True, known_through=known_through)
        return None if batch is None else batch.batch.header.run_id

    assert [next_one(4), next_one(-1), next_one(4)] == ["second", "v1", None]
    assert (len(found), found.stops_needed) == (1, 5)
    assert next_one(5) == "best"
    assert found.stops_needed == -1
