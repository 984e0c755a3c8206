"""Housekeeping: what ended is let go of, in steps so small that no decision waits for them.

A lease that ran out has freed its slots by itself already, and nobody is answered from a decision that is kept no
longer. Here the records follow: the reservation becomes `expired`, the decision is forgotten together with what is
left of its slots, and so is what the caps keep and no question can ask for any more. The audit log keeps it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

import msgspec

from guardrails.decide.holdings import Settlement
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.decide.settling import try_settle
from guardrails.errors import DependencyError

__all__ = ["STEP_COUNTS", "STEP_DECISIONS", "STEP_SLOTS", "Housekeeping"]

STEP_DECISIONS = 200
STEP_SLOTS = 1000
STEP_COUNTS = 200
"""The bounds of a step: so many decisions, none further once they have so many slots, and so many counts of caps."""


class Housekeeping:
    """Looks after the stores step by step. Several processes may: each finds what the others have left."""

    def __init__(self, transactor: Transactor, *, keep: timedelta) -> None:
        """`keep` is how long a decision answers for its candidate after its last change."""
        self._transactor = transactor
        self._keep = keep
        self.expired = 0
        """How many leases it has found to be ended."""

    def step(self, now: datetime) -> int:
        """Look after a few things that ended at or before `now`, in one unit; returns how many: at 0 none are left.

        Raises DependencyError where the database is out of reach. Where only the caps are, what they still have to be
        told is marked `is_caps_pending`, and kept.
        """
        done, expired = self._transactor.call(self._look_after, now, size=STEP_DECISIONS)
        self.expired += expired
        return done

    def _look_after(self, session: Session, instants: list[datetime]) -> list[tuple[int, int]]:
        """The handler."""
        return [self._look_after_one(session, now) for now in instants]

    def _look_after_one(self, session: Session, now: datetime) -> tuple[int, int]:
        """How much was done, and how many leases had ended."""
        due = self._end_decisions(session, now)
        return len(due) + _sweep(session, now), sum(row.state == "reserved" for row in due)

    def _end_decisions(self, session: Session, now: datetime) -> Sequence[StoredDecision]:
        """The decisions that were due, as they were."""
        due = _within_slots(session.decisions.due(now, STEP_DECISIONS))
        held = {row.decision_id: holding for row in due if not row.is_caps_pending and (holding := row.holding())}
        is_settled = try_settle(session.caps, [Settlement(before=holding, after=None) for holding in held.values()])
        kept, gone = [], []
        for row in due:
            is_pending = row.is_caps_pending or (not is_settled and row.decision_id in held)
            if row.state == "reserved" or is_pending:
                state = "expired" if row.state == "reserved" else row.state
                after = msgspec.structs.replace(row, state=state, is_caps_pending=is_pending)
                kept.append(msgspec.structs.replace(after, due_at=after.due(now, self._keep)))
            else:
                gone.append(row.decision_id)
        if kept:
            session.decisions.update(kept)
        if gone:
            session.decisions.remove(gone)
        return due


def _within_slots(due: Sequence[StoredDecision]) -> Sequence[StoredDecision]:
    """The first of them, up to the one that makes it `STEP_SLOTS`."""
    slots = accumulate((len(row.takes) for row in due), initial=0)
    return [row for row, before in zip(due, slots, strict=False) if before < STEP_SLOTS]


def _sweep(session: Session, now: datetime) -> int:
    try:
        return session.caps.sweep(now, STEP_COUNTS)
    except DependencyError as error:
        if error.dependency != "caps":
            raise
        return 0
