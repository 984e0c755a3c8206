"""What a cap says: how many, in which window, under which key, of what, counted from when. Nothing is implicit.

The three windows, and the instants at which they change:

- rolling     a send counts for every instant less than `seconds` away; exactly `seconds` later it no longer does
- calendar    sends within the day, week or month that the instant falls into, in the recipient's or a given zone
- countdown   a send counts until the countdown that it started ends; later edits of the policy don't move that end

A send that is already planned for later counts too, so that no two sends, decided in whatever order, stand closer
than the cap allows: for a rolling window within `seconds` before it, for a countdown at any time before it, since how
long its own countdown will be is already fixed and ours may differ.

Where more sends count than a question lists one by one, the unlisted ones, which are the oldest, are taken to count
as long as they may: the fact is never too small, and it is exact where none is unlisted.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import ClassVar, Literal, cast
from zoneinfo import ZoneInfo

import msgspec

from guardrails.core.candidate import Candidate, Recipient
from guardrails.core.conditions import TRUE, Condition
from guardrails.core.needs import (
    CapCheck,
    CountOn,
    Preferences,
    Query,
    Take,
    Usage,
    UsageQuery,
)
from guardrails.core.timing import CalendarUnit, Zone, calendar_window, zones_of

__all__ = [
    "CAP_PARTS",
    "LISTED_TIMES",
    "RECIPIENT",
    "CalendarWindow",
    "CapRule",
    "CountdownWindow",
    "RollingWindow",
    "Window",
    "cap_keys",
]

LISTED_TIMES = 1000
"""How many sends are listed one by one at most; limits of rolling and countdown windows stay within it."""

Interval = tuple[datetime, datetime]
"""Half-open, in UTC: the sends whose instant (`UsageQuery.by`) lies in it count."""

_LONGEST_DAYS: Mapping[CalendarUnit, int] = {"day": 1, "week": 7, "month": 31}
_encode = msgspec.json.Encoder().encode
_TICK = timedelta.resolution  # the step from "at" to "after"
_FOREVER = datetime.max.replace(tzinfo=UTC)


class RollingWindow(msgspec.Struct, frozen=True, tag=True):
    """Less than `seconds` from the instant, before it or after it."""

    seconds: int
    by: ClassVar[Literal["counted_at", "until"]] = "counted_at"

    @property
    def keep_seconds(self) -> int:
        """How long after it counted a send may still be asked for."""
        return self.seconds

    def intervals(self, _recipient: Recipient, at: datetime) -> tuple[Interval, ...]:
        """Sends less than `seconds` away; `at` is in UTC."""
        return _rolling_intervals(self.seconds, at)

    def next_change(self, times: tuple[datetime, ...], interval: Interval) -> datetime | None:
        """When the first of the sends that count is `seconds` old, or a planned one comes nearer than that."""
        span = _span(self.seconds)
        first, beyond = (bisect_left(times, bound) for bound in interval)
        leaves = times[first].astimezone(UTC) + span if first < beyond else None
        enters = times[beyond].astimezone(UTC) - span + _TICK if beyond < len(times) else None
        return min(leaves, enters) if leaves is not None and enters is not None else leaves or enters


class CalendarWindow(msgspec.Struct, frozen=True, tag=True):
    """The calendar day, week or month around the instant, in `zone`. `week_starts`: 0 is Monday."""

    unit: CalendarUnit
    zone: Zone
    week_starts: int = 0
    by: ClassVar[Literal["counted_at", "until"]] = "counted_at"

    @property
    def keep_seconds(self) -> int:
        """How long after it counted a send may still be asked for: the longest such unit, and a change of offset."""
        return _LONGEST_DAYS[self.unit] * 86_400 + 86_400

    def intervals(self, recipient: Recipient, at: datetime) -> tuple[Interval, ...] | None:
        """Sends in the unit around `at`, for each zone that the recipient may be in; None where that is unknown.

        `at` is in UTC.
        """
        zones = zones_of(self.zone, recipient)
        return None if zones is None else _calendar_intervals(self.unit, zones, at, self.week_starts)

    def next_change(self, times: tuple[datetime, ...], interval: Interval) -> datetime | None:
        """The end of the unit, where there are sends in it or after it."""
        start, end = interval
        return end if bisect_left(times, start) < len(times) else None


class CountdownWindow(msgspec.Struct, frozen=True, tag=True):
    """`seconds` from each send on, fixed when that send began to count."""

    seconds: int
    by: ClassVar[Literal["counted_at", "until"]] = "until"

    @property
    def keep_seconds(self) -> int:
        """Once its countdown ended, nobody asks for a send."""
        return 0

    def intervals(self, _recipient: Recipient, at: datetime) -> tuple[Interval, ...]:
        """Countdowns that end after `at`, which is in UTC."""
        return ((at + _TICK, _FOREVER),)

    def next_change(self, times: tuple[datetime, ...], interval: Interval) -> datetime | None:
        """The first end of a countdown that runs."""
        first = bisect_left(times, interval[0])
        return times[first] if first < len(times) else None


Window = RollingWindow | CalendarWindow | CountdownWindow


# A case asks several times for the intervals at its instant, and so do the candidates that are decided together.
# INVARIANT: `at` is in UTC. Two instants of one zone that differ in `fold` alone are equal to Python, hence to a cache.


@lru_cache(maxsize=10_000)
def _rolling_intervals(seconds: int, at: datetime) -> tuple[Interval, ...]:
    span = _span(seconds)
    return ((at - span + _TICK, at + span),)


@lru_cache(maxsize=10_000)
def _span(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


@lru_cache(maxsize=10_000)
def _calendar_intervals(
    unit: CalendarUnit, zones: tuple[ZoneInfo, ...], at: datetime, week_starts: int
) -> tuple[Interval, ...]:
    windows = (calendar_window(unit, zone, at, week_starts=week_starts) for zone in zones)
    return tuple((start.astimezone(UTC), end.astimezone(UTC)) for start, end in windows)


class CapRule(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """At most `limit` sends in `window` for each combination of the facts named in `per`.

    `per` holds field names, of those in `CAP_PARTS`; empty for one counter over everything. `content.tags` makes one
    counter a tag. `counts` says which sends count, whether or not the policy applies to them; where it is unknown,
    they do. Where it is `personal`, its recipient may choose fewer than `limit`.
    """

    id: str
    limit: int
    window: Window
    per: tuple[str, ...]
    counts: Condition = TRUE
    count_on: CountOn = "reserved"
    personal: bool = False

    @cached_property
    def is_tallied(self) -> bool:
        """Whether its keys are shared by recipients and its windows are calendar ones (`Take.is_tallied`).

        INVARIANT: no property of the limit, so that an edit of the limit finds everything that was counted before.
        """
        return isinstance(self.window, CalendarWindow) and not self.is_owned

    @cached_property
    def is_owned(self) -> bool:
        """Whether its keys are one recipient's each."""
        return RECIPIENT in self.per

    @cached_property
    def is_zoned(self) -> bool:
        """Whether its windows are calendar ones in the recipient's zone."""
        return isinstance(self.window, CalendarWindow) and self.window.zone.name == "recipient"

    def _lacks_zone(self, recipient: Recipient) -> bool:
        """Whether its windows are in the recipient's zone, and that is unknown."""
        window = self.window
        return isinstance(window, CalendarWindow) and zones_of(window.zone, recipient) is None

    def limit_for(self, chosen: Preferences) -> int:
        """The limit that holds for a recipient who chose so: their own where it is lower, never more than `limit`."""
        own = chosen.limits.get(self.id) if self.personal else None
        return self.limit if own is None else min(own, self.limit)

    def takes(self, candidate: Candidate) -> tuple[Take, ...]:
        """The slots that a send of `candidate` takes, one a key; none where a part of the key is missing."""
        keys = cap_keys(self.per, candidate)
        if not keys:
            return ()
        window, owner, is_tallied = self.window, candidate.recipient.id if self.is_owned else None, self.is_tallied
        seconds = window.seconds if isinstance(window, CountdownWindow) else None
        keep, on = window.keep_seconds, self.count_on
        return tuple([Take(self.id, key, on, seconds, owner, keep, is_tallied) for key in keys])

    def questions(self, keys: tuple[str, ...], recipient: Recipient, at: datetime) -> tuple[UsageQuery, ...] | None:
        """The questions for `keys`, in their order; None where the zone is unknown. A tallied key has one a zone."""
        window = self.window
        intervals = window.intervals(recipient, at.astimezone(UTC))
        if intervals is None:
            return None
        if self.is_tallied:
            return tuple(
                UsageQuery(self.id, key, start, 0, window.by, None, end) for key in keys for start, end in intervals
            )
        owner = recipient.id if self.is_owned else None
        since = intervals[0][0] if len(intervals) == 1 else min(intervals)[0]
        # As many as can be, and not just `limit`: the newest may all be planned for later and say nothing of now.
        return tuple([UsageQuery(self.id, key, since, LISTED_TIMES, window.by, owner) for key in keys])

    def used(self, usages: tuple[Usage, ...], recipient: Recipient, at: datetime) -> int | None:
        """How many count at `at` by the answers to `questions`, at the most; None where the zone is unknown."""
        used = _not_empty(usages)
        if not used:
            return None if self._lacks_zone(recipient) else 0
        intervals = self.window.intervals(recipient, at.astimezone(UTC))
        if intervals is None:
            return None
        if self.is_tallied:
            return max([_tallied(usage, at) for usage in used], default=0)
        return max([_used(usage, start, end) for usage in used for start, end in intervals], default=0)

    def next_change(self, usages: tuple[Usage, ...], recipient: Recipient, at: datetime) -> datetime | None:
        """When, for one of the keys and zones, a send stops to count or begins to."""
        used = _not_empty(usages)
        if not used:
            return None
        intervals = self.window.intervals(recipient, at.astimezone(UTC)) or ()
        if self.is_tallied:
            changes = [_next_tallied_change(usage, at, intervals) for usage in used]
        else:
            changes = [self.window.next_change(usage.times, interval) for interval in intervals for usage in used]
        found = [change for change in changes if change is not None]
        return min(found) if found else None

    def checks(
        self, queries: tuple[Query, ...], limit: int, recipient: Recipient, at: datetime
    ) -> tuple[CapCheck, ...]:
        """Room for less than `limit` under each key, in each zone. `queries` are this rule's own `questions`."""
        intervals = self.window.intervals(recipient, at.astimezone(UTC)) or ()
        return tuple(
            [
                CapCheck(query, start, end, limit)
                for query in cast("tuple[UsageQuery, ...]", queries)
                for start, end in intervals
                if query.split is None or query.split == end
            ]
        )


def _not_empty(usages: tuple[Usage, ...]) -> list[Usage]:
    """Those that tell of a send at all: mostly none, and then no window has to be looked at."""
    return [usage for usage in usages if usage.times or usage.older or usage.later]


def _tallied(usage: Usage, at: datetime) -> int:
    """Of the window that was asked about it is known how many count; of later ones, how many in all of them."""
    return usage.older if usage.split is not None and at < usage.split else usage.later


def _next_tallied_change(usage: Usage, at: datetime, intervals: tuple[Interval, ...]) -> datetime | None:
    """The end of the window, where there are sends in it or after it."""
    if usage.split is not None and at < usage.split:
        return usage.split if usage.older or usage.later else None
    return min((end for _, end in intervals), default=None) if usage.later else None


def _used(usage: Usage, start: datetime, end: datetime) -> int:
    times = usage.times
    if not times:
        return usage.older
    listed = bisect_left(times, end) - bisect_left(times, start)
    return listed + usage.older if start <= times[0] else listed


def cap_keys(per: tuple[str, ...], candidate: Candidate) -> tuple[str, ...] | None:
    """The keys that `candidate` counts under, or None: a part is missing.

    A key is the JSON array of the values, in the order of `CAP_PARTS` however `per` is ordered. With `content.tags`
    there is one key for each tag; none where there are no tags. A very long key is told by its digest. Raises
    ValueError for a name not in `CAP_PARTS`.
    """
    values: list[object] = []
    for part in _parts(per):
        value = part(candidate)
        if value is None:
            return None
        values.append(value)
    if _TAGS not in per:
        return (_key(values),)
    tags = cast("tuple[str, ...]", values.pop())
    return tuple(_key([*values, tag]) for tag in dict.fromkeys(tags))


def _key(values: Sequence[object]) -> str:
    key = _encode(values)
    if len(key) > _KEY_BYTES:
        key = _encode([f"sha256:{hashlib.sha256(key).hexdigest()}"])
    return key.decode()


_KEY_BYTES = 1_000
"""A longer key is told by its digest: no store's index takes keys of any length."""


RECIPIENT = "recipient.id"
"""The part that makes a key one recipient's own."""

_TAGS = "content.tags"

CAP_PARTS: Mapping[str, Callable[[Candidate], str | tuple[str, ...] | None]] = {
    RECIPIENT: lambda candidate: candidate.recipient.id,
    "channel": lambda candidate: candidate.channel,
    "campaign.id": lambda candidate: None if candidate.campaign is None else candidate.campaign.id,
    "sponsor.id": lambda candidate: None if candidate.sponsor is None else candidate.sponsor.id,
    "content.topic": lambda candidate: candidate.content.topic,
    "content.class": lambda candidate: candidate.content.class_,
    "context.kind": lambda candidate: None if candidate.context is None else candidate.context.kind,
    "context.id": lambda candidate: None if candidate.context is None else candidate.context.id,
    "offer.id": lambda candidate: None if candidate.offer is None else candidate.offer.id,
    "affiliate.id": lambda candidate: None if candidate.affiliate is None else candidate.affiliate.id,
    "spend.currency": lambda candidate: None if candidate.spend is None else candidate.spend.currency,
    "offer.currency": lambda candidate: None if candidate.offer is None else candidate.offer.currency,
    _TAGS: lambda candidate: candidate.content.tags,  # last: `cap_keys` makes a key of each
}
"""What a cap's key may be made of. The order is part of every key that is stored: add at the end, before the tags."""


@lru_cache(maxsize=1_000)
def _parts(per: tuple[str, ...]) -> tuple[Callable[[Candidate], str | tuple[str, ...] | None], ...]:
    """What reads the parts of a key from a candidate, in the order of `CAP_PARTS`."""
    order = list(CAP_PARTS)
    return tuple(CAP_PARTS[field] for field in sorted(set(per), key=order.index))
