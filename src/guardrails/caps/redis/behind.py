"""Decisions that Redis is behind with: marked in the commit that makes them so, and brought over before anybody asks.

Everything that frees or moves a slot, or takes one that no lease ends, is told to Redis once it is committed; so is
everything that it could not be told because it was out of reach, and what could not be taken back.

INVARIANT: whatever a committed decision holds is in Redis whenever the caps are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, event

from guardrails.caps.redis.epochs import CapEpoch, SqlCapEpochs
from guardrails.caps.redis.gateway import RedisGateway
from guardrails.caps.redis.plans import Placement
from guardrails.caps.redis.writing import Writing, in_steps
from guardrails.decide.ports import DecisionStore, StoredDecision
from guardrails.errors import DependencyError

__all__ = ["Behind"]

PENDING_MOST = 500
CATCH_UP_SLOTS = 1_000
CATCH_UP_ROUNDS = 2
"""What a unit brings over to Redis before it answers: so many decisions, with so many slots or just one, so many times.

What is more, units of their own bring over (see `rebuild`), so that nobody's deadline is spent on it.
"""


class Behind:
    """What one unit knows of them."""

    def __init__(
        self,
        gateway: RedisGateway,
        connection: Connection,
        *,
        epochs: SqlCapEpochs,
        writing: Writing,
        decisions: DecisionStore,
    ) -> None:
        self._gateway = gateway
        self._connection = connection
        self._epochs = epochs
        self._writing = writing
        self._decisions = decisions
        self._left: dict[str, Placement] = {}
        self._rounds_left = CATCH_UP_ROUNDS

    def __contains__(self, decision_id: str) -> bool:
        """Whether the unit has left the decision behind."""
        return decision_id in self._left

    def leave(self, placement: Placement) -> None:
        """Leave a decision behind: from the commit on, if it comes to that, it waits to be brought over."""
        if not self._left:
            event.listen(self._connection, "commit", self._on_commit)
        self._left[placement.decision_id] = placement

    def catch_up(self, epoch: CapEpoch) -> None:
        """Bring over what waits. Raises DependencyError where that is more than a unit's share, which is done then."""
        while waiting := self._waiting():
            if self._rounds_left == 0:
                raise DependencyError(f"the caps at `{self._gateway.address}` are catching up", dependency="caps")
            self._rounds_left -= 1
            self._bring_over(epoch, waiting)

    def bring_over(self, epoch: CapEpoch) -> bool:
        """Bring over some of what waits; False where more may wait."""
        waiting = self._waiting()
        return not waiting or self._bring_over(epoch, waiting)

    def mend_missed(self, epoch: CapEpoch) -> bool:
        """Bring some decisions that could not be taken back to what their rows say; False where more wait."""
        missed = self._gateway.missed(epoch.name)
        if not missed:
            return True
        some = next(in_steps(missed, CATCH_UP_SLOTS))[:PENDING_MOST]
        rows = self._decisions.by_id([placement.decision_id for placement in some])
        self._writing.place(epoch, [placement.as_stored(rows.get(placement.decision_id)) for placement in some])
        self._gateway.forget_missed(some)
        return len(some) == len(missed)

    def _waiting(self) -> Sequence[StoredDecision]:
        waiting = self._decisions.caps_pending(PENDING_MOST)
        if waiting:
            self._gateway.is_behind = True  # before it is tried: what this unit does not get done is upkeep's
        return waiting

    def _bring_over(self, epoch: CapEpoch, waiting: Sequence[StoredDecision]) -> bool:
        placements = next(in_steps(map(Placement.of_decision, waiting), CATCH_UP_SLOTS))
        self._writing.place(epoch, placements)
        rows = waiting[: len(placements)]
        self._decisions.update([msgspec.structs.replace(row, is_caps_pending=False) for row in rows])
        return len(rows) == len(waiting) < PENDING_MOST

    def _on_commit(self, _connection: Connection) -> None:
        """Just before it: mark what is left behind. What has no row any more is told now, for nobody will later."""
        rows = self._decisions.by_id(tuple(self._left))
        marked = [msgspec.structs.replace(row, is_caps_pending=True) for row in rows.values()]
        if marked:
            self._decisions.update(marked)
            self._gateway.is_behind = True
        gone = [placement for placement in self._left.values() if placement.decision_id not in rows]
        epoch = self._epochs.read()
        if gone and epoch.is_complete:
            self._writing.place_as_far_as_can_be(epoch, gone)
