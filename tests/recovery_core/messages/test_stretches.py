"""However the stretches of a feed arrive, they end in the same watermark, and never claim what has not come."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import NOON

from recovery_core.messages.stretches import Stretch, Watermark, merge

moments = st.integers(0, 50).map(lambda minutes: NOON + timedelta(minutes=minutes))
stretches = st.builds(
    lambda after, length, as_of: Stretch(after, after + length, as_of),
    st.integers(0, 12),
    st.integers(0, 5),
    st.none() | moments,
)


def one_by_one(arriving: list[Stretch]) -> tuple[Watermark, list[Stretch]]:
    mark, ahead = Watermark(), list[Stretch]()
    for stretch in arriving:
        mark, ahead = merge(mark, [*ahead, stretch])
    return mark, ahead


@given(st.data(), st.lists(st.integers(1, 20), unique=True, min_size=1).map(sorted))
def test_any_order_and_repetition_of_any_partition_comes_to_the_same(data: st.DataObject, borders: list[int]) -> None:
    feed = [Stretch(after, through, None) for after, through in zip([0, *borders], borders, strict=False)]
    feed[-1] = feed[-1]._replace(as_of=NOON)
    repeated = data.draw(st.lists(st.sampled_from(feed)))
    arriving = data.draw(st.permutations([*feed, *repeated]))

    assert one_by_one(arriving) == (Watermark(borders[-1], borders[-1], NOON), [])


@given(st.data(), st.lists(stretches, max_size=12))
def test_the_order_never_matters(data: st.DataObject, feed: list[Stretch]) -> None:
    mark, ahead = one_by_one(feed)
    again, ahead_again = one_by_one(data.draw(st.permutations(feed)))

    assert (again, sorted(ahead_again, key=str)) == (mark, sorted(ahead, key=str))


@given(st.lists(stretches, max_size=12))
def test_nothing_is_claimed_beyond_a_gap(feed: list[Stretch]) -> None:
    mark, ahead = one_by_one(feed)

    covered = {place for stretch in feed for place in range(stretch.after + 1, stretch.through + 1)}
    assert set(range(1, mark.received + 1)) <= covered
    assert mark.received + 1 not in covered or all(stretch.after > mark.received for stretch in ahead)
    assert mark.through <= mark.received
    assert all(stretch.after > mark.received for stretch in ahead)


def test_a_stretch_behind_a_gap_waits_and_counts_once_the_gap_is_filled() -> None:
    first, second = Stretch(0, 4, None), Stretch(4, 6, NOON)

    assert merge(Watermark(), [second]) == (Watermark(), [second])
    assert merge(Watermark(), [second, first]) == (Watermark(6, 6, NOON), [])


def test_all_of_a_long_stretch_has_come_before_any_of_it_is_known() -> None:
    mark, _ = merge(Watermark(3, 3, NOON), [Stretch(3, 503, None)])
    assert mark == Watermark(503, 3, NOON)

    mark, _ = merge(mark, [Stretch(503, 510, NOON + timedelta(seconds=1))])
    assert mark == Watermark(510, 510, NOON + timedelta(seconds=1))


def test_a_heartbeat_makes_knowledge_fresher_only_where_nothing_is_missing() -> None:
    later = NOON + timedelta(seconds=5)

    assert merge(Watermark(4, 4, NOON), [Stretch(4, 4, later)])[0] == Watermark(4, 4, later)
    assert merge(Watermark(3, 3, NOON), [Stretch(4, 4, later)])[0] == Watermark(3, 3, NOON)


def test_a_feed_that_counts_from_an_earlier_place_is_not_believed() -> None:
    later = NOON + timedelta(hours=1)

    assert merge(Watermark(9, 9, NOON), [Stretch(4, 4, later), Stretch(4, 6, later)])[0] == Watermark(9, 9, NOON)
