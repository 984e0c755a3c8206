"""Calendar windows and quiet spans over every kind of day that zones have."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from guardrails.core.timing import (
    LONGEST_SECONDS,
    QuietSpan,
    calendar_window,
    format_duration,
    is_quiet,
    next_quiet_change,
    parse_duration,
)
from guardrails.core.zones import zone_named, zone_names

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
DAY_MINUTES, WEEK_MINUTES = 1440, 7 * 1440

# Days on which clocks are set: by an hour, half an hour, two hours, a day; at midnight, over midnight, near it, twice
# within weeks (Ramadan); and zones that never do, 45 minutes off among them.
CLOCK_CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 4, 4, 14, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),
    ("America/Nuuk", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
    ("Asia/Gaza", datetime(2040, 10, 20, 0, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 1, 1, tzinfo=UTC)),
    ("UTC", datetime(2026, 1, 1, tzinfo=UTC)),
]


@st.composite
def near_clock_changes(draw):
    """A zone and an instant within two days of a change of its clocks."""
    name, change = draw(st.sampled_from(CLOCK_CHANGES))
    return zone_named(name), change + draw(st.timedeltas(timedelta(days=-2), timedelta(days=2)))


@st.composite
def anywhere(draw):
    """Any zone and any instant that a candidate may carry."""
    seconds = draw(st.integers(min_value=0, max_value=int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())))
    return zone_named(draw(st.sampled_from(sorted(zone_names())))), datetime.fromtimestamp(seconds, UTC)


places = near_clock_changes() | anywhere()
units = st.sampled_from(["day", "week", "month"])
weekdays = st.integers(min_value=0, max_value=6)
quiet_spans = st.lists(
    st.builds(
        QuietSpan,
        st.lists(weekdays, unique=True, max_size=7).map(tuple),
        st.integers(min_value=0, max_value=1439) | st.sampled_from([0, 60, 120, 150, 1380]),
        st.integers(min_value=0, max_value=1440) | st.sampled_from([0, 60, 120, 150, 1440]),
    ),
    max_size=3,
).map(tuple)


@given(seconds=st.integers(min_value=1, max_value=LONGEST_SECONDS))
def test_what_is_formatted_parses_to_the_same_duration(seconds):
    assert seconds == parse_duration(format_duration(seconds))


@given(place=places, unit=units, week_starts=weekdays)
def test_calendar_windows_are_a_partition_of_time(place, unit, week_starts):
    zone, at = place
    start, end = calendar_window(unit, zone, at, week_starts=week_starts)
    assert start <= at < end
    for inside in (start, start + (end - start) / 2, end - TICK):
        assert (start, end) == calendar_window(unit, zone, inside, week_starts=week_starts)
    assert end == calendar_window(unit, zone, end, week_starts=week_starts)[0]
    assert start == calendar_window(unit, zone, start - TICK, week_starts=week_starts)[1]


def unit_of(unit, day, week_starts):
    if unit == "day":
        return day.toordinal()
    if unit == "month":
        return day.year * 12 + day.month
    return (day.toordinal() - 1 - week_starts) // 7


@given(place=places, unit=units, week_starts=weekdays)
def test_a_calendar_window_starts_at_the_first_instant_whose_local_date_is_in_the_unit(place, unit, week_starts):
    zone, at = place
    start, _ = calendar_window(unit, zone, at, week_starts=week_starts)
    before, first = (each.astimezone(zone).date() for each in (start - TICK, start))
    assert unit_of(unit, before, week_starts) < unit_of(unit, first, week_starts)
    assert unit_of(unit, at.astimezone(zone).date(), week_starts) <= unit_of(unit, first, week_starts)


@given(place=places, unit=units)
def test_the_ends_of_a_calendar_window_carry_the_zones_offset_of_that_moment(place, unit):
    zone, at = place
    for end in calendar_window(unit, zone, at):
        assert end.astimezone(zone).utcoffset() == end.utcoffset()


def minutes_of(spans):
    """Every minute of the week that the spans cover, by counting them off."""
    covered = set()
    for span in spans:
        length = (span.end_minute - span.start_minute) % DAY_MINUTES or DAY_MINUTES
        for weekday in span.weekdays:
            start = weekday * DAY_MINUTES + span.start_minute
            covered.update(minute % WEEK_MINUTES for minute in range(start, start + length))
    return covered


@given(spans=quiet_spans, place=places)
def test_it_is_quiet_when_the_wall_clock_shows_a_minute_of_a_span(spans, place):
    zone, at = place
    local = at.astimezone(zone)
    minute = local.weekday() * DAY_MINUTES + local.hour * 60 + local.minute
    assert (minute in minutes_of(spans)) == is_quiet(spans, zone, at)


@given(spans=quiet_spans, place=near_clock_changes())
@example(spans=(QuietSpan((4,), 720, 780),), place=(zone_named("Pacific/Apia"), datetime(2011, 12, 29, 12, tzinfo=UTC)))
@example(spans=(QuietSpan((6,), 130, 170),), place=(zone_named("Europe/Berlin"), datetime(2026, 3, 28, 12, tzinfo=UTC)))
def test_the_next_quiet_change_is_the_first_minute_that_differs(spans, place):
    zone, at = place
    found = next_quiet_change(spans, zone, at)
    quiet = is_quiet(spans, zone, at)
    first_minute = at.replace(second=0, microsecond=0) + MINUTE
    two_weeks = (first_minute + step * MINUTE for step in range(2 * WEEK_MINUTES + 2 * DAY_MINUTES))
    expected = next((minute for minute in two_weeks if is_quiet(spans, zone, minute) != quiet), None)
    assert expected == found
    if found is not None:
        assert found.astimezone(zone).utcoffset() == found.utcoffset()


@given(spans=quiet_spans, place=anywhere())
def test_nothing_differs_before_the_next_quiet_change_in_any_zone(spans, place):
    zone, at = place
    found = next_quiet_change(spans, zone, at)
    quiet = is_quiet(spans, zone, at)
    end = at + timedelta(days=8) if found is None else found
    assert {quiet} == {is_quiet(spans, zone, at + (end - at) * share / 200) for share in range(200)}
    if found is not None:
        assert at < found
        assert quiet == is_quiet(spans, zone, found - TICK)
        assert quiet != is_quiet(spans, zone, found)
