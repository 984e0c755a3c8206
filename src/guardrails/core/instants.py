"""Adding to an instant without falling off the calendar, which ends with the year 9999.

A caller may name any instant there is, and no candidate may make a policy fail.
"""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["later"]


def later(instant: datetime, seconds: int) -> datetime | None:
    """The instant `seconds` after `instant`, or None where the calendar has no such instant: that is, never."""
    try:
        return instant + timedelta(seconds=seconds)
    except OverflowError:
        return None
