"""Where conversion sessions stay until they are forgotten: in memory, or in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Text, bindparam, delete, select, update

from guardrails.offers.conversions import KeptConversion, StepDone
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import conversions

__all__ = ["ConversionStore", "MemoryConversions", "SqlConversions"]


class ConversionStore(Protocol):
    """Sessions by id, and by the decision whose offer token they were opened with."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, KeptConversion]:
        """The session for each id that has one."""

    def of_decisions(self, decision_ids: Sequence[str], /) -> Mapping[str, tuple[KeptConversion, ...]]:
        """All sessions of each decision that has any, oldest first: by `opened_at`, then by id."""

    def of_recipient(self, recipient: str, /) -> Sequence[KeptConversion]:
        """All sessions of a recipient, oldest first: by `opened_at`, then by id."""

    def insert(self, new: Sequence[KeptConversion], /) -> None:
        """Keep sessions of new ids."""

    def update(self, changed: Sequence[KeptConversion], /) -> None:
        """Record `done`, `ends_at` and `converted_at` of sessions that are kept."""

    def forget(self, before: datetime, most: int, /) -> int:
        """Remove at most `most` sessions that ended before an instant, oldest first; returns how many."""


class MemoryConversions:
    """Sessions in dicts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, KeptConversion] = {}
        self._of_decision: dict[str, tuple[str, ...]] = {}

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, KeptConversion]:
        """The session for each id that has one."""
        return {each: self._by_id[each] for each in ids if each in self._by_id}

    def of_decisions(self, decision_ids: Sequence[str], /) -> Mapping[str, tuple[KeptConversion, ...]]:
        """All sessions of each decision that has any, oldest first."""
        return _by_decision(
            self._by_id[id_] for each in dict.fromkeys(decision_ids) for id_ in self._of_decision.get(each, ())
        )

    def of_recipient(self, recipient: str, /) -> Sequence[KeptConversion]:
        """All sessions of a recipient, oldest first."""
        return _in_order(each for each in self._by_id.values() if each.recipient == recipient)

    def insert(self, new: Sequence[KeptConversion], /) -> None:
        """Keep sessions of new ids."""
        for each in new:
            self._journal.put(self._by_id, each.id, each)
            siblings = self._of_decision.get(each.decision_id, ())
            self._journal.put(self._of_decision, each.decision_id, (*siblings, each.id))

    def update(self, changed: Sequence[KeptConversion], /) -> None:
        """Record what may change of sessions that are kept."""
        for each in changed:
            self._journal.put(self._by_id, each.id, each)

    def forget(self, before: datetime, most: int, /) -> int:
        """Remove at most `most` sessions that ended before an instant, oldest first; returns how many."""
        ended = sorted((each for each in self._by_id.values() if each.ends_at < before), key=lambda each: each.ends_at)
        for each in ended[:most]:
            self._journal.drop(self._by_id, each.id)
            siblings = tuple(id_ for id_ in self._of_decision[each.decision_id] if id_ != each.id)
            if siblings:
                self._journal.put(self._of_decision, each.decision_id, siblings)
            else:
                self._journal.drop(self._of_decision, each.decision_id)
        return len(ended[:most])


_ids = json_rows("ids", id=Text())
_changed = json_rows("changed", id=Text(), done=Text(), ends_at=BigInteger(), converted_at=BigInteger())
_BY_ID = select(conversions).where(conversions.c.id.in_(select(_ids.c.id)))
_OF_DECISIONS = select(conversions).where(conversions.c.decision_id.in_(select(_ids.c.id)))
_OF_RECIPIENT = select(conversions).where(conversions.c.recipient == bindparam("recipient"))
_UPDATE = (
    update(conversions)
    .where(conversions.c.id == _changed.c.id)
    .values(done=_changed.c.done, ends_at=_changed.c.ends_at, converted_at=_changed.c.converted_at)
)
_FORGET = delete(conversions).where(
    conversions.c.id.in_(
        select(conversions.c.id)
        .where(conversions.c.ends_at < bindparam("before"))
        .order_by(conversions.c.ends_at)
        .limit(bindparam("most"))
    )
)


class SqlConversions:
    """Sessions in the table `conversions`: every call is one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, KeptConversion]:
        """The session for each id that has one."""
        return {each.id: each for each in self._read(_BY_ID, ids)}

    def of_decisions(self, decision_ids: Sequence[str], /) -> Mapping[str, tuple[KeptConversion, ...]]:
        """All sessions of each decision that has any, oldest first."""
        return _by_decision(self._read(_OF_DECISIONS, decision_ids))

    def of_recipient(self, recipient: str, /) -> Sequence[KeptConversion]:
        """All sessions of a recipient, oldest first."""
        return _in_order(map(_from_row, self._connection.execute(_OF_RECIPIENT, {"recipient": recipient})))

    def insert(self, new: Sequence[KeptConversion], /) -> None:
        """Keep sessions of new ids."""
        insert_rows(self._connection, conversions, [_to_row(each) for each in new])

    def update(self, changed: Sequence[KeptConversion], /) -> None:
        """Record what may change of sessions that are kept."""
        rows = [
            (each.id, _encode_done(each.done), to_micros(each.ends_at), _micros(each.converted_at)) for each in changed
        ]
        self._connection.execute(_UPDATE, {"changed": encode_rows(rows)})

    def forget(self, before: datetime, most: int, /) -> int:
        """Remove at most `most` sessions that ended before an instant, oldest first; returns how many."""
        return self._connection.execute(_FORGET, {"before": to_micros(before), "most": most}).rowcount

    def _read(self, statement: Any, ids: Sequence[str]) -> list[KeptConversion]:  # noqa: ANN401 - SQLAlchemy's generics
        rows = self._connection.execute(statement, {"ids": encode_rows([(each,) for each in ids])})
        return [_from_row(row) for row in rows]


def _in_order(found: Iterable[KeptConversion]) -> list[KeptConversion]:
    return sorted(found, key=lambda each: (each.opened_at, each.id))


def _by_decision(found: Iterable[KeptConversion]) -> dict[str, tuple[KeptConversion, ...]]:
    sessions: dict[str, tuple[KeptConversion, ...]] = {}
    for each in _in_order(found):
        sessions[each.decision_id] = (*sessions.get(each.decision_id, ()), each)
    return sessions


_encoder = msgspec.json.Encoder()
_decode_declared = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_done = msgspec.json.Decoder(tuple[tuple[str, int], ...]).decode


def _encode_done(done: Iterable[StepDone]) -> str:
    return _encoder.encode([(each.step, to_micros(each.at)) for each in done]).decode()


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _to_row(kept: KeptConversion) -> tuple[object, ...]:
    """In the order of the table's columns."""
    return (
        kept.id,
        kept.decision_id,
        kept.offer,
        kept.recipient,
        kept.body_hash,
        _encoder.encode(kept.declared).decode(),
        _encode_done(kept.done),
        to_micros(kept.opened_at),
        to_micros(kept.ends_at),
        _micros(kept.converted_at),
    )


def _from_row(row: Row[Any]) -> KeptConversion:
    return KeptConversion(
        id=row.id,
        decision_id=row.decision_id,
        offer=row.offer,
        recipient=row.recipient,
        body_hash=row.body_hash,
        declared=_decode_declared(row.declared),
        done=tuple(StepDone(step, from_micros(micros)) for step, micros in _decode_done(row.done)),
        opened_at=from_micros(row.opened_at),
        ends_at=from_micros(row.ends_at),
        converted_at=None if row.converted_at is None else from_micros(row.converted_at),
    )
