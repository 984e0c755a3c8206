"""Durations, zones with their fallbacks, calendar windows and quiet spans."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from guardrails.core.candidate import Recipient
from guardrails.core.timing import (
    LONGEST_SECONDS,
    QuietSpan,
    Zone,
    calendar_window,
    format_duration,
    is_quiet,
    next_quiet_change,
    parse_duration,
    zones_of,
)
from guardrails.core.zones import zone_named

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
NIGHT = QuietSpan(EVERY_DAY, 22 * 60, 8 * 60)


def instant(text):
    return datetime.fromisoformat(text)


def texts(instants):
    return tuple(each.isoformat() for each in instants)


# --- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("30m", 1_800),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("007d", 604_800),
        ("3650d", LONGEST_SECONDS),
        ("315360000s", LONGEST_SECONDS),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text, seconds):
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "7", "d", "7 d", " 7d", "7d ", "7d\n", "1.5h", "-1d", "+1d", "7D", "1h30m", "1y", "٣d", "²d", "9" * 5000],
)
def test_other_text_is_no_duration_and_the_error_says_how_one_is_written(text):
    with pytest.raises(ValueError, match="is not a duration; write a whole number and a unit: `90s`") as caught:
        parse_duration(text)
    assert f"`{text[:40]}`" in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["0s", "0w", "000d", "3651d", "315360001s", "999999999w"])
def test_a_duration_is_at_least_a_second_and_at_most_ten_years(text):
    with pytest.raises(ValueError, match=f"`{text}` is out of bounds; a duration is at least `1s` and at most `3650d`"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1s"), (90, "90s"), (5_400, "90m"), (86_400, "1d"), (90_000, "25h"), (1_209_600, "2w")]
)
def test_a_duration_is_written_in_the_largest_exact_unit(seconds, text):
    assert text == format_duration(seconds)


# --- zones


@pytest.mark.parametrize(
    ("zone", "recipient", "expected"),
    [
        (Zone("Asia/Tokyo"), {"timezone": "Europe/Berlin"}, ["Asia/Tokyo"]),
        (Zone("Mars/Olympus"), {"timezone": "Europe/Berlin"}, None),
        (Zone("recipient"), {"timezone": "Europe/Berlin"}, ["Europe/Berlin"]),
        (Zone("recipient", "strictest"), {"timezone": "Europe/Berlin", "country": "US"}, ["Europe/Berlin"]),
        (Zone("recipient", "deny"), {}, None),
        (Zone("recipient", "deny"), {"timezone": "../../etc/passwd", "country": "DE"}, None),
        (Zone("recipient", "Asia/Tokyo"), {}, ["Asia/Tokyo"]),
        (Zone("recipient", "Asia/Tokyo"), {"timezone": "europe/berlin"}, ["Asia/Tokyo"]),
        (Zone("recipient", "Asia/Tokyo"), {"timezone": "recipient"}, ["Asia/Tokyo"]),
        (Zone("recipient", "Mars/Olympus"), {}, None),
        (Zone("recipient", "strictest"), {"country": "DE"}, ["Europe/Berlin"]),
        (Zone("recipient", "strictest"), {"timezone": "", "region": "US-CA"}, ["America/Los_Angeles"]),
        (Zone("recipient", "strictest"), {"country": "US", "region": "US-TX"}, ["America/Chicago", "America/Denver"]),
        (Zone("recipient", "strictest"), {"country": "ZZ"}, None),
        (Zone("recipient", "strictest"), {}, None),
    ],
)
def test_the_zone_is_the_policys_or_the_recipients_or_the_fallbacks(zone, recipient, expected):
    found = zones_of(zone, Recipient(id="r-1", **recipient))
    assert expected == (None if found is None else [each.key for each in found])


# --- calendar windows


@pytest.mark.parametrize(
    ("unit", "zone", "at", "window"),
    [
        ("day", "UTC", "2026-05-05T00:00:00+00:00", ("2026-05-05T00:00:00+00:00", "2026-05-06T00:00:00+00:00")),
        (
            "day",
            "Europe/Berlin",
            "2026-05-04T22:00:00+00:00",
            ("2026-05-05T00:00:00+02:00", "2026-05-06T00:00:00+02:00"),
        ),
        (
            "day",
            "Europe/Berlin",
            "2026-05-04T21:59:59.999999+00:00",
            ("2026-05-04T00:00:00+02:00", "2026-05-05T00:00:00+02:00"),
        ),
        (
            "day",
            "Asia/Kathmandu",
            "2026-05-05T18:14:59+00:00",
            ("2026-05-05T00:00:00+05:45", "2026-05-06T00:00:00+05:45"),
        ),
        # 23 hours, and 25
        (
            "day",
            "Europe/Berlin",
            "2026-03-29T12:00:00+00:00",
            ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ),
        (
            "day",
            "Europe/Berlin",
            "2026-10-25T12:00:00+00:00",
            ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ),
        # midnight does not exist
        (
            "day",
            "America/Sao_Paulo",
            "2018-11-04T12:00:00+00:00",
            ("2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"),
        ),
        (
            "day",
            "America/Sao_Paulo",
            "2018-11-04T02:59:59+00:00",
            ("2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"),
        ),
        (
            "day",
            "Asia/Beirut",
            "2026-03-29T12:00:00+00:00",
            ("2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"),
        ),
        (
            "day",
            "Africa/Cairo",
            "2026-04-24T12:00:00+00:00",
            ("2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"),
        ),
        # the clocks skip from 23:30 to 00:30: the day begins at the first instant after the gap
        (
            "day",
            "America/Toronto",
            "1919-03-31T12:00:00+00:00",
            ("1919-03-31T00:30:00-04:00", "1919-04-01T00:00:00-04:00"),
        ),
        # a day that never was
        (
            "day",
            "Pacific/Apia",
            "2011-12-30T09:59:59+00:00",
            ("2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"),
        ),
        (
            "day",
            "Pacific/Apia",
            "2011-12-30T10:00:00+00:00",
            ("2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"),
        ),
        # midnight exists twice: the first begins the day
        (
            "day",
            "America/Havana",
            "2025-11-02T05:30:00+00:00",
            ("2025-11-02T00:00:00-04:00", "2025-11-03T00:00:00-05:00"),
        ),
        # from the end of the day back to 23:00: the day goes on
        (
            "day",
            "America/Sao_Paulo",
            "2018-02-18T02:30:00+00:00",
            ("2018-02-17T00:00:00-02:00", "2018-02-18T00:00:00-03:00"),
        ),
        # from 00:01 back to 23:01: the date is the old one once more, but the new day has begun
        (
            "day",
            "America/St_Johns",
            "2010-11-07T03:00:00+00:00",
            ("2010-11-07T00:00:00-02:30", "2010-11-08T00:00:00-03:30"),
        ),
        (
            "week",
            "Europe/Berlin",
            "2026-03-29T21:59:59+00:00",
            ("2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ),
        (
            "month",
            "Europe/Berlin",
            "2026-03-31T21:59:59+00:00",
            ("2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
        ),
        ("month", "UTC", "2028-02-29T12:00:00+00:00", ("2028-02-01T00:00:00+00:00", "2028-03-01T00:00:00+00:00")),
        ("month", "UTC", "2026-12-31T23:59:59+00:00", ("2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00")),
    ],
)
def test_a_calendar_window_is_the_local_unit_around_the_instant(unit, zone, at, window):
    assert window == texts(calendar_window(unit, zone_named(zone), instant(at)))


@pytest.mark.parametrize(
    ("week_starts", "first"),
    [(0, "2026-05-04"), (1, "2026-05-05"), (2, "2026-05-06"), (3, "2026-04-30"), (5, "2026-05-02"), (6, "2026-05-03")],
)
def test_a_week_starts_on_the_day_that_the_policy_says(week_starts, first):
    wednesday = instant("2026-05-06T12:00:00+00:00")
    start, end = calendar_window("week", zone_named("UTC"), wednesday, week_starts=week_starts)
    assert first == start.date().isoformat()
    assert timedelta(days=7) == end - start


def test_the_offset_of_the_instant_does_not_matter():
    berlin = zone_named("Europe/Berlin")
    at = instant("2026-10-25T00:30:00+00:00")
    assert calendar_window("day", berlin, at) == calendar_window("day", berlin, at.astimezone(berlin))
    assert calendar_window("day", berlin, at) == calendar_window("day", berlin, at.astimezone(zone_named("Asia/Tokyo")))


# --- quiet spans


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        ("2026-05-05T21:59:59+02:00", False),
        ("2026-05-05T22:00:00+02:00", True),
        ("2026-05-06T00:00:00+02:00", True),
        ("2026-05-06T07:59:59.999999+02:00", True),
        ("2026-05-06T08:00:00+02:00", False),
        ("2026-05-05T20:00:00+00:00", True),
    ],
)
def test_a_span_over_midnight_holds_from_its_start_to_before_its_end(at, quiet):
    assert quiet == is_quiet((NIGHT,), zone_named("Europe/Berlin"), instant(at))


@pytest.mark.parametrize(
    ("span", "quiet_hours"),
    [
        # 2026-05-08 is a Friday; hours are counted from its midnight.
        (QuietSpan((4,), 22 * 60, 24 * 60), [22, 23]),
        (QuietSpan((4,), 22 * 60, 0), [22, 23]),
        (QuietSpan((4,), 22 * 60, 2 * 60), [22, 23, 24, 25]),
        (QuietSpan((4,), 1 * 60, 3 * 60), [1, 2]),
        (QuietSpan((4,), 0, 24 * 60), list(range(24))),
        (QuietSpan((4,), 0, 0), list(range(24))),
        (QuietSpan((4,), 10 * 60, 10 * 60), list(range(10, 34))),
        (QuietSpan((3,), 22 * 60, 2 * 60), [0, 1]),
        (QuietSpan((), 22 * 60, 2 * 60), []),
    ],
)
def test_a_span_belongs_to_the_weekday_it_begins_on_and_equal_ends_mean_a_whole_day(span, quiet_hours):
    midnight = instant("2026-05-08T00:00:00+00:00")
    found = [hour for hour in range(48) if is_quiet((span,), zone_named("UTC"), midnight + timedelta(hours=hour))]
    assert quiet_hours == found


def test_a_span_that_begins_on_sunday_ends_on_monday():
    span = QuietSpan((6,), 22 * 60, 6 * 60)
    monday = instant("2026-05-11T05:59:00+00:00")
    assert is_quiet((span,), zone_named("UTC"), monday)
    assert not is_quiet((span,), zone_named("UTC"), monday + timedelta(minutes=1))


def test_any_span_makes_it_quiet():
    spans = (QuietSpan((0,), 60, 120), QuietSpan(EVERY_DAY, 12 * 60, 13 * 60))
    assert is_quiet(spans, zone_named("UTC"), instant("2026-05-05T12:30:00+00:00"))


def changes(span, zone, at, until):
    """Every instant after `at` and before `until` at which the quiet begins or ends."""
    found = []
    while (at := next_quiet_change((span,), zone_named(zone), at)) is not None and at < until:
        found.append(at)
    return found


@pytest.mark.parametrize(
    ("zone", "span", "day", "expected"),
    [
        ("Europe/Berlin", NIGHT, "2026-05-05", ["2026-05-05T08:00:00+02:00", "2026-05-05T22:00:00+02:00"]),
        # An edge in the gap from 02:00 to 03:00 becomes the first instant after it.
        (
            "Europe/Berlin",
            QuietSpan(EVERY_DAY, 150, 300),
            "2026-03-29",
            ["2026-03-29T03:00:00+02:00", "2026-03-29T05:00:00+02:00"],
        ),
        (
            "Europe/Berlin",
            QuietSpan(EVERY_DAY, 60, 150),
            "2026-03-29",
            ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"],
        ),
        # A span that lies within the gap is left out.
        ("Europe/Berlin", QuietSpan(EVERY_DAY, 130, 170), "2026-03-29", []),
        # What the clock shows twice is quiet twice.
        (
            "Europe/Berlin",
            QuietSpan(EVERY_DAY, 90, 150),
            "2026-10-25",
            [
                "2026-10-25T01:30:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T02:30:00+01:00",
            ],
        ),
        # Half an hour: 02:00 to 02:30, and 02:00 back to 01:30.
        (
            "Australia/Lord_Howe",
            QuietSpan(EVERY_DAY, 135, 180),
            "2026-10-04",
            ["2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"],
        ),
        (
            "Australia/Lord_Howe",
            QuietSpan(EVERY_DAY, 105, 180),
            "2026-04-05",
            [
                "2026-04-05T01:45:00+11:00",
                "2026-04-05T01:30:00+10:30",
                "2026-04-05T01:45:00+10:30",
                "2026-04-05T03:00:00+10:30",
            ],
        ),
        (
            "America/Sao_Paulo",
            QuietSpan(EVERY_DAY, 0, 480),
            "2018-11-04",
            ["2018-11-04T01:00:00-02:00", "2018-11-04T08:00:00-02:00"],
        ),
    ],
)
def test_the_quiet_changes_when_the_wall_clock_says_so(zone, span, day, expected):
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone_named(zone)).astimezone(UTC)
    before = midnight - timedelta(microseconds=1)
    end = calendar_window("day", zone_named(zone), midnight + timedelta(hours=12))[1]
    assert expected == list(texts(changes(span, zone, before, end)))


def test_the_day_that_a_zone_left_out_still_counts_as_the_day_before():
    # Apia went from Thursday, 29 December 2011, to Saturday: Friday's night lost its evening, not its morning.
    friday_night = QuietSpan((4,), 22 * 60, 7 * 60)
    thursday = instant("2011-12-29T12:00:00-10:00")
    found = changes(friday_night, "Pacific/Apia", thursday, thursday + timedelta(days=7, hours=12))
    assert list(texts(found)) == ["2011-12-31T00:00:00+14:00", "2011-12-31T07:00:00+14:00", "2012-01-06T22:00:00+14:00"]


def test_a_change_two_weeks_off_is_found_where_a_zone_left_out_the_day_between():
    friday_noon = QuietSpan((4,), 720, 780)
    after_noon = instant("2011-12-23T13:00:00-10:00")
    found = next_quiet_change((friday_noon,), zone_named("Pacific/Apia"), after_noon)
    assert instant("2012-01-06T12:00:00+14:00") == found


def test_two_changes_of_the_clock_within_a_week_are_both_seen():
    # Gaza's summer time of Ramadan 2040 lasts an hour less than a week: from then on the span comes an hour early.
    a_minute = QuietSpan((5,), 90, 91)
    after_it = instant("2040-10-20T01:31:00+02:00")
    found = next_quiet_change((a_minute,), zone_named("Asia/Gaza"), after_it)
    assert texts([found]) == ("2040-10-27T01:30:00+03:00",)


def test_a_change_is_found_between_two_full_seconds():
    at = instant("2026-03-29T00:59:59.500000+00:00")
    found = next_quiet_change((QuietSpan(EVERY_DAY, 150, 300),), zone_named("Europe/Berlin"), at)
    assert instant("2026-03-29T03:00:00+02:00") == found


@pytest.mark.parametrize(
    "spans",
    [
        (),
        (QuietSpan((), 0, 60),),
        (QuietSpan(EVERY_DAY, 0, 0),),
        (QuietSpan(EVERY_DAY, 0, 1440),),
        (QuietSpan(EVERY_DAY, 600, 600),),
        (QuietSpan(EVERY_DAY, 0, 720), QuietSpan(EVERY_DAY, 700, 0)),
    ],
)
def test_what_is_always_or_never_quiet_never_changes(spans):
    assert next_quiet_change(spans, zone_named("Europe/Berlin"), instant("2026-03-28T12:00:00+00:00")) is None


def test_instants_come_out_with_a_fixed_offset_so_that_they_compare_as_instants():
    found = changes(
        QuietSpan(EVERY_DAY, 90, 150),
        "Europe/Berlin",
        instant("2026-10-25T00:00:00+02:00"),
        instant("2026-10-26T00:00:00+01:00"),
    )
    assert all(earlier < later for earlier, later in pairwise(found))
    assert [timedelta(hours=1), timedelta(minutes=30), timedelta(minutes=30)] == [
        later - earlier for earlier, later in pairwise(found)
    ]
