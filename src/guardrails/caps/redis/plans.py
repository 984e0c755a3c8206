"""What the scripts are told: questions and placements, as the lists that they carry out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import msgspec

from guardrails.caps.redis.keeps import SLACK, Keeps, keep_seconds
from guardrails.caps.redis.layout import Call, Calls, index_name_of, shard_of
from guardrails.caps.slot import instant_micros
from guardrails.core.needs import CapCheck, Take, UsageQuery
from guardrails.decide.holdings import Holding, Reservation
from guardrails.decide.ports import StoredDecision
from guardrails.storage.instants import MICROS_PER_SECOND, to_micros

__all__ = ["Placement", "add_placement", "add_question"]

_SLACK = SLACK // timedelta(microseconds=1)


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision is to have in Redis, where the checks hold: a slot under the key of each take, or none there.

    Instants are microseconds.
    """

    decision_id: str
    lease_until: int | None
    slots: tuple[tuple[Take, int | None], ...]
    checks: tuple[CapCheck, ...] = ()

    @classmethod
    def of_reservation(cls, reservation: Reservation) -> Placement:
        """What is taken where the checks hold."""
        held = reservation.holding
        return cls(
            decision_id=held.decision_id,
            lease_until=_lease_micros(held),
            slots=tuple([(take, instant_micros(take, held)) for take in held.takes]),
            checks=reservation.checks,
        )

    @classmethod
    def of_decision(cls, stored: StoredDecision) -> Placement:
        """What a decision's row says."""
        held = stored.holding()
        return cls(
            decision_id=stored.decision_id,
            lease_until=_lease_micros(held),
            slots=tuple([(take, None if held is None else instant_micros(take, held)) for take in stored.takes]),
        )

    @classmethod
    def in_place_of(cls, before: Sequence[Holding], after: Holding | None) -> Placement:
        """What `after` says, where the decision held `before`; at least one of them is there."""
        slots: dict[Any, tuple[Take, int | None]] = {}
        slots.update((_key(take), (take, None)) for held in before for take in held.takes)
        if after is not None:
            slots.update((_key(take), (take, instant_micros(take, after))) for take in after.takes)
        decision_id = next(held.decision_id for held in (*before, after) if held is not None)
        return cls(decision_id=decision_id, lease_until=_lease_micros(after), slots=tuple(slots.values()))

    def as_stored(self, stored: StoredDecision | None) -> Placement:
        """What a decision's row says in place of this; without one it holds nothing."""
        slots: dict[Any, tuple[Take, int | None]] = {_key(take): (take, None) for take, _ in self.slots}
        said = None if stored is None else Placement.of_decision(stored)
        if said is not None:
            slots.update((_key(take), (take, instant)) for take, instant in said.slots)
        lease_until = None if said is None else said.lease_until
        return Placement(decision_id=self.decision_id, lease_until=lease_until, slots=tuple(slots.values()))

    def removed(self) -> Placement:
        """The same decision, holding nothing."""
        slots = tuple([(take, None) for take, _ in self.slots])
        return Placement(decision_id=self.decision_id, lease_until=None, slots=slots)


def add_question(calls: Calls, query: UsageQuery) -> tuple[Call, int]:
    """Ask; the call, and the place in its result, that the answer will be found at."""
    call = calls.at(shard_of(query.cap, query.key, query.owner))
    place = call.cap_place(query.cap, query.key, query.owner, sums=query.sums)
    split = None if query.split is None else to_micros(query.split)
    question = (place, to_micros(query.since), _or_false(split), query.newest)
    call.items.append((*question, True) if query.sums else question)
    return call, len(call.items) - 1


def add_placement(calls: Calls, placement: Placement, keeps: Keeps) -> None:
    """Place; each call gets the part of it that lies in its shards."""
    parts: dict[Call, tuple[list[Any], list[Any]]] = {}
    for check in placement.checks:
        query = check.query
        call = calls.at(shard_of(query.cap, query.key, query.owner))
        place = call.cap_place(query.cap, query.key, query.owner, sums=query.sums)
        checks, _ = parts.setdefault(call, ([], []))
        told = (place, to_micros(check.start), to_micros(check.end), check.limit)
        checks.append((*told, True) if query.sums else told)
    for take, instant in placement.slots:
        call = calls.at(shard_of(take.cap, take.key, take.owner))
        _, slots = parts.setdefault(call, ([], []))
        keep = keep_seconds(take, keeps) * MICROS_PER_SECOND + _SLACK
        slots.append(_slot(call, take, instant, keep))
    for call, (checks, slots) in parts.items():
        call.items.append((placement.decision_id, _or_false(placement.lease_until), checks, slots))


def _slot(call: Call, take: Take, instant: int | None, keep: int) -> tuple[Any, ...]:
    sums = take.amount_minor is not None
    slot = (
        call.cap_place(take.cap, take.key, take.owner, sums=sums),
        _or_false(instant),
        keep,
        0 if take.owner is None else call.index_place(take.owner),
        index_name_of(take.cap, take.key, sums=sums),
    )
    return (*slot, take.amount_minor) if sums else slot


def _key(take: Take) -> tuple[str | None, str, str]:
    return take.owner, take.cap, take.key


def _lease_micros(holding: Holding | None) -> int | None:
    return None if holding is None or holding.lease_until is None else to_micros(holding.lease_until)


def _or_false(instant: int | None) -> int | Literal[False]:
    """As scripts are told: in JSON's null they would see something that is there."""
    return False if instant is None else instant
