"""Instants as they are stored: microseconds since 1970 in UTC, as an integer, exact and ordered like the instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["FIRST_MICROS", "LAST_MICROS", "MICROS_PER_SECOND", "from_micros", "to_micros"]

MICROS_PER_SECOND = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

FIRST_MICROS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LAST_MICROS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The first and the last instant there are in UTC; what would lie beyond one of them is read as it."""


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant; raises TypeError where it is naive."""
    elapsed = instant - _EPOCH  # its parts make the whole in half the time that a division takes
    return (elapsed.days * 86_400 + elapsed.seconds) * MICROS_PER_SECOND + elapsed.microseconds


def from_micros(micros: int) -> datetime:
    """The instant, in UTC."""
    if not FIRST_MICROS <= micros <= LAST_MICROS:
        micros = FIRST_MICROS if micros < FIRST_MICROS else LAST_MICROS
    return _EPOCH + micros * _MICROSECOND
