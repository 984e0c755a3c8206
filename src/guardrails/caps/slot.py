"""Slots and tallies: what a store writes down of a holding, and what settlements change of it.

A take is written down once its instant is known (`decide.holdings`): as a *slot* of its own, or, where its key is
tallied, as one more in the count of its quarter of an hour, with a *lease* beside it until the send took place.

    count_on: sent, reserved at 10:00            nothing yet
    reported as sent at 10:05, countdown: 1h     a slot at 11:05; tallied: one more in the quarter from 11:00 on

INVARIANT: a holding takes each key of a cap once at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from guardrails.core.cap_rule import LISTED_TIMES
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.holdings import Holding, Settlement, instant_of
from guardrails.storage.instants import LAST_MICROS, MICROS_PER_SECOND, to_micros

__all__ = [
    "QUARTER_MICROS",
    "Changes",
    "LeaseKey",
    "QuarterKey",
    "SlotKey",
    "TallySpan",
    "instant_micros",
    "most_older",
    "quarter_of",
    "tallied_from",
    "tally_span",
]

QUARTER_MICROS = 15 * 60 * MICROS_PER_SECOND
"""A quarter of an hour: every calendar day of every zone has begun on one since 1972."""

_UNBOUNDED = 2**62
_encode = msgspec.json.Encoder().encode


class SlotKey(NamedTuple):
    """What names a slot; `owner` is empty where recipients share the key. The slot's value is when its lease ends."""

    owner: str
    cap: str
    key: str
    instant: int
    decision_id: str


class QuarterKey(NamedTuple):
    """What names a count: `quarter` is its first microsecond."""

    cap: str
    key: str
    quarter: int


class LeaseKey(NamedTuple):
    """What names a lease on a tallied key. Its value: the instant that the reservation is counted at, and how much."""

    cap: str
    key: str
    lease_until: int
    decision_id: str


class TallySpan(NamedTuple):
    """The quarters that a question about a tallied key asks for, in whole ones, so that none is too few.

    `start <= quarter < end` is before the split, `later <= quarter` is from it on.
    """

    start: int
    end: int
    later: int


class _Footprint:
    """Everything that one holding has in a store."""

    __slots__ = ("counts", "leases", "slots")

    def __init__(self, holding: Holding | None) -> None:
        self.slots: dict[SlotKey, int | None] = {}
        self.leases: dict[LeaseKey, tuple[int, int]] = {}
        self.counts: dict[QuarterKey, tuple[int, int]] = {}
        if holding is None:
            return
        lease_until = None if holding.lease_until is None else to_micros(holding.lease_until)
        for take in holding.takes:
            instant = instant_micros(take, holding)
            if instant is None:
                continue
            if not take.is_tallied:
                self.slots[SlotKey(take.owner or "", take.cap, take.key, instant, holding.decision_id)] = lease_until
                continue
            quarter = quarter_of(instant)
            ends = quarter + QUARTER_MICROS + take.keep_seconds * MICROS_PER_SECOND
            amount = take.amount
            self.counts[QuarterKey(take.cap, take.key, quarter)] = (amount, ends)
            if lease_until is not None:
                self.leases[LeaseKey(take.cap, take.key, lease_until, holding.decision_id)] = (instant, amount)


class Changes:
    """What settlements, in order, change in a store: added up, so that each row is written once.

    What is in `slots` or `leases` is to be there with that value, what is in `dropped_slots` or `dropped_leases` is to
    be there no longer. `counts` says by how much a quarter grows or shrinks, and until when it is kept at least: by how
    many sends, or minor units where its key sums amounts.

    INVARIANT: `before` is what the store has of the decision. Slots and leases are the decision's own, so that the same
    settlement again changes nothing of them; a quarter knows no more than a number, and would count it twice. A store
    that shares a transaction with the decisions can't come to that.
    """

    def __init__(self, settlements: Iterable[Settlement]) -> None:
        self.slots: dict[SlotKey, int | None] = {}
        self.dropped_slots: dict[SlotKey, None] = {}
        self.leases: dict[LeaseKey, tuple[int, int]] = {}
        self.dropped_leases: dict[LeaseKey, None] = {}
        self._counts: dict[QuarterKey, tuple[int, int]] = {}
        for settlement in settlements:
            after = _Footprint(settlement.after)
            if settlement.before is not None:
                self._take_off(_Footprint(settlement.before), after)
            self._put(after)

    @property
    def counts(self) -> dict[QuarterKey, tuple[int, int]]:
        """By how much each quarter changes, and until when it is kept, as far as it changes."""
        return {key: (sends, keep_until) for key, (sends, keep_until) in self._counts.items() if sends != 0}

    def _take_off(self, before: _Footprint, after: _Footprint) -> None:
        for slot in before.slots.keys() - after.slots.keys():
            self.slots.pop(slot, None)
            self.dropped_slots[slot] = None
        for lease in before.leases.keys() - after.leases.keys():
            self.leases.pop(lease, None)
            self.dropped_leases[lease] = None
        for quarter, (amount, keep_until) in before.counts.items():
            self._count(quarter, -amount, keep_until)

    def _put(self, after: _Footprint) -> None:
        for slot, lease_until in after.slots.items():
            self.dropped_slots.pop(slot, None)
            self.slots[slot] = lease_until
        for lease, counted in after.leases.items():
            self.dropped_leases.pop(lease, None)
            self.leases[lease] = counted
        for quarter, (amount, keep_until) in after.counts.items():
            self._count(quarter, +amount, keep_until)

    def _count(self, quarter: QuarterKey, more: int, keep_until: int) -> None:
        sends, known = self._counts.get(quarter, (0, keep_until))
        self._counts[quarter] = (sends + more, max(known, keep_until))


def quarter_of(instant: int) -> int:
    """The first microsecond of the quarter of an hour that holds the instant."""
    return instant - instant % QUARTER_MICROS


def tally_span(query: UsageQuery) -> TallySpan | None:
    """The quarters that the question asks for, or None where its key is not tallied."""
    if query.split is None:
        return None
    split = to_micros(query.split)
    return TallySpan(quarter_of(to_micros(query.since)), split + -split % QUARTER_MICROS, quarter_of(split))


def tallied_from(owner: str) -> str:
    """How every tallied key begins that holds this recipient and more: as a JSON array whose first value they are."""
    return f"[{_encode(owner).decode()},"


def most_older(query: UsageQuery) -> int:
    """How many of the sends that are not listed are counted at most.

    What recipients share and is not tallied has a rolling window or a countdown, whose limit stays within what can be
    listed: beyond it nobody needs to know by how far, and the cost of a busy key has a bound.
    """
    is_bounded = query.owner is None and query.split is None
    return LISTED_TIMES if is_bounded else _UNBOUNDED


def instant_micros(take: Take, holding: Holding) -> int | None:
    """The instant that questions compare the slot by, in microseconds; None: it does not count (yet)."""
    try:
        instant = instant_of(take, holding)
    except OverflowError:  # a countdown beyond the end of time ends with it
        return LAST_MICROS
    return None if instant is None else to_micros(instant)
