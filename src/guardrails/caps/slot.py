"""A slot, and what happens to it: the meaning of caps, without a store.

reserved at 10:00, lease to 10:10    count_on: reserved   counts from 10:00, unless the lease runs out first
                                     count_on: sent       counts from the moment `sent` is reported for
delivered implies sent; where both are reported, in whatever order, the earlier instant is the one that counts
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from guardrails.core.needs import CountOn
from guardrails.decide.ports import Reservation
from guardrails.storage.instants import LAST_MICROS, MICROS_PER_SECOND, to_micros

__all__ = ["COUNTS_ON", "Outcome", "Slot", "slots_of"]

Outcome = Literal["sent", "delivered"]

COUNTS_ON: Mapping[Outcome, tuple[CountOn, ...]] = {"sent": ("sent",), "delivered": ("sent", "delivered")}
"""By outcome, which slots begin to count with it."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One slot. Instants are microseconds (`storage.instants`).

    `counted_at` is None until the outcome that it counts on, `until` where no countdown runs, `lease_until` once the
    send took place.
    """

    cap: str
    key: str
    decision_id: str
    count_on: CountOn
    countdown_seconds: int | None
    counted_at: int | None
    until: int | None
    lease_until: int | None

    def counts(self, now: int) -> bool:
        """Whether it counts at `now`: it began to, and no lease has ended it."""
        return self.counted_at is not None and (self.lease_until is None or self.lease_until > now)

    def after(self, outcome: Outcome, at: int) -> Slot:
        """The slot once `outcome` took place at `at`."""
        if self.count_on not in COUNTS_ON[outcome] or (self.counted_at is not None and self.counted_at <= at):
            return msgspec.structs.replace(self, lease_until=None)
        until = until_of(at, self.countdown_seconds)
        return msgspec.structs.replace(self, counted_at=at, until=until, lease_until=None)


def slots_of(reservation: Reservation) -> Iterator[Slot]:
    """The slots that a reservation takes."""
    at = to_micros(reservation.at)
    lease_until = to_micros(reservation.lease_until)
    for take in reservation.takes:
        counted_at = at if take.count_on == "reserved" else None
        yield Slot(
            cap=take.cap,
            key=take.key,
            decision_id=reservation.decision_id,
            count_on=take.count_on,
            countdown_seconds=take.countdown_seconds,
            counted_at=counted_at,
            until=until_of(counted_at, take.countdown_seconds),
            lease_until=lease_until,
        )


def until_of(counted_at: int | None, countdown_seconds: int | None) -> int | None:
    """When the countdown ends that begins at `counted_at`, where both are there; at the latest at the end of time."""
    if counted_at is None or countdown_seconds is None:
        return None
    return min(counted_at + countdown_seconds * MICROS_PER_SECOND, LAST_MICROS)
