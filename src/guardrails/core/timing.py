"""Time: durations, a policy's zone with its fallbacks, calendar windows and quiet spans.

Intervals are half-open, instants are aware datetimes, zones are IANA. Nothing here reads a clock. Instants go in with
any offset and come out with the zone's offset of that moment as a fixed one: Python compares and subtracts two
datetimes of one `ZoneInfo` by the wall clock, which is wrong across a change of offset.

When clocks go forward, a wall-clock time that is left out stands for the first instant after the gap. When they go
back, a day begins at its first midnight, and a quiet span holds in both passes of what the clock shows twice.

Holds for the years 2 to 9998; beyond, OverflowError.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from guardrails.core.candidate import Recipient
from guardrails.core.zones import zone_named, zones_in

__all__ = [
    "CLOCK_SKEW",
    "LONGEST_SECONDS",
    "ZONE_FIELD",
    "CalendarUnit",
    "QuietSpan",
    "Zone",
    "calendar_window",
    "format_duration",
    "has_zone",
    "in_chosen_zone",
    "is_quiet",
    "next_quiet_change",
    "parse_duration",
    "told_at",
    "zones_of",
]

CalendarUnit = Literal["day", "week", "month"]

ZONE_FIELD = "recipient.timezone"
"""The candidate's field that a policy in the recipient's zone goes by."""

LONGEST_SECONDS = 3650 * 86_400
"""The longest duration, ten years: so that no sum of an instant and a duration leaves the calendar."""

_SECONDS_IN = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]{1,9})([wdhms])")

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_LONG_ENOUGH = 3 * 7 * _DAY  # shows every minute of the week, though a zone leaves a whole day out


class Zone(msgspec.Struct, frozen=True):
    """Which zone a policy means: the recipient's, or the one named in `name`.

    `fallback` says what happens where the recipient's is missing or invalid: a zone's name, `strictest` (every zone
    that the recipient's region or country allows) or `deny` (the fact stays missing, so the policy is undetermined).
    The loader has already replaced `project` by the project's zone.
    """

    name: str  # an IANA name, or "recipient"
    fallback: str = "deny"


class QuietSpan(msgspec.Struct, frozen=True):
    """Local wall-clock span on `weekdays` (0 is Monday, the day it begins on); over midnight where start >= end.

    Equal minutes mean 24 hours. `end_minute` may be 1440, the end of the day.
    """

    weekdays: tuple[int, ...]
    start_minute: int
    end_minute: int


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `30m`, `24h`, `7d`, `2w`; at least a second, at most ten years. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"`{text[:40]}` is not a duration; write a whole number and a unit: `90s`, `30m`, `24h`, `7d` or `2w`"
        )
    seconds = int(match[1]) * _SECONDS_IN[match[2]]
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"`{text}` is out of bounds; a duration is at least `1s` and at most `3650d`")
    return seconds


def format_duration(seconds: int) -> str:
    """The text of a duration in the largest unit that is exact: 86400 is `1d`, 5400 is `90m`."""
    unit = next(unit for unit, size in _SECONDS_IN.items() if seconds % size == 0)
    return f"{seconds // _SECONDS_IN[unit]}{unit}"


def zones_of(zone: Zone, recipient: Recipient) -> tuple[ZoneInfo, ...] | None:
    """The zones that may hold for the recipient (one, but for `strictest`), or None: unknown."""
    if zone.name != "recipient":
        return _only(zone.name)
    if recipient.timezone is not None and (own := _only(recipient.timezone)) is not None:
        return own
    if zone.fallback == "deny":
        return None
    if zone.fallback == "strictest":
        return zones_in(recipient.country, recipient.region)
    return _only(zone.fallback)


def has_zone(recipient: Recipient) -> bool:
    """Whether the sender brought a zone of the recipient that exists."""
    return recipient.timezone is not None and zone_named(recipient.timezone) is not None


def in_chosen_zone(recipient: Recipient, chosen: str | None) -> Recipient:
    """The recipient with the zone that they chose themselves, where the sender brought none that exists."""
    if chosen is None or has_zone(recipient):
        return recipient
    return msgspec.structs.replace(recipient, timezone=chosen)


@lru_cache(maxsize=1_000)
def _only(name: str) -> tuple[ZoneInfo] | None:
    zone = zone_named(name)
    return None if zone is None else (zone,)


def calendar_window(
    unit: CalendarUnit, zone: ZoneInfo, at: datetime, *, week_starts: int = 0
) -> tuple[datetime, datetime]:
    """Start and end of the calendar day, week or month around `at`, each in `zone`'s offset of that moment.

    The windows of a unit and zone are a partition of time: each ends where the next one starts. `week_starts`: 0 is
    Monday.
    """
    day = at.astimezone(zone).date()
    window = _window(unit, zone, day, week_starts)
    if at < window[1]:
        return window
    # Clocks went back over midnight: it is this date once more, but the next one has already begun.
    return _window(unit, zone, day + _DAY, week_starts)


@lru_cache(maxsize=10_000)
def _window(unit: CalendarUnit, zone: ZoneInfo, day: date, week_starts: int) -> tuple[datetime, datetime]:
    """The window of the unit that the local date `day` belongs to."""
    if unit == "day":
        first, after = day, day + _DAY
    elif unit == "week":
        first = day - (day.weekday() - week_starts) % 7 * _DAY
        after = first + 7 * _DAY
    else:
        first = day.replace(day=1)
        after = (first + 31 * _DAY).replace(day=1)
    return _start_of(zone, first), _start_of(zone, after)


def _start_of(zone: ZoneInfo, day: date) -> datetime:
    """The first instant at which the local date is `day` or later."""
    midnight = datetime.combine(day, time(), tzinfo=zone)
    start = midnight.astimezone(UTC)
    other = midnight.replace(fold=1).astimezone(UTC)
    if other < start:  # PEP 495: only in a gap does fold=1 mean the earlier instant
        start = _change_of_offset(zone, other, start)
    return _in_fixed_offset(start, zone)


def _change_of_offset(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second at which `zone` takes the offset it has at `after`, another than at `before`; both in UTC."""
    before = before.replace(microsecond=0)  # clocks are set at whole seconds
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, (after - before) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + high * _SECOND


def _in_fixed_offset(instant: datetime, zone: ZoneInfo) -> datetime:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - a ZoneInfo always has one; this tells the type checker
    return instant.astimezone(timezone(offset))


def is_quiet(spans: tuple[QuietSpan, ...], zone: ZoneInfo, at: datetime) -> bool:
    """Whether the wall clock in `zone` shows at `at` a time that lies in one of the spans."""
    local = at.astimezone(zone)
    weekday = local.weekday()
    minute = local.hour * 60 + local.minute
    for span in spans:
        if span.start_minute < span.end_minute:
            if weekday in span.weekdays and span.start_minute <= minute < span.end_minute:
                return True
        elif minute >= span.start_minute:
            if weekday in span.weekdays:
                return True
        elif minute < span.end_minute and (weekday - 1) % 7 in span.weekdays:
            return True
    return False


def next_quiet_change(spans: tuple[QuietSpan, ...], zone: ZoneInfo, at: datetime) -> datetime | None:
    """The first instant after `at` at which `is_quiet` changes, or None: never.

    Goes from one instant at which it might change to the next: the wall clock reaches an edge of a span, or is set.
    """
    edges = _edges(spans)
    if not edges:
        return None
    quiet = is_quiet(spans, zone, at)
    instant = at.astimezone(UTC)
    last = instant + _LONG_ENOUGH
    while instant < last:
        local = instant.astimezone(zone)
        # A day at most, so that no two changes of the offset that cancel each other are stepped over.
        step = instant + min(_until_edge(edges, local), _DAY)
        if step.astimezone(zone).utcoffset() != local.utcoffset():
            step = _change_of_offset(zone, instant, step)
        if is_quiet(spans, zone, step) != quiet:
            return _in_fixed_offset(step, zone)
        instant = step
    return None


@lru_cache(maxsize=1_000)
def _edges(spans: tuple[QuietSpan, ...]) -> tuple[int, ...]:
    """Where spans begin and end, in minutes since Monday's midnight, ascending."""
    edges = set()
    for span in spans:
        for weekday in span.weekdays:
            over_midnight = span.start_minute >= span.end_minute
            edges.add(weekday * _DAY_MINUTES + span.start_minute)
            edges.add(((weekday + over_midnight) * _DAY_MINUTES + span.end_minute) % _WEEK_MINUTES)
    return tuple(sorted(edges))


def _until_edge(edges: tuple[int, ...], local: datetime) -> timedelta:
    """How long the wall clock runs from `local` to the next edge after it."""
    minute = local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute
    place = bisect_right(edges, minute)
    edge = edges[place] if place < len(edges) else edges[0] + _WEEK_MINUTES
    return timedelta(minutes=edge - minute, seconds=-local.second, microseconds=-local.microsecond)


CLOCK_SKEW = timedelta(minutes=5)
"""By so much another machine's clock may be ahead of ours."""


def told_at(at: datetime | None, now: datetime) -> datetime:
    """The instant at which somebody says something took place: at the latest now, where clocks differ a little.

    What lies further in the future than clocks differ is returned as it is, for the caller to refuse.
    """
    if at is None:
        return now
    return now if now < at <= now + CLOCK_SKEW else at
