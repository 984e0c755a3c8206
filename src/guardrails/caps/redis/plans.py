"""What the scripts are told: questions and placements, as the lists that they carry out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from guardrails.caps.redis.layout import Call, Calls, name_of, shard_of
from guardrails.core.needs import CapCheck, Take, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, instant_of
from guardrails.decide.ports import StoredDecision
from guardrails.storage.instants import LAST_MICROS, MICROS_PER_SECOND, to_micros

__all__ = ["CLOCK_SLACK_SECONDS", "Placement", "add_placement", "add_question", "instant_micros"]

CLOCK_SLACK_SECONDS = 3600
"""How much longer than caps need them slots are kept: the clocks of services and of Redis may differ by as much."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision is to have in Redis: what `holding` says, and nothing else under the keys of `takes`."""

    decision_id: str
    takes: tuple[Take, ...]
    holding: Holding | None
    checks: tuple[CapCheck, ...] = ()

    @classmethod
    def of_reservation(cls, reservation: Reservation) -> Placement:
        """What is taken where the checks hold."""
        held = reservation.holding
        return cls(decision_id=held.decision_id, takes=held.takes, holding=held, checks=reservation.checks)

    @classmethod
    def of_decision(cls, stored: StoredDecision) -> Placement:
        """What a decision's row says."""
        return cls(decision_id=stored.decision_id, takes=stored.takes, holding=stored.holding())

    @classmethod
    def in_place_of(cls, before: Sequence[Holding], after: Holding | None) -> Placement:
        """What `after` says, where the decision held `before`; at least one of them is there."""
        held = [*before, *(() if after is None else (after,))]
        takes = {(take.owner, take.cap, take.key): take for holding in held for take in holding.takes}
        return cls(decision_id=held[0].decision_id, takes=tuple(takes.values()), holding=after)

    def removed(self) -> Placement:
        """The same decision, holding nothing."""
        return Placement(decision_id=self.decision_id, takes=self.takes, holding=None)


def add_question(calls: Calls, query: UsageQuery) -> tuple[Call, int]:
    """Ask; the call, and the place in its result, that the answer will be found at."""
    call = calls.at(shard_of(query.cap, query.key, query.owner))
    place = call.cap_place(query.cap, query.key, query.owner)
    split = query.split is not None and to_micros(query.split)
    call.items.append((place, to_micros(query.since), split, query.newest))
    return call, len(call.items) - 1


def add_placement(calls: Calls, placement: Placement) -> None:
    """Place; each call gets the part of it that lies in its shards."""
    holding = placement.holding
    lease = holding is not None and holding.lease_until is not None and to_micros(holding.lease_until)
    parts: dict[Call, tuple[list[Any], list[Any]]] = {}
    for check in placement.checks:
        query = check.query
        call = calls.at(shard_of(query.cap, query.key, query.owner))
        place = call.cap_place(query.cap, query.key, query.owner)
        checks, _ = parts.setdefault(call, ([], []))
        checks.append((place, to_micros(check.start), to_micros(check.end), check.limit))
    for take in placement.takes:
        call = calls.at(shard_of(take.cap, take.key, take.owner))
        _, slots = parts.setdefault(call, ([], []))
        slots.append(_slot(call, take, holding))
    for call, (checks, slots) in parts.items():
        call.items.append((placement.decision_id, lease, checks, slots))


def _slot(call: Call, take: Take, holding: Holding | None) -> tuple[int, int | bool, int, int, str]:
    instant = None if holding is None or take not in holding.takes else instant_micros(take, holding)
    return (
        call.cap_place(take.cap, take.key, take.owner),
        False if instant is None else instant,
        (take.keep_seconds + CLOCK_SLACK_SECONDS) * MICROS_PER_SECOND,
        0 if take.owner is None else call.index_place(take.owner),
        name_of(take.cap, take.key),
    )


def instant_micros(take: Take, holding: Holding) -> int | None:
    """`instant_of` in microseconds."""
    try:
        instant = instant_of(take, holding)
    except OverflowError:  # a countdown beyond the end of time ends with it
        return LAST_MICROS
    return None if instant is None else to_micros(instant)
