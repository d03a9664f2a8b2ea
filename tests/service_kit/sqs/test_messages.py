"""Messages are packed into requests within the limits of SQS."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from service_kit.sqs.messages import MAX_BATCH_ENTRIES, MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES, Outgoing, pack


@given(st.lists(st.integers(1, MAX_MESSAGE_BYTES), max_size=40))
def test_packing_keeps_the_order_and_both_limits_and_wastes_no_request(sizes: list[int]) -> None:
    packs = pack(Outgoing(str(i), "x" * size) for i, size in enumerate(sizes))

    assert [int(message.id) for one in packs for message in one] == list(range(len(sizes)))
    for one in packs:
        assert len(one) <= MAX_BATCH_ENTRIES
        assert sum(message.size for message in one) <= MAX_REQUEST_BYTES
    for one, following in itertools.pairwise(packs):
        fits = sum(message.size for message in one) + following[0].size <= MAX_REQUEST_BYTES
        assert not (fits and len(one) < MAX_BATCH_ENTRIES)


def test_a_size_counts_bytes_and_attributes() -> None:
    assert Outgoing("a", "ä😀").size == 6
    assert Outgoing("a", "", {"ab": "ü"}).size == 2 + len("String") + 2
