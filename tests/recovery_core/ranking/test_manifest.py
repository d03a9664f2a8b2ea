import hashlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from recovery_core.policies.parts import Lane
from recovery_core.ranking.manifest import Manifest, pack, unpack_entries
from recovery_core.ranking.queue import Entry

HASH = "5c26d609"
THRESHOLD = 50

numbers = st.integers(-(2**63), 2**63 - 1)
orders = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 10**6), st.integers(0, 9)), max_size=40).map(
    lambda entries: sorted(entries, key=lambda entry: (-entry[0], entry[1]))
)


def cut(order: list[Entry], size: int) -> tuple[Manifest, list[tuple[int, Lane, list[Entry]]]]:
    manifest = Manifest(HASH, THRESHOLD, size)
    return manifest, list(manifest.numbered(manifest.cut(order)))


@given(orders, st.integers(1, 7))
def test_an_order_is_cut_into_batches_of_one_lane_without_loss(order: list[Entry], size: int) -> None:
    manifest, batches = cut(order, size)

    assert [entry for _, _, entries in batches for entry in entries] == order
    assert [sequence for sequence, _, _ in batches] == list(range(1, len(batches) + 1))
    assert all(0 < len(entries) <= size for _, _, entries in batches)
    for _, lane, entries in batches:
        assert {priority > THRESHOLD for priority, _, _ in entries} == {lane is Lane.HIGH}
    assert (manifest.ranked, manifest.batches_total) == (len(order), len(batches))
    assert manifest.high == sum(priority > THRESHOLD for priority, _, _ in order)


@given(orders, st.integers(1, 7))
def test_only_the_last_batch_of_a_lane_is_smaller(order: list[Entry], size: int) -> None:
    _, batches = cut(order, size)

    for lane in Lane:
        sizes = [len(entries) for _, of_lane, entries in batches if of_lane is lane]
        assert all(full == size for full in sizes[:-1])


def test_a_priority_at_the_threshold_belongs_to_the_standard_lane() -> None:
    _, batches = cut([(51, 1, 0), (50, 2, 0)], 10)

    assert batches == [(1, Lane.HIGH, [(51, 1, 0)]), (2, Lane.STANDARD, [(50, 2, 0)])]


def test_the_hash_covers_the_policy_and_every_debtor_with_its_priority() -> None:
    order = [(60, 1, 7), (40, 2, 8)]

    expected = hashlib.sha256(HASH.encode() + struct.pack("<4q", 1, 60, 2, 40)).hexdigest()

    assert cut(order, 1)[0].first_hash == cut(order, 2)[0].first_hash == expected
    assert cut([(60, 1, 9), (40, 2, 9)], 1)[0].first_hash == expected, "a payload is no part of the order"
    assert cut([(60, 2, 7), (40, 1, 8)], 1)[0].first_hash != expected


@given(st.lists(st.tuples(numbers, numbers, numbers)))
def test_packed_entries_are_read_back(entries: list[Entry]) -> None:
    assert unpack_entries(pack(entries)) == entries
