"""Decisions as they were answered, byte for byte, and the state that each one's reservation is in.

They live in this room because they are its record's other side: the log says what was decided, in order; this says
what a candidate was answered, by id, for idempotency, outcomes and reading back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, Row, Text, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from guardrails.decide.ports import DecisionStore, ReservationState, StoredDecision
from guardrails.errors import ConflictError, NotFoundError
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import decisions

__all__ = ["ExpiringDecisions", "MemoryDecisions", "SqlDecisions"]


class ExpiringDecisions(DecisionStore, Protocol):
    """Decisions whose leases can be swept."""

    def expire(self, now: datetime, limit: int, /) -> tuple[str, ...]:
        """Move at most `limit` reserved decisions whose lease ended at or before `now` to `expired`, the oldest first.

        Returns their ids. Their slots no longer count already, and stay: a send that is reported late still happened.
        """


class MemoryDecisions:
    """Decisions in two dicts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, StoredDecision] = {}
        self._ids: dict[str, str] = {}

    def by_candidate(self, candidate_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision for each candidate id that has one."""
        return {each: self._by_id[self._ids[each]] for each in candidate_ids if each in self._ids}

    def by_id(self, decision_id: str, /) -> StoredDecision | None:
        """The stored decision, or None."""
        return self._by_id.get(decision_id)

    def insert(self, new: Sequence[StoredDecision], /) -> None:
        """Keep new decisions. Raises ConflictError where one of them, or its candidate, is known."""
        for decision in new:
            if decision.decision_id in self._by_id or decision.candidate_id in self._ids:
                raise ConflictError(f"candidate `{decision.candidate_id}` is decided already")
            self._journal.put(self._by_id, decision.decision_id, decision)
            self._journal.put(self._ids, decision.candidate_id, decision.decision_id)

    def move(self, decision_id: str, state: ReservationState, /) -> None:
        """Record the state of the reservation. Raises NotFoundError where there is no such decision."""
        decision = self._by_id.get(decision_id)
        if decision is None:
            raise _unknown(decision_id)
        self._journal.put(self._by_id, decision_id, msgspec.structs.replace(decision, state=state))

    def expire(self, now: datetime, limit: int, /) -> tuple[str, ...]:
        """Move decisions whose lease ended to `expired`."""
        ended = sorted(
            (decision.lease_until, decision.decision_id)
            for decision in self._by_id.values()
            if decision.state == "reserved" and decision.lease_until is not None and decision.lease_until <= now
        )
        ids = tuple(decision_id for _, decision_id in ended[:limit])
        for decision_id in ids:
            self.move(decision_id, "expired")
        return ids


_asked = json_rows("asked", candidate_id=Text())
_BY_CANDIDATE = select(decisions).where(decisions.c.candidate_id.in_(select(_asked.c.candidate_id)))
_BY_ID = select(decisions).where(decisions.c.decision_id == bindparam("id"))
_MOVE = update(decisions).where(decisions.c.decision_id == bindparam("id")).values(state=bindparam("moved"))
_ENDED = (
    select(decisions.c.decision_id)
    .where(decisions.c.state == "reserved", decisions.c.lease_until <= bindparam("now"))
    .order_by(decisions.c.lease_until, decisions.c.decision_id)
    .limit(bindparam("most"))
)


class SqlDecisions:
    """Decisions in the table `decisions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_candidate(self, candidate_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision for each candidate id that has one, in one statement."""
        asked = encode_rows([(each,) for each in candidate_ids])
        stored = map(_from_row, self._connection.execute(_BY_CANDIDATE, {"asked": asked}))
        return {decision.candidate_id: decision for decision in stored}

    def by_id(self, decision_id: str, /) -> StoredDecision | None:
        """The stored decision, or None."""
        row = self._connection.execute(_BY_ID, {"id": decision_id}).one_or_none()
        return None if row is None else _from_row(row)

    def insert(self, new: Sequence[StoredDecision], /) -> None:
        """Keep new decisions, in one statement. Raises ConflictError where one of them, or its candidate, is known."""
        try:
            self._connection.execute(insert(decisions), [_to_row(decision) for decision in new])
        except IntegrityError as error:
            raise ConflictError("a candidate is decided already") from error

    def move(self, decision_id: str, state: ReservationState, /) -> None:
        """Record the state of the reservation. Raises NotFoundError where there is no such decision."""
        moved = self._connection.execute(_MOVE, {"id": decision_id, "moved": state})
        if moved.rowcount == 0:
            raise _unknown(decision_id)

    def expire(self, now: datetime, limit: int, /) -> tuple[str, ...]:
        """Move decisions whose lease ended to `expired`."""
        ended = self._connection.execute(_ENDED, {"now": to_micros(now), "most": limit}).scalars().all()
        if ended:
            self._connection.execute(_MOVE, [{"id": decision_id, "moved": "expired"} for decision_id in ended])
        return tuple(ended)


def _unknown(decision_id: str) -> NotFoundError:
    return NotFoundError(f"there is no decision `{decision_id}`")


def _to_row(decision: StoredDecision) -> dict[str, object]:
    row = msgspec.structs.asdict(decision)
    row["evaluated_at"] = to_micros(decision.evaluated_at)
    row["lease_until"] = None if decision.lease_until is None else to_micros(decision.lease_until)
    return row


def _from_row(row: Row[Any]) -> StoredDecision:
    return StoredDecision(
        decision_id=row.decision_id,
        candidate_id=row.candidate_id,
        body_hash=row.body_hash,
        answer=row.answer,
        evaluated_at=from_micros(row.evaluated_at),
        audit_index=row.audit_index,
        state=row.state,
        lease_until=None if row.lease_until is None else from_micros(row.lease_until),
    )
