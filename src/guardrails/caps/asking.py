"""Asking once for what several questions want to know: those about one key differ in nothing but how far back they go.

Decisions that are made together each ask from an instant of their own. Of a key whose sends are listed one by one, the
answer to the question that goes back furthest holds those to the others, unless more count than are listed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime

from guardrails.core.needs import Usage, UsageQuery

__all__ = ["asked_once"]


def asked_once(
    queries: Sequence[UsageQuery], ask: Callable[[Sequence[UsageQuery]], Mapping[UsageQuery, Usage]]
) -> dict[UsageQuery, Usage]:
    """The usage for each question; `ask` is called once, and again where a key holds more than is listed."""
    furthest: dict[Hashable, UsageQuery] = {}
    for query in queries:
        known = furthest.setdefault(_key(query), query)
        if query.since < known.since:
            furthest[_key(query)] = query
    usages = dict(ask(tuple(furthest.values())))
    left: dict[UsageQuery, None] = {}
    for query in queries:
        if query in usages:
            continue
        usage = _since(query.since, usages[furthest[_key(query)]])
        if usage is None:
            left[query] = None
        else:
            usages[query] = usage
    if left:
        usages.update(ask(tuple(left)))
    return usages


def _key(query: UsageQuery) -> Hashable:
    """What questions share that one answer may serve; a question about a tallied key stands for itself."""
    return query if query.split is not None else (query.owner, query.cap, query.key, query.newest)


def _since(since: datetime, usage: Usage) -> Usage | None:
    """What counts from a later instant on; None where some that are not listed may."""
    first = bisect_left(usage.times, since)
    return Usage(times=usage.times[first:]) if usage.older == 0 or first > 0 else None
