"""Decisions as they were answered, byte for byte, and what their later life needs.

They live in this room because they are its record's other side: the log says what was decided, in order; this says
what a candidate was answered, by id, for idempotency, outcomes, reading back and housekeeping. Ids are ordered by
their bytes, in every store.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Integer, Row, Text, bindparam, delete, false, func, select, true, update
from sqlalchemy.exc import IntegrityError

from guardrails.core.needs import Take
from guardrails.decide.holdings import HOLDING_STATES
from guardrails.decide.ports import Span, StoredDecision
from guardrails.errors import ConflictError
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import decisions

__all__ = ["MemoryDecisions", "SqlDecisions"]


class MemoryDecisions:
    """Decisions in dicts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id = _ByDueDate()
        self._owners: dict[str, str] = {}
        self._pending: dict[str, None] = {}

    def by_candidate(self, candidate_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision that answers for each candidate id, where there is one."""
        return {each: self._by_id[self._owners[each]] for each in candidate_ids if each in self._owners}

    def by_id(self, decision_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision for each id that has one."""
        return {each: self._by_id[each] for each in decision_ids if each in self._by_id}

    def insert(self, new: Sequence[StoredDecision], /) -> None:
        """Keep new decisions. Raises ConflictError where one of them, or what it owns, is known."""
        for decision in new:
            if decision.decision_id in self._by_id:
                raise ConflictError(f"decision `{decision.decision_id}` is kept already")
            if decision.owns_candidate:
                if decision.candidate_id in self._owners:
                    raise ConflictError(f"candidate `{decision.candidate_id}` is decided already")
                self._journal.put(self._owners, decision.candidate_id, decision.decision_id)
            self._put(decision)

    def update(self, changed: Sequence[StoredDecision], /) -> None:
        """Record what may change of decisions that are kept; those that are not stay unknown."""
        for decision in changed:
            kept = self._by_id.get(decision.decision_id)
            if kept is not None:
                self._put(
                    msgspec.structs.replace(
                        kept,
                        state=decision.state,
                        sent_at=decision.sent_at,
                        delivered_at=decision.delivered_at,
                        due_at=decision.due_at,
                        is_caps_pending=decision.is_caps_pending,
                    )
                )

    def due(self, now: datetime, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions whose `due_at` is at or before `now`, the longest due first."""
        return self._by_id.due(now, most)

    def remove(self, decision_ids: Sequence[str], /) -> None:
        """Forget decisions."""
        for decision in self.by_id(decision_ids).values():
            self._journal.drop(self._by_id, decision.decision_id)
            if decision.owns_candidate:
                self._journal.drop(self._owners, decision.candidate_id)
            if decision.is_caps_pending:
                self._journal.drop(self._pending, decision.decision_id)

    def caps_pending(self, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions with `is_caps_pending`, by id."""
        return [self._by_id[each] for each in heapq.nsmallest(most, self._pending)]

    def holding(self, after: str, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions whose slots count or will, and are in the caps, whose id is greater than `after`."""
        rows = (row for row in self._by_id.values() if row.state in HOLDING_STATES and not row.is_caps_pending)
        found = heapq.nsmallest(most, (row.decision_id for row in rows if row.decision_id > after))
        return [self._by_id[each] for each in found]

    def of_recipient(self, recipient: str, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` allows for a recipient, the newest first."""
        allows = [each for each in self._by_id.values() if each.recipient == recipient and each.lease_until is not None]
        allows.sort(key=lambda each: each.decision_id)
        return sorted(allows, key=lambda each: each.evaluated_at, reverse=True)[:most]

    def allows_within(self, spans: Sequence[Span], most: int, /) -> Mapping[Span, Sequence[StoredDecision]]:
        """At most `most` allows of each span, the newest first."""
        return {span: self._within(span)[:most] for span in spans}

    def _within(self, span: Span) -> list[StoredDecision]:
        allows = self.of_recipient(span.recipient, len(self._by_id))
        return [each for each in allows if span.after < each.evaluated_at <= span.until]

    def _put(self, decision: StoredDecision) -> None:
        self._journal.put(self._by_id, decision.decision_id, decision)
        if decision.is_caps_pending:
            self._journal.put(self._pending, decision.decision_id, None)
        elif decision.decision_id in self._pending:
            self._journal.drop(self._pending, decision.decision_id)


class _ByDueDate(dict[str, StoredDecision]):
    """Decisions by id that know which of them are due, without looking at the others.

    INVARIANT: the heap holds each one's `due_at` and id, whoever set it, the journal that takes a change back included.
    What else it holds is out of date, and dropped when it is come upon.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[datetime, str]] = []

    def __setitem__(self, decision_id: str, decision: StoredDecision) -> None:
        super().__setitem__(decision_id, decision)
        heapq.heappush(self._heap, (decision.due_at, decision_id))

    def due(self, now: datetime, most: int) -> list[StoredDecision]:
        """The first `most` that are due at `now`, the longest due first."""
        found: dict[str, StoredDecision] = {}
        while self._heap and self._heap[0][0] <= now and len(found) < most:
            due_at, decision_id = heapq.heappop(self._heap)
            decision = self.get(decision_id)
            if decision is not None and decision.due_at == due_at:
                found[decision_id] = decision
        for decision_id, decision in found.items():
            heapq.heappush(self._heap, (decision.due_at, decision_id))
        return list(found.values())


_ids = json_rows("ids", id=Text())
_changed = json_rows(
    "changed",
    decision_id=Text(),
    state=Text(),
    sent_at=BigInteger(),
    delivered_at=BigInteger(),
    due_at=BigInteger(),
    is_caps_pending=Integer(),
)
_BY_CANDIDATE = select(decisions).where(decisions.c.owned_candidate.in_(select(_ids.c.id)))
_BY_ID = select(decisions).where(decisions.c.decision_id.in_(select(_ids.c.id)))
_UPDATE = (
    update(decisions)
    .where(decisions.c.decision_id == _changed.c.decision_id)
    .values(
        state=_changed.c.state,
        sent_at=_changed.c.sent_at,
        delivered_at=_changed.c.delivered_at,
        due_at=_changed.c.due_at,
        is_caps_pending=_changed.c.is_caps_pending == 1,
    )
)
_DUE = (
    select(decisions)
    .where(decisions.c.due_at <= bindparam("now"))
    .order_by(decisions.c.due_at)  # and by nothing else, so that only what is wanted is read
    .limit(bindparam("most"))
)
_REMOVE = delete(decisions).where(decisions.c.decision_id.in_(select(_ids.c.id)))
_CAPS_PENDING = (
    select(decisions)
    .where(decisions.c.is_caps_pending == true())
    .order_by(decisions.c.decision_id)
    .limit(bindparam("most"))
)
_HOLDING = (
    select(decisions)
    .where(
        decisions.c.decision_id > bindparam("after"),
        decisions.c.state.in_(sorted(HOLDING_STATES)),
        decisions.c.is_caps_pending == false(),
    )
    .order_by(decisions.c.decision_id)
    .limit(bindparam("most"))
)
_OF_RECIPIENT = (
    select(decisions)
    .where(decisions.c.recipient == bindparam("recipient"), decisions.c.lease_until.is_not(None))
    .order_by(decisions.c.evaluated_at.desc(), decisions.c.decision_id)
    .limit(bindparam("most"))
)

_spans = json_rows("spans", place=Integer(), recipient=Text(), after=BigInteger(), until=BigInteger())
_in_span = (
    select(
        decisions,
        _spans.c.place,
        func.row_number()
        .over(partition_by=_spans.c.place, order_by=(decisions.c.evaluated_at.desc(), decisions.c.decision_id))
        .label("number"),
    )
    .join_from(
        _spans,
        decisions,
        (decisions.c.recipient == _spans.c.recipient)
        & decisions.c.lease_until.is_not(None)
        & (decisions.c.evaluated_at > _spans.c.after)
        & (decisions.c.evaluated_at <= _spans.c.until),
    )
    .subquery()
)
_ALLOWS_WITHIN = (
    select(_in_span).where(_in_span.c.number <= bindparam("most")).order_by(_in_span.c.place, _in_span.c.number)
)


class SqlDecisions:
    """Decisions in the table `decisions`: every call is one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_candidate(self, candidate_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision that answers for each candidate id, where there is one."""
        rows = self._connection.execute(_BY_CANDIDATE, {"ids": _encode_ids(candidate_ids)})
        return {decision.candidate_id: decision for decision in map(_from_row, rows)}

    def by_id(self, decision_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision for each id that has one."""
        rows = self._connection.execute(_BY_ID, {"ids": _encode_ids(decision_ids)})
        return {decision.decision_id: decision for decision in map(_from_row, rows)}

    def insert(self, new: Sequence[StoredDecision], /) -> None:
        """Keep new decisions. Raises ConflictError where one of them, or what it owns, is known."""
        try:
            insert_rows(self._connection, decisions, [_to_row(decision) for decision in new])
        except IntegrityError as error:
            raise ConflictError("a candidate is decided already") from error

    def update(self, changed: Sequence[StoredDecision], /) -> None:
        """Record what may change of decisions that are kept; those that are not stay unknown."""
        rows = [
            (
                decision.decision_id,
                decision.state,
                _micros(decision.sent_at),
                _micros(decision.delivered_at),
                to_micros(decision.due_at),
                int(decision.is_caps_pending),
            )
            for decision in changed
        ]
        self._connection.execute(_UPDATE, {"changed": encode_rows(rows)})

    def due(self, now: datetime, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions whose `due_at` is at or before `now`, the longest due first."""
        return [_from_row(row) for row in self._connection.execute(_DUE, {"now": to_micros(now), "most": most})]

    def remove(self, decision_ids: Sequence[str], /) -> None:
        """Forget decisions."""
        self._connection.execute(_REMOVE, {"ids": _encode_ids(decision_ids)})

    def caps_pending(self, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions with `is_caps_pending`, by id."""
        return [_from_row(row) for row in self._connection.execute(_CAPS_PENDING, {"most": most})]

    def holding(self, after: str, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions whose slots count or will, and are in the caps, whose id is greater than `after`."""
        return [_from_row(row) for row in self._connection.execute(_HOLDING, {"after": after, "most": most})]

    def of_recipient(self, recipient: str, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` allows for a recipient, the newest first."""
        rows = self._connection.execute(_OF_RECIPIENT, {"recipient": recipient, "most": most})
        return [_from_row(row) for row in rows]

    def allows_within(self, spans: Sequence[Span], most: int, /) -> Mapping[Span, Sequence[StoredDecision]]:
        """At most `most` allows of each span, the newest first."""
        different = list(dict.fromkeys(spans))
        asked = [
            (place, span.recipient, to_micros(span.after), to_micros(span.until))
            for place, span in enumerate(different)
        ]
        found: dict[Span, list[StoredDecision]] = {span: [] for span in different}
        for row in self._connection.execute(_ALLOWS_WITHIN, {"spans": encode_rows(asked), "most": most}):
            found[different[row.place]].append(_from_row(row))
        return found


_encode_takes = msgspec.json.Encoder().encode
_decode_takes = msgspec.json.Decoder(tuple[Take, ...]).decode


def _encode_ids(ids: Iterable[str]) -> str:
    return encode_rows([(each,) for each in ids])


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _to_row(decision: StoredDecision) -> tuple[object, ...]:
    """In the order of the table's columns."""
    return (
        decision.decision_id,
        decision.candidate_id,
        decision.candidate_id if decision.owns_candidate else None,
        decision.body_hash,
        decision.answer,
        to_micros(decision.evaluated_at),
        decision.audit_index,
        decision.state,
        to_micros(decision.due_at),
        _micros(decision.lease_until),
        _micros(decision.sent_at),
        _micros(decision.delivered_at),
        _encode_takes(decision.takes),
        decision.is_caps_pending,
        decision.recipient,
        _micros(decision.needed_until),
    )


def _from_row(row: Row[Any]) -> StoredDecision:
    return StoredDecision(
        decision_id=row.decision_id,
        candidate_id=row.candidate_id,
        body_hash=row.body_hash,
        answer=row.answer,
        evaluated_at=from_micros(row.evaluated_at),
        audit_index=row.audit_index,
        state=row.state,
        due_at=from_micros(row.due_at),
        lease_until=_instant(row.lease_until),
        sent_at=_instant(row.sent_at),
        delivered_at=_instant(row.delivered_at),
        takes=_decode_takes(row.takes),
        is_caps_pending=bool(row.is_caps_pending),
        owns_candidate=row.owned_candidate is not None,
        recipient=row.recipient,
        needed_until=_instant(row.needed_until),
    )
