"""Where revenue is recorded: in memory, or in SQL. Records are only ever added; what takes one back is another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from sqlalchemy import Connection, Row, Text, bindparam, select, tuple_

from guardrails.attribution.values import ModelName, Part, Revenue, Shortfall, Why
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import WideInteger, revenues

__all__ = ["MemoryRevenues", "Place", "RevenueStore", "SqlRevenues", "StoredRevenue"]


class StoredRevenue(msgspec.Struct, frozen=True):
    """A record, and the hash of the request that asked for it."""

    revenue: Revenue
    body_hash: bytes


class Place(NamedTuple):
    """Where a record stands among those that were booked: by when, then by its place in the log."""

    recorded_at: datetime
    audit_index: int


class RevenueStore(Protocol):
    """Revenue, by id."""

    def append(self, new: Sequence[StoredRevenue], /) -> None:
        """Keep records; none of their ids is kept, nor anything that takes back the same."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, StoredRevenue]:
        """The record for each id that has one, with what took it back."""

    def by_conversion(self, conversions: Sequence[str], /) -> Mapping[str, Revenue]:
        """For each conversion its revenue, where one is booked and not taken back."""

    def of_recipient(self, recipient: str, /) -> Sequence[Revenue]:
        """All that is recorded of a recipient, oldest first."""

    def booked(self, after: Place, until: datetime, most: int, /) -> Sequence[Revenue]:
        """At most `most` of what was recorded before `until`, in order, from behind `after`."""


class MemoryRevenues:
    """Revenue in a dict."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, StoredRevenue] = {}
        self._reversals: dict[str, str] = {}
        self._of_conversion: dict[str, str] = {}

    def append(self, new: Sequence[StoredRevenue], /) -> None:
        """Keep records."""
        for stored in new:
            revenue = stored.revenue
            self._journal.put(self._by_id, revenue.id, stored)
            if revenue.reverses is not None:
                self._journal.put(self._reversals, revenue.reverses, revenue.id)
            if revenue.conversion is not None:
                self._journal.put(self._of_conversion, revenue.conversion, revenue.id)

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, StoredRevenue]:
        """The record for each id that has one."""
        return {
            each: StoredRevenue(self._told(each), self._by_id[each].body_hash) for each in ids if each in self._by_id
        }

    def by_conversion(self, conversions: Sequence[str], /) -> Mapping[str, Revenue]:
        """For each conversion its revenue."""
        found = {each: self._of_conversion[each] for each in conversions if each in self._of_conversion}
        return {conversion: self._told(id_) for conversion, id_ in found.items() if id_ not in self._reversals}

    def of_recipient(self, recipient: str, /) -> Sequence[Revenue]:
        """All that is recorded of a recipient."""
        return [each for each in self._in_order() if each.recipient == recipient]

    def booked(self, after: Place, until: datetime, most: int, /) -> Sequence[Revenue]:
        """At most `most` of what was recorded before `until`."""
        found = (each for each in self._in_order() if after < _place(each) and each.recorded_at < until)
        return list(found)[:most]

    def _in_order(self) -> list[Revenue]:
        return sorted(map(self._told, self._by_id), key=_place)

    def _told(self, id_: str) -> Revenue:
        return msgspec.structs.replace(self._by_id[id_].revenue, reversed_by=self._reversals.get(id_))


def _place(revenue: Revenue) -> Place:
    return Place(revenue.recorded_at, revenue.audit_index)


_asked = json_rows("ids", id=Text())
_reversal = revenues.alias("reversal")
_TOLD = select(
    revenues,
    select(_reversal.c.id).where(_reversal.c.reverses == revenues.c.id).scalar_subquery().label("reversed_by"),
)
_IN_ORDER = _TOLD.order_by(revenues.c.recorded_at, revenues.c.audit_index)
_BY_ID = _TOLD.where(revenues.c.id.in_(select(_asked.c.id)))
_BY_CONVERSION = _TOLD.where(
    revenues.c.conversion.in_(select(_asked.c.id)),
    ~select(_reversal.c.id).where(_reversal.c.reverses == revenues.c.id).exists(),
)
_OF_RECIPIENT = _IN_ORDER.where(revenues.c.recipient == bindparam("recipient"))
_BOOKED = _IN_ORDER.where(
    tuple_(revenues.c.recorded_at, revenues.c.audit_index)
    > tuple_(bindparam("recorded_at", type_=WideInteger), bindparam("audit_index", type_=WideInteger)),
    revenues.c.recorded_at < bindparam("until", type_=WideInteger),
).limit(bindparam("most"))


class SqlRevenues:
    """Revenue in the table `revenues`: every call is one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, new: Sequence[StoredRevenue], /) -> None:
        """Keep records."""
        insert_rows(self._connection, revenues, [_to_row(stored) for stored in new])

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, StoredRevenue]:
        """The record for each id that has one."""
        rows = self._connection.execute(_BY_ID, {"ids": _encode(ids)})
        return {row.id: StoredRevenue(_from_row(row), row.body_hash) for row in rows}

    def by_conversion(self, conversions: Sequence[str], /) -> Mapping[str, Revenue]:
        """For each conversion its revenue."""
        rows = self._connection.execute(_BY_CONVERSION, {"ids": _encode(conversions)})
        return {row.conversion: _from_row(row) for row in rows}

    def of_recipient(self, recipient: str, /) -> Sequence[Revenue]:
        """All that is recorded of a recipient."""
        return [_from_row(row) for row in self._connection.execute(_OF_RECIPIENT, {"recipient": recipient})]

    def booked(self, after: Place, until: datetime, most: int, /) -> Sequence[Revenue]:
        """At most `most` of what was recorded before `until`."""
        bounds = {
            "recorded_at": to_micros(after.recorded_at),
            "audit_index": after.audit_index,
            "until": to_micros(until),
            "most": most,
        }
        return [_from_row(row) for row in self._connection.execute(_BOOKED, bounds)]


class _Booked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a row keeps as JSON."""

    model: ModelName
    parts: tuple[Part, ...] = ()
    why: Why | None = None
    transaction: str | None = None
    reason: str | None = None
    shortfalls: tuple[Shortfall, ...] = ()
    decision_id: str | None = None
    campaign: str | None = None
    offer: str | None = None


_decode_booked = msgspec.json.Decoder(_Booked).decode


def _encode(ids: Sequence[str]) -> str:
    return encode_rows([(each,) for each in ids])


def _to_row(stored: StoredRevenue) -> tuple[object, ...]:
    """In the order of the table's columns."""
    revenue = stored.revenue
    booked = _Booked(*(getattr(revenue, name) for name in _Booked.__struct_fields__))
    return (
        revenue.id,
        stored.body_hash,
        revenue.amount_minor,
        revenue.currency,
        to_micros(revenue.at),
        revenue.conversion,
        revenue.reverses,
        revenue.recipient,
        revenue.sponsor,
        msgspec.json.encode(booked).decode(),
        revenue.audit_index,
        to_micros(revenue.recorded_at),
    )


def _from_row(row: Row[Any]) -> Revenue:
    return Revenue(
        id=row.id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        at=from_micros(row.at),
        recorded_at=from_micros(row.recorded_at),
        audit_index=row.audit_index,
        recipient=row.recipient,
        sponsor=row.sponsor,
        conversion=row.conversion,
        reverses=row.reverses,
        reversed_by=row.reversed_by,
        **msgspec.structs.asdict(_decode_booked(row.booked)),
    )
