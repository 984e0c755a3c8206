"""Caps in memory: what `caps.sql` keeps in tables, in dicts; where order matters, their keys stand in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import Any, TypeVar

from guardrails.caps.slot import Changes, TallySpan, most_older, tallied_from, tally_span
from guardrails.core.needs import Usage, UsageQuery
from guardrails.decide.holdings import Reservation, Settlement
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.memory import Journal

__all__ = ["MemoryCaps"]

Value = TypeVar("Value")
Rows = TypeVar("Rows", bound=MutableMapping[Any, Any])

CapKey = tuple[str, str]
"""Cap and key."""

Moment = tuple[int, str]
"""An instant, and the decision it belongs to."""


class _InOrder(MutableMapping[Moment, Value]):
    """Moments that stand in order, each with its value."""

    def __init__(self) -> None:
        self._values: dict[Moment, Value] = {}
        self._moments: list[Moment] = []

    def __getitem__(self, moment: Moment) -> Value:
        return self._values[moment]

    def __setitem__(self, moment: Moment, value: Value) -> None:
        if moment not in self._values:
            insort(self._moments, moment)
        self._values[moment] = value

    def __delitem__(self, moment: Moment) -> None:
        del self._values[moment]
        del self._moments[bisect_left(self._moments, moment)]

    def __iter__(self) -> Iterator[Moment]:
        return iter(self._moments)

    def __reversed__(self) -> Iterator[Moment]:
        return reversed(self._moments)

    def __len__(self) -> int:
        return len(self._moments)


class MemoryCaps:
    """The in-memory `CapStore`."""

    is_serial = True

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._slots: dict[str, dict[CapKey, _InOrder[int | None]]] = {}
        self._quarters: dict[CapKey, dict[int, tuple[int, int]]] = {}
        self._leases: dict[CapKey, _InOrder[tuple[int, int]]] = {}

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question."""
        at = to_micros(now)
        spans = {query: tally_span(query) for query in queries}
        return {
            query: self._listed(query, at) if span is None else self._tallied(query, span, at)
            for query, span in spans.items()
        }

    def reserve(self, reservations: Sequence[Reservation], _now: datetime, /) -> None:
        """Take all slots of all reservations."""
        self._write(Changes(Settlement(before=None, after=each.holding) for each in reservations))

    def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Bring slots up to date; `before` must be what the store has (`caps.slot.Changes`)."""
        self._write(Changes(settlements))

    def keys_of(self, owner: str, tallied: Collection[str] = (), /) -> Sequence[tuple[str, str]]:
        """Cap and key of everything that is kept for a recipient."""
        listed = [key for key, slots in self._slots.get(owner, {}).items() if slots]
        start = tallied_from(owner)
        return sorted(
            [*listed, *((cap, key) for cap, key in self._quarters if cap in tallied and key.startswith(start))]
        )

    def probe(self) -> None:
        """Nothing can be wanting."""

    def sweep(self, now: datetime, most: int, /) -> int:
        """Remove quarters that no question can ask for any more, the longest useless first."""
        at = to_micros(now)
        old = sorted(
            (keep_until, key, quarter)
            for key, quarters in self._quarters.items()
            for quarter, (_, keep_until) in quarters.items()
            if keep_until <= at
        )[:most]
        for _, key, quarter in old:
            self._drop(self._quarters, key, quarter)
        return len(old)

    def _listed(self, query: UsageQuery, now: int) -> Usage:
        since = to_micros(query.since)
        slots = self._slots.get(query.owner or "", {}).get((query.cap, query.key), _InOrder())
        wanted = takewhile(lambda slot: slot[0] >= since, reversed(slots))
        live = (slot for slot in wanted if (lease_until := slots[slot]) is None or lease_until > now)
        times = [from_micros(instant) for instant, _ in islice(live, query.newest)]
        return Usage(sum(1 for _ in islice(live, most_older(query))), tuple(reversed(times)))

    def _tallied(self, query: UsageQuery, span: TallySpan, now: int) -> Usage:
        key = (query.cap, query.key)
        sends = [(quarter, count) for quarter, (count, _) in self._quarters.get(key, {}).items()]
        leases = self._leases.get(key, _InOrder())
        # Reservations whose lease ran out and that nobody has settled yet.
        ended = (leases[lease] for lease in takewhile(lambda lease: lease[0] <= now, leases))
        sends += ((instant, -amount) for instant, amount in ended)
        older = sum(count for instant, count in sends if span.start <= instant < span.end)
        later = sum(count for instant, count in sends if span.later <= instant)
        return Usage(older=max(0, older), later=max(0, later), split=query.split)

    def _write(self, changes: Changes) -> None:
        put = self._journal.put
        for slot, lease_until in changes.slots.items():
            slots = self._slots.setdefault(slot.owner, {}).setdefault((slot.cap, slot.key), _InOrder())
            put(slots, (slot.instant, slot.decision_id), lease_until)
        for slot in changes.dropped_slots:
            keys = self._slots.get(slot.owner, {})
            self._drop(keys, (slot.cap, slot.key), (slot.instant, slot.decision_id))
            if not keys and slot.owner in self._slots:
                self._journal.drop(self._slots, slot.owner)
        for (cap, key, quarter), (more, keep_until) in changes.counts.items():
            quarters = self._quarters.setdefault((cap, key), {})
            if more > 0 or quarter in quarters:  # else it was swept meanwhile
                sends, kept = quarters.get(quarter, (0, keep_until))
                if sends + more > 0:
                    put(quarters, quarter, (sends + more, max(kept, keep_until)))
                else:
                    self._drop(self._quarters, (cap, key), quarter)
        for lease, counted in changes.leases.items():
            leases = self._leases.setdefault((lease.cap, lease.key), _InOrder())
            put(leases, (lease.lease_until, lease.decision_id), counted)
        for lease in changes.dropped_leases:
            self._drop(self._leases, (lease.cap, lease.key), (lease.lease_until, lease.decision_id))

    def _drop(self, rows_of: MutableMapping[CapKey, Rows], key: CapKey, row: object) -> None:
        """Forget a row where it is there, and the key with its last one."""
        rows = rows_of.get(key)
        if rows is None or row not in rows:
            return
        self._journal.drop(rows, row)
        if not rows:
            self._journal.drop(rows_of, key)
