"""Instants as they are stored: microseconds since 1970 in UTC, as an integer, exact and ordered like the instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["LAST_MICROS", "MICROS_PER_SECOND", "from_micros", "to_micros"]

MICROS_PER_SECOND = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

LAST_MICROS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The last instant there is; what would lie beyond it is read as it."""


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant; raises TypeError where it is naive."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant, in UTC."""
    return _EPOCH + timedelta(microseconds=min(micros, LAST_MICROS))
