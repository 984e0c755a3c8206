"""Caps in SQL: the table `cap_slots`, read by two indexes, so that cost is flat with the number of recipients.

A read is one statement for all questions of a kind: how many slots count, and the newest of them. Only where a
question wants more than one instant and there are more, a second statement lists them; and a key that is used beyond
what is listed (its policy only monitors, say) is asked for by itself, with a LIMIT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Text,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from guardrails.caps.slot import COUNTS_ON, Outcome, slots_of
from guardrails.core.needs import Usage, UsageQuery
from guardrails.decide.ports import Reservation
from guardrails.storage.instants import MICROS_PER_SECOND, from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.tables import cap_slots

__all__ = ["SqlCaps"]

By = Literal["counted_at", "until"]

_asked = json_rows("asked", place=Integer(), cap=Text(), key=Text(), since=BigInteger())


class _Reading:
    """The statements that read by one kind of instant."""

    def __init__(self, by: By) -> None:
        instant: ColumnElement[int] = cap_slots.c[by]
        of_key = and_(
            cap_slots.c.cap == _asked.c.cap, cap_slots.c.key == _asked.c.key, instant >= _asked.c.since, _LIVE
        )
        self.totals = (
            select(_asked.c.place, func.count(), func.max(instant))
            .join_from(_asked, cap_slots, of_key)
            .group_by(_asked.c.place)
        )
        self.instants = select(_asked.c.place, instant).join_from(_asked, cap_slots, of_key).order_by(instant)
        self.newest = (
            select(instant)
            .where(
                cap_slots.c.cap == bindparam("cap"),
                cap_slots.c.key == bindparam("key"),
                instant >= bindparam("since"),
                _LIVE,
            )
            .order_by(instant.desc())
            .limit(bindparam("newest"))
        )


def _commit(outcome: Outcome) -> Update:
    """The statement of `Slot.after`; a test holds the two together."""
    at = bindparam("outcome_at", type_=BigInteger)
    begins = and_(
        cap_slots.c.count_on.in_(COUNTS_ON[outcome]),
        or_(cap_slots.c.counted_at.is_(None), cap_slots.c.counted_at > at),
    )
    ends = at + cap_slots.c.countdown_seconds * MICROS_PER_SECOND  # null without a countdown
    return (
        update(cap_slots)
        .where(cap_slots.c.decision_id == bindparam("decision"))
        .values(
            counted_at=case((begins, at), else_=cap_slots.c.counted_at),
            until=case((begins, ends), else_=cap_slots.c.until),
            lease_until=null(),
        )
    )


_LIVE = or_(cap_slots.c.lease_until.is_(None), cap_slots.c.lease_until > bindparam("now"))
_READINGS: Mapping[By, _Reading] = {"counted_at": _Reading("counted_at"), "until": _Reading("until")}
_COMMITS: Mapping[Outcome, Update] = {"sent": _commit("sent"), "delivered": _commit("delivered")}
_RELEASE = delete(cap_slots).where(cap_slots.c.decision_id == bindparam("decision"))


class SqlCaps:
    """The `CapStore` over the table `cap_slots`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question."""
        usages: dict[UsageQuery, Usage] = dict.fromkeys(queries, Usage())
        for by, reading in _READINGS.items():
            asked = [query for query in usages if query.by == by]
            if asked:
                usages.update(self._read(reading, asked, to_micros(now)))
        return usages

    def reserve(self, reservations: Sequence[Reservation], /) -> None:
        """Take all slots of all reservations, in one statement."""
        rows = [msgspec.structs.asdict(slot) for reservation in reservations for slot in slots_of(reservation)]
        if rows:
            self._connection.execute(insert(cap_slots), rows)

    def commit(self, decision_id: str, outcome: Outcome, at: datetime, /) -> None:
        """The send took place."""
        self._connection.execute(_COMMITS[outcome], {"decision": decision_id, "outcome_at": to_micros(at)})

    def release(self, decision_id: str, /) -> None:
        """The send will not take place."""
        self._connection.execute(_RELEASE, {"decision": decision_id})

    def _read(self, reading: _Reading, queries: Sequence[UsageQuery], now: int) -> dict[UsageQuery, Usage]:
        """The usage for those questions whose key is used at all."""
        rows = [(place, query.cap, query.key, to_micros(query.since)) for place, query in enumerate(queries)]
        totals = self._connection.execute(reading.totals, {"asked": encode_rows(rows), "now": now}).all()
        usages = {}
        several = {}
        for place, total, latest in totals:
            query = queries[place]
            if query.newest == 0:
                usages[query] = Usage(total)
            elif query.newest == 1 or total == 1:
                usages[query] = Usage(total - 1, (from_micros(latest),))
            elif total <= query.newest:
                several[place] = rows[place]
            else:
                usages[query] = Usage(total - query.newest, self._newest(reading, query, now))
        if several:
            usages.update(self._list(reading, queries, several, now))
        return usages

    def _list(
        self, reading: _Reading, queries: Sequence[UsageQuery], asked: Mapping[int, tuple[int, str, str, int]], now: int
    ) -> dict[UsageQuery, Usage]:
        """Every instant of the questions at the given places."""
        instants: dict[int, list[datetime]] = {place: [] for place in asked}
        parameters = {"asked": encode_rows(list(asked.values())), "now": now}
        for place, instant in self._connection.execute(reading.instants, parameters):
            instants[place].append(from_micros(instant))
        return {queries[place]: Usage(0, tuple(times)) for place, times in instants.items()}

    def _newest(self, reading: _Reading, query: UsageQuery, now: int) -> tuple[datetime, ...]:
        """The newest instants of one question, ascending."""
        parameters = {
            "cap": query.cap,
            "key": query.key,
            "since": to_micros(query.since),
            "newest": query.newest,
            "now": now,
        }
        newest = self._connection.execute(reading.newest, parameters).scalars().all()
        return tuple(from_micros(instant) for instant in reversed(newest))
