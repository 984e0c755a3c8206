"""Time: durations, zones with their fallbacks, calendar windows and quiet spans.

Intervals are half-open, instants are aware datetimes, zones are IANA. Nothing here reads a clock.
"""
# NOTE FOR HELPER: signatures that others rely on; bodies to be written.
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from guardrails.core.candidate import Recipient


class Zone(msgspec.Struct, frozen=True):
    """Which zone a policy means: the recipient's, or the one named in `name`.

    `fallback` says what happens where the recipient's is missing or invalid: a zone's name, `strictest` (every zone
    that the recipient's region or country allows) or `deny` (the fact stays missing, so the policy is undetermined).
    The loader has already replaced `project` by the project's zone.
    """

    name: str  # an IANA name, or "recipient"
    fallback: str = "deny"


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `30m`, `24h`, `7d`, `2w`; raises ValueError."""
    raise NotImplementedError


def zones_of(zone: Zone, recipient: Recipient) -> tuple[ZoneInfo, ...] | None:
    """The zones that may hold for the recipient (one, but for `strictest`), or None: unknown."""
    raise NotImplementedError


def calendar_window(
    unit: Literal["day", "week", "month"], zone: ZoneInfo, at: datetime, *, week_starts: int = 0
) -> tuple[datetime, datetime]:
    """Start and end, in `zone`'s own offset, of the calendar unit around `at`."""
    raise NotImplementedError


class QuietSpan(msgspec.Struct, frozen=True):
    """Local wall-clock span on `weekdays` (0 is Monday, the day it begins on); over midnight where start >= end."""

    weekdays: tuple[int, ...]
    start_minute: int
    end_minute: int


def is_quiet(spans: tuple[QuietSpan, ...], zone: ZoneInfo, at: datetime) -> bool:
    """Whether `at` lies in one of the spans in `zone`."""
    raise NotImplementedError


def next_quiet_change(spans: tuple[QuietSpan, ...], zone: ZoneInfo, at: datetime) -> datetime | None:
    """The first instant after `at` at which `is_quiet` changes, or None: never."""
    raise NotImplementedError
