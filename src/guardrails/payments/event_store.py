"""Where the ids of what payment services told us stay, for as long as they may tell it again: in memory, or in SQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, Text, bindparam, delete, select

from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import payment_events

__all__ = ["MemoryPaymentEvents", "PaymentEventStore", "SqlPaymentEvents"]


class PaymentEventStore(Protocol):
    """Ids of events that were taken."""

    def taken(self, ids: Collection[str], /) -> Collection[str]:
        """Those of `ids` that are kept."""

    def add(self, ids: Collection[str], at: datetime, /) -> None:
        """Keep new ids; none of them is kept."""

    def forget(self, before: datetime, most: int, /) -> int:
        """Forget at most `most` ids that were kept before an instant, the oldest first; how many it forgot."""


class MemoryPaymentEvents:
    """Ids in a dict."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._at: dict[str, datetime] = {}

    def taken(self, ids: Collection[str], /) -> Collection[str]:
        """Those of `ids` that are kept."""
        return {each for each in ids if each in self._at}

    def add(self, ids: Collection[str], at: datetime, /) -> None:
        """Keep new ids."""
        for each in ids:
            self._journal.put(self._at, each, at)

    def forget(self, before: datetime, most: int, /) -> int:
        """Forget at most `most` ids."""
        old = sorted((at, each) for each, at in self._at.items() if at < before)[:most]
        for _, each in old:
            self._journal.drop(self._at, each)
        return len(old)


_ids = json_rows("ids", id=Text())
_TAKEN = select(payment_events.c.id).where(payment_events.c.id.in_(select(_ids.c.id)))
_OLD = (
    select(payment_events.c.id)
    .where(payment_events.c.recorded_at < bindparam("before"))
    .order_by(payment_events.c.recorded_at, payment_events.c.id)
    .limit(bindparam("most"))
)
_FORGET = delete(payment_events).where(payment_events.c.id.in_(_OLD))


class SqlPaymentEvents:
    """Ids in the table `payment_events`: every call is one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def taken(self, ids: Collection[str], /) -> Collection[str]:
        """Those of `ids` that are kept."""
        asked = encode_rows([(each,) for each in ids])
        return set(self._connection.scalars(_TAKEN, {"ids": asked}))

    def add(self, ids: Collection[str], at: datetime, /) -> None:
        """Keep new ids."""
        insert_rows(self._connection, payment_events, [(each, to_micros(at)) for each in ids])

    def forget(self, before: datetime, most: int, /) -> int:
        """Forget at most `most` ids."""
        return self._connection.execute(_FORGET, {"before": to_micros(before), "most": most}).rowcount
