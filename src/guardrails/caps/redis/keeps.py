"""For how long Redis keeps the slots of each cap: the longest time back that any question is known to ask.

A cap that is new to an epoch is kept as its first take says. One that is known can't just be kept for longer, as where
its window was edited: what was let go of by the shorter time would be missing. So the caps are built anew for it.

INVARIANT: of a cap that an epoch keeps for so long, every slot of a committed decision that is no older is there; of a
cap that it does not know, no committed decision holds any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import ceil

from guardrails.core.needs import Take, UsageQuery
from guardrails.errors import DependencyError

__all__ = [
    "APART",
    "LATE",
    "SLACK",
    "Keeps",
    "OutgrownError",
    "keep_seconds",
    "longest",
    "outgrown",
    "reach",
    "together",
]

Keeps = Mapping[str, int]
"""Seconds, by cap."""

SLACK = timedelta(minutes=62)
"""How much longer than that slots are kept: the clocks of services and of Redis may differ, and decisions wait."""

APART = timedelta(minutes=61)
"""How far the `now` of a service may be behind the clock of Redis: beyond it, what is asked for may be let go of."""

LATE = SLACK - APART
"""How much of the slack is for waiting: a question may be so much older than the `now` of those it is asked with."""


class OutgrownError(DependencyError):
    """A cap is to be kept for longer than the epoch keeps it."""


def longest(takes: Iterable[Take]) -> dict[str, int]:
    """For how long takes want their caps to be kept."""
    wanted: dict[str, int] = {}
    for take in takes:
        wanted[take.cap] = max(wanted.get(take.cap, 0), take.keep_seconds)
    return wanted


def reach(queries: Iterable[UsageQuery], now: datetime) -> dict[str, int]:
    """For how long questions want their caps to have been kept: as far as they go back."""
    first: dict[str, datetime] = {}
    for query in queries:
        first[query.cap] = min(first.get(query.cap, now), query.since)
    return {cap: max(0, ceil((now - since).total_seconds())) for cap, since in first.items()}


def keep_seconds(take: Take, keeps: Keeps) -> int:
    """For how long a slot is kept after its instant."""
    return max(take.keep_seconds, keeps.get(take.cap, 0))


def outgrown(keeps: Keeps, wanted: Keeps, *, late: timedelta = timedelta(0)) -> dict[str, int]:
    """What of the wanted is more than is kept of a cap that is known, by more than whoever wants it is late."""
    seconds_late = late.total_seconds()
    return {cap: seconds for cap, seconds in wanted.items() if keeps.get(cap, seconds) + seconds_late < seconds}


def together(keeps: Keeps, others: Keeps) -> dict[str, int]:
    """What keeps each cap for as long as either does."""
    return {cap: max(keeps.get(cap, 0), others.get(cap, 0)) for cap in keeps.keys() | others.keys()}
