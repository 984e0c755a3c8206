"""Caps in memory: slots by decision, and an index by cap and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from guardrails.caps.slot import Outcome, Slot, slots_of
from guardrails.core.needs import Usage, UsageQuery
from guardrails.decide.ports import Reservation
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.memory import Journal

__all__ = ["MemoryCaps"]


class MemoryCaps:
    """The in-memory `CapStore`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_decision: dict[str, tuple[Slot, ...]] = {}
        self._decisions_by_key: dict[tuple[str, str], dict[str, None]] = {}

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question."""
        return {query: self._usage(query, to_micros(now)) for query in queries}

    def reserve(self, reservations: Sequence[Reservation], /) -> None:
        """Take all slots of all reservations."""
        for reservation in reservations:
            slots = tuple(slots_of(reservation))
            self._journal.put(self._by_decision, reservation.decision_id, slots)
            for slot in slots:
                decisions = self._decisions_by_key.setdefault((slot.cap, slot.key), {})
                self._journal.put(decisions, reservation.decision_id, None)

    def commit(self, decision_id: str, outcome: Outcome, at: datetime, /) -> None:
        """The send took place."""
        slots = tuple(slot.after(outcome, to_micros(at)) for slot in self._by_decision.get(decision_id, ()))
        self._journal.put(self._by_decision, decision_id, slots)

    def release(self, decision_id: str, /) -> None:
        """The send will not take place."""
        slots = self._by_decision.get(decision_id, ())
        self._journal.put(self._by_decision, decision_id, ())
        for key in dict.fromkeys((slot.cap, slot.key) for slot in slots):
            self._journal.drop(self._decisions_by_key[key], decision_id)

    def _usage(self, query: UsageQuery, now: int) -> Usage:
        since = to_micros(query.since)
        slots = (
            slot
            for decision_id in self._decisions_by_key.get((query.cap, query.key), ())
            for slot in self._by_decision[decision_id]
            if (slot.cap, slot.key) == (query.cap, query.key) and slot.counts(now)
        )
        instants = (slot.counted_at if query.by == "counted_at" else slot.until for slot in slots)
        listed = sorted(instant for instant in instants if instant is not None and instant >= since)
        older = max(0, len(listed) - query.newest)
        return Usage(older, tuple(map(from_micros, listed[older:])))
