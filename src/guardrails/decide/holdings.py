"""What an allowed decision holds of the caps, and for how long it matters: the meaning of slots, without a store.

reserved at 10:00, lease to 10:10    count_on: reserved   counts from 10:00, unless the lease runs out first
                                     count_on: sent       counts from the moment `sent` is reported for
delivered implies sent; of several reports, in whatever order they arrive, the earliest instant is the one that counts
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from guardrails.core.needs import CapCheck, Take

__all__ = [
    "HOLDING_STATES",
    "Holding",
    "Reservation",
    "ReservationState",
    "Settlement",
    "instant_of",
    "last_needed",
    "state_at",
]

ReservationState = Literal[
    "none", "reserved", "expired", "sent", "delivered", "failed", "cancelled", "bounced", "complained"
]
"""`none`: the decision was a deny and holds nothing. A reservation past its lease is `expired`."""

HOLDING_STATES: frozenset[ReservationState] = frozenset({"reserved", "sent", "delivered", "complained"})
"""The states in which a decision's slots count, or will."""


def state_at(state: ReservationState, lease_until: datetime | None, now: datetime) -> ReservationState:
    """What has become of a decision by `now`: a lease that has ended is told as such before housekeeping comes by."""
    return "expired" if state == "reserved" and lease_until is not None and lease_until <= now else state


class Holding(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one allowed decision holds of the caps: all of its slots as they stand, or none of them.

    `at` is the planned send. `lease_until` is None once the send took place. `sent_at` and `delivered_at` are the
    earliest instants reported for it; a delivery is a send, too.
    """

    decision_id: str
    takes: tuple[Take, ...]
    at: datetime
    lease_until: datetime | None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None


class Reservation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A new holding, and the `checks` that its decision rests on: it is taken whole where all of them hold."""

    holding: Holding
    checks: tuple[CapCheck, ...] = ()


class Settlement(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One decision's holding as the store has it, and as it is from now on; None: nothing is held."""

    before: Holding | None
    after: Holding | None


def instant_of(take: Take, holding: Holding) -> datetime | None:
    """The instant that questions compare the slot by, or None: it does not count (yet).

    That is when it began to count or, of a countdown, when that ends.
    """
    on = take.count_on
    counted_at = holding.at if on == "reserved" else holding.sent_at if on == "sent" else holding.delivered_at
    if counted_at is None or take.countdown_seconds is None:
        return counted_at
    return counted_at + timedelta(seconds=take.countdown_seconds)


def last_needed(holding: Holding) -> datetime:
    """The first instant from which on no question can ask for any of its slots."""
    instants = ((instant_of(take, holding), take.keep_seconds) for take in holding.takes)
    ends = (instant + timedelta(seconds=keep) for instant, keep in instants if instant is not None)
    return max(ends, default=holding.at)
