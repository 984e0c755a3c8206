"""Moves: what settlements of a decision come to in Redis, and whether that may be told before their unit is committed.

It waits for the commit where it frees a slot or moves one, and where without one it would leave a slot that no lease
ends: if this process dies before the commit, nobody takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from guardrails.caps.redis.plans import Placement
from guardrails.caps.slot import instant_micros
from guardrails.decide.holdings import Holding, Settlement

__all__ = ["Move", "moves_of"]


class Move(NamedTuple):
    """What settlements of one decision come to, and how to take it back."""

    placement: Placement
    undo: Placement
    waits_for_commit: bool


def moves_of(settlements: Iterable[Settlement]) -> Iterator[Move]:
    """One for each decision."""
    by_decision: dict[str, list[Settlement]] = {}
    for settlement in settlements:
        either = settlement.before or settlement.after
        if either is not None:
            by_decision.setdefault(either.decision_id, []).append(settlement)
    for steps in by_decision.values():
        held = [holding for step in steps for holding in (step.before, step.after) if holding is not None]
        before, after = steps[0].before, steps[-1].after
        slots = set() if after is None else _slots(after)
        is_freeing = any(slot not in slots for holding in held for slot in _slots(holding))
        has_end = after is None or after.lease_until is not None
        had_end = before is not None and before.lease_until is not None
        waits = is_freeing or not (has_end or had_end)
        yield Move(Placement.in_place_of(held, after), Placement.in_place_of(held, before), waits)


def _slots(holding: Holding) -> set[tuple[str | None, str, str, int]]:
    instants = ((take, instant_micros(take, holding)) for take in holding.takes)
    return {(take.owner, take.cap, take.key, instant) for take, instant in instants if instant is not None}
