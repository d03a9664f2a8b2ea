"""Holds as arithmetic: which actions are blocked and why, whole days in every time zone, and ranges that overlap."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import TZPATH, ZoneInfo, available_timezones, reset_tzpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_core.holds import (
    ACTIONS,
    ALL_ACTIONS,
    Block,
    HoldKind,
    HoldSpan,
    HoldTimesError,
    actions_of,
    block_at,
    effective_end,
    instant,
    mask_of,
    resolve,
    start_of_day,
    time_on_hold,
    union_of,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def a_span(
    start: int = 0, end: int | None = None, number: int = 1, kind: str = "DISPUTE", blocked: int = 63
) -> HoldSpan:
    return HoldSpan(number, kind, blocked, at(start), None if end is None else at(end))


class TestBlocking:
    @given(st.sets(st.sampled_from(ACTIONS)))
    def test_actions_become_a_mask_and_come_back_in_their_order(self, actions: set[str]) -> None:
        assert actions_of(mask_of(actions)) == [action for action in ACTIONS if action in actions]

    def test_an_unknown_action_has_no_mask(self) -> None:
        with pytest.raises(ValueError, match="tuple"):
            mask_of(["SHOUT"])

    def test_a_hold_is_in_force_from_its_start_until_just_before_its_end(self) -> None:
        hold = [a_span(0, 10)]

        assert [block_at(hold, at(minute)) is not None for minute in (-1, 0, 9, 10)] == [False, True, True, False]

    def test_an_open_hold_is_in_force_for_ever(self) -> None:
        assert block_at([a_span(0)], datetime(9998, 1, 1, tzinfo=UTC)) == Block(ALL_ACTIONS, "DISPUTE", 1)

    def test_the_first_kind_among_holds_on_everything_is_named(self) -> None:
        partial, total = mask_of(["AGENT_CALL"]), ALL_ACTIONS
        holds = [
            a_span(kind="DISPUTE", blocked=partial, number=1),
            a_span(kind="VULNERABLE", blocked=total, number=2),
            a_span(kind="BANKRUPTCY", blocked=total, number=4),
            a_span(kind="BANKRUPTCY", blocked=total, number=3),
        ]

        assert block_at(holds, NOON) == Block(total, "BANKRUPTCY", 3)

    def test_holds_that_block_everything_together_name_the_first_kind_of_all(self) -> None:
        call = mask_of(["AGENT_CALL"])
        holds = [a_span(kind="TIME_BARRED", blocked=ALL_ACTIONS & ~call, number=1), a_span(blocked=call, number=2)]

        block = block_at(holds, NOON)

        assert block == Block(ALL_ACTIONS, "DISPUTE", 2)
        assert block.is_total

    def test_kinds_are_named_in_the_order_of_their_list(self) -> None:
        holds = [a_span(kind=kind, number=number) for number, kind in enumerate(reversed(HoldKind))]

        while holds:
            block = block_at(holds, NOON)
            assert block is not None
            assert block.kind == next(kind for kind in HoldKind if kind in {span.kind for span in holds})
            holds = [span for span in holds if span.kind != block.kind]


class TestEnds:
    def test_an_early_end_counts_and_a_late_one_does_not(self) -> None:
        assert effective_end(at(10), at(5)) == at(5)
        assert effective_end(at(10), at(15)) == at(10)
        assert effective_end(None, at(5)) == at(5)
        assert effective_end(at(10), None) == at(10)
        assert effective_end(None, None) is None


minutes = st.integers(-500, 500)
ranges = st.lists(st.tuples(minutes, st.none() | minutes), max_size=12).map(
    lambda pairs: [(at(start), None if end is None else at(end)) for start, end in pairs]
)


def covers(found: list[tuple[datetime, datetime | None]], moment: datetime) -> bool:
    return any(start <= moment and (end is None or moment < end) for start, end in found)


class TestUnion:
    @given(ranges, st.integers(-502, 502))
    def test_the_union_covers_exactly_what_one_of_the_ranges_covers(
        self, given_ranges: list[tuple[datetime, datetime | None]], minute: int
    ) -> None:
        for moment in (at(minute), at(minute) + timedelta(microseconds=1)):
            assert covers(union_of(given_ranges), moment) == covers(given_ranges, moment)

    @given(ranges)
    def test_the_ranges_of_a_union_are_in_order_with_a_gap_between_them(
        self, given_ranges: list[tuple[datetime, datetime | None]]
    ) -> None:
        found = union_of(given_ranges)

        assert all(end is None or start < end for start, end in found)
        assert all(before is not None and before < start for (_, before), (start, _) in pairwise(found))

    @given(ranges)
    def test_a_union_is_the_union_of_itself_in_any_order(
        self, given_ranges: list[tuple[datetime, datetime | None]]
    ) -> None:
        found = union_of(given_ranges)

        assert union_of(found) == found == union_of(reversed(given_ranges))

    @given(ranges)
    def test_time_on_hold_is_the_number_of_minutes_that_a_hold_covers(
        self, given_ranges: list[tuple[datetime, datetime | None]]
    ) -> None:
        spans = [HoldSpan(1, "OTHER", 63, start, end) for start, end in given_ranges]

        covered = sum(covers(given_ranges, at(minute)) for minute in range(-300, 300))

        assert time_on_hold(spans, at(-300), at(300)) == timedelta(minutes=covered)

    def test_a_hold_within_another_counts_its_days_once(self) -> None:
        spans = [
            HoldSpan(1, "DISPUTE", 63, NOON, NOON + 20 * DAY),
            HoldSpan(2, "HARDSHIP", 63, NOON + 5 * DAY, NOON + 10 * DAY),
        ]

        assert time_on_hold(spans, NOON - DAY, NOON + 100 * DAY) == 20 * DAY


# Zone, day, and the first instant of that day.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00+00:00"),  # clocks go forward later that day
    ("Europe/Berlin", date(2026, 3, 30), "2026-03-29T22:00:00+00:00"),
    ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00:00+00:00"),
    ("Europe/Berlin", date(2026, 10, 26), "2026-10-25T23:00:00+00:00"),
    ("Asia/Beirut", date(2024, 3, 31), "2024-03-30T22:00:00+00:00"),  # 00:00 does not exist: the day begins at 01:00
    ("America/Santiago", date(2024, 9, 8), "2024-09-08T04:00:00+00:00"),  # the same
    ("America/Santiago", date(2024, 4, 7), "2024-04-07T04:00:00+00:00"),  # 23:00 came twice on the day before
    ("Atlantic/Azores", date(2024, 10, 27), "2024-10-27T00:00:00+00:00"),  # 00:00 comes twice: the first
    ("America/Havana", date(2024, 11, 3), "2024-11-03T04:00:00+00:00"),  # the same
    ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30:00+00:00"),  # 23:30 became 00:30
    ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00+00:00"),  # a day that was left out
    ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00+00:00"),
    ("Asia/Kathmandu", date(2026, 1, 1), "2025-12-31T18:15:00+00:00"),
    ("UTC", date(2026, 1, 1), "2026-01-01T00:00:00+00:00"),
]


class TestDays:
    @pytest.mark.parametrize(("zone", "day", "first"), CHANGES)
    def test_a_day_begins_at_its_first_instant(self, zone: str, day: date, first: str) -> None:
        assert start_of_day(day, ZoneInfo(zone)).isoformat() == first

    @given(
        st.sampled_from([ZoneInfo(zone) for zone in sorted({zone for zone, _, _ in CHANGES})]),
        st.dates(date(1970, 1, 1), date(2040, 12, 31)),
    )
    def test_no_instant_before_the_first_belongs_to_the_day(self, zone: ZoneInfo, day: date) -> None:
        first, microsecond = start_of_day(day, zone), timedelta(microseconds=1)

        assert first.astimezone(zone).date() >= day
        assert (first - microsecond).astimezone(zone).date() < day

    @given(st.sampled_from([zone for zone, _, _ in CHANGES]), st.dates(date(1970, 1, 1), date(2040, 12, 31)))
    def test_days_follow_each_other(self, zone: str, day: date) -> None:
        assert start_of_day(day, ZoneInfo(zone)) <= start_of_day(day + DAY, ZoneInfo(zone))

    @pytest.mark.parametrize(
        ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)]
    )
    def test_a_hold_of_one_day_lasts_as_long_as_that_day(self, day: date, hours: int) -> None:
        starts_at, ends_at = resolve(day, day, BERLIN)

        assert ends_at is not None
        assert ends_at - starts_at == timedelta(hours=hours)

    def test_zones_are_known_without_the_files_of_the_operating_system(self) -> None:
        before = TZPATH
        try:
            reset_tzpath(())
            ZoneInfo.clear_cache()
            assert "Europe/Berlin" in available_timezones()
            assert start_of_day(date(2026, 7, 1), ZoneInfo("Europe/Berlin")) == datetime(2026, 6, 30, 22, tzinfo=UTC)
        finally:
            reset_tzpath(before)
            ZoneInfo.clear_cache()


class TestTimes:
    def test_instants_stay_as_they_are_whatever_the_zone(self) -> None:
        assert resolve(NOON.astimezone(BERLIN), NOON + DAY, BERLIN) == (NOON, NOON + DAY)

    def test_an_instant_and_a_date_may_stand_together(self) -> None:
        assert resolve(NOON, date(2026, 3, 1), BERLIN) == (NOON, datetime(2026, 3, 1, 23, tzinfo=UTC))

    def test_a_hold_may_be_open(self) -> None:
        assert resolve(date(2026, 3, 1), None, UTC) == (datetime(2026, 3, 1, tzinfo=UTC), None)

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (NOON, NOON),
            (NOON, NOON - DAY),
            (NOON, date(2026, 2, 28)),
            (date(2026, 3, 2), date(2026, 3, 1)),
            (date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC)),
        ],
    )
    def test_an_end_that_is_not_after_the_start_is_refused(self, start: date, end: date) -> None:
        with pytest.raises(HoldTimesError) as error:
            resolve(start, end, UTC)

        assert (error.value.field, str(error.value)) == ("until", "must be after from")

    def test_a_day_that_the_zone_left_out_is_no_range(self) -> None:
        with pytest.raises(HoldTimesError):
            resolve(date(2011, 12, 30), date(2011, 12, 30), ZoneInfo("Pacific/Apia"))

    @pytest.mark.parametrize("year", [1, 1899, 9999])
    def test_years_that_not_every_database_stores_are_refused_by_name(self, year: int) -> None:
        with pytest.raises(HoldTimesError) as error:
            resolve(date(year, 12, 31), None, BERLIN)
        assert error.value.field == "from"
        with pytest.raises(HoldTimesError) as error:
            resolve(NOON, date(year, 12, 31), BERLIN)
        assert error.value.field == "until"
        with pytest.raises(HoldTimesError) as error:
            instant(datetime(year, 12, 31, 23, tzinfo=UTC), "at")
        assert error.value.field == "at"

    @given(st.dates(date(1900, 1, 1), date(9998, 12, 31)), st.sampled_from([zone for zone, _, _ in CHANGES]))
    def test_every_other_day_is_a_hold_of_about_a_day(self, day: date, zone: str) -> None:
        if (zone, day) in {("Pacific/Apia", date(2011, 12, 30))}:
            return
        starts_at, ends_at = resolve(day, day, ZoneInfo(zone))

        assert ends_at is not None
        assert timedelta(hours=22) <= ends_at - starts_at <= timedelta(hours=26)
