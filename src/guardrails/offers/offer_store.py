"""Where offers stay: in memory, or in SQL. Their terms are only ever added."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Text, bindparam, func, select, update

from guardrails.core.needs import OfferQuery, OfferTerms
from guardrails.offers.values import UNREGISTERED, Offer, OfferRequest, Payment
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import offers

__all__ = ["MemoryOffers", "OfferStore", "SqlOffers"]


class OfferStore(Protocol):
    """Offers by id. Those whose payment method the service is not set up for are answered as `unpayable`."""

    def read(self, queries: Sequence[OfferQuery], /) -> Mapping[OfferQuery, OfferTerms]:
        """What is registered of each offer; every question is answered. Raises DependencyError."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Offer]:
        """The offer for each id that has one."""

    def insert(self, new: Sequence[Offer], /) -> None:
        """Keep new offers; none of their ids is kept."""

    def take(self, units: Mapping[str, int], /) -> None:
        """Add to how many are taken of each offer: below zero to give some back."""

    def withdraw(self, ids: Sequence[str], at: datetime, /) -> None:
        """Withdraw those that are not withdrawn yet."""

    def page(self, after: str, most: int, /) -> Sequence[Offer]:
        """At most `most` offers whose ids are greater than `after`, in the order of their ids."""


class MemoryOffers:
    """Offers in a dict."""

    def __init__(self, journal: Journal, *, unpayable: AbstractSet[Payment] = frozenset()) -> None:
        self._journal = journal
        self._unpayable = unpayable
        self._by_id: dict[str, Offer] = {}

    def read(self, queries: Sequence[OfferQuery], /) -> Mapping[OfferQuery, OfferTerms]:
        """What is registered of each offer."""
        return _answers(queries, self._by_id, self._unpayable)

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Offer]:
        """The offer for each id that has one."""
        return {each: self._by_id[each] for each in ids if each in self._by_id}

    def insert(self, new: Sequence[Offer], /) -> None:
        """Keep new offers."""
        for offer in new:
            self._journal.put(self._by_id, offer.id, offer)

    def take(self, units: Mapping[str, int], /) -> None:
        """Add to how many are taken of each offer."""
        for offer in self.by_id(list(units)).values():
            taken = offer.taken + units[offer.id]
            self._journal.put(self._by_id, offer.id, msgspec.structs.replace(offer, taken=taken))

    def withdraw(self, ids: Sequence[str], at: datetime, /) -> None:
        """Withdraw those that are not withdrawn yet."""
        for offer in self.by_id(ids).values():
            if offer.withdrawn_at is None:
                self._journal.put(self._by_id, offer.id, msgspec.structs.replace(offer, withdrawn_at=at))

    def page(self, after: str, most: int, /) -> Sequence[Offer]:
        """At most `most` offers whose ids are greater than `after`."""
        return [self._by_id[each] for each in heapq.nsmallest(most, (each for each in self._by_id if each > after))]


_ids = json_rows("ids", id=Text())
_units = json_rows("units", id=Text(), units=BigInteger())
_BY_ID = select(offers).where(offers.c.id.in_(select(_ids.c.id)))
_TAKE = update(offers).where(offers.c.id == _units.c.id).values(taken=offers.c.taken + _units.c.units)
_WITHDRAW = (
    update(offers)
    .where(offers.c.id.in_(select(_ids.c.id)))
    .values(withdrawn_at=func.coalesce(offers.c.withdrawn_at, bindparam("at")))
)
_PAGE = select(offers).where(offers.c.id > bindparam("after")).order_by(offers.c.id).limit(bindparam("most"))


class SqlOffers:
    """Offers in the table `offers`: every call is one statement."""

    def __init__(self, connection: Connection, *, unpayable: AbstractSet[Payment] = frozenset()) -> None:
        self._connection = connection
        self._unpayable = unpayable

    def read(self, queries: Sequence[OfferQuery], /) -> Mapping[OfferQuery, OfferTerms]:
        """What is registered of each offer."""
        return _answers(queries, self.by_id([query.offer for query in queries]), self._unpayable)

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Offer]:
        """The offer for each id that has one."""
        rows = self._connection.execute(_BY_ID, {"ids": _encode_ids(ids)})
        return {offer.id: offer for offer in map(_from_row, rows)}

    def insert(self, new: Sequence[Offer], /) -> None:
        """Keep new offers."""
        insert_rows(self._connection, offers, [_to_row(offer) for offer in new])

    def take(self, units: Mapping[str, int], /) -> None:
        """Add to how many are taken of each offer."""
        self._connection.execute(_TAKE, {"units": encode_rows(list(units.items()))})

    def withdraw(self, ids: Sequence[str], at: datetime, /) -> None:
        """Withdraw those that are not withdrawn yet."""
        self._connection.execute(_WITHDRAW, {"ids": _encode_ids(ids), "at": to_micros(at)})

    def page(self, after: str, most: int, /) -> Sequence[Offer]:
        """At most `most` offers whose ids are greater than `after`."""
        return [_from_row(row) for row in self._connection.execute(_PAGE, {"after": after, "most": most})]


_encode_terms = msgspec.json.Encoder(order="deterministic").encode
_decode_terms = msgspec.json.Decoder(OfferRequest).decode


def _answers(
    queries: Sequence[OfferQuery], known: Mapping[str, Offer], unpayable: AbstractSet[Payment]
) -> Mapping[OfferQuery, OfferTerms]:
    return {query: _answer(known.get(query.offer), unpayable) for query in queries}


def _answer(offer: Offer | None, unpayable: AbstractSet[Payment]) -> OfferTerms:
    if offer is None:
        return UNREGISTERED
    if offer.status == "live" and offer.terms.payment in unpayable:
        return msgspec.structs.replace(offer.answer, status="unpayable")
    return offer.answer


def _encode_ids(ids: Sequence[str]) -> str:
    return encode_rows([(each,) for each in ids])


def _to_row(offer: Offer) -> tuple[object, ...]:
    """In the order of the table's columns."""
    return (
        offer.id,
        _encode_terms(offer.terms).decode(),
        offer.taken,
        None if offer.withdrawn_at is None else to_micros(offer.withdrawn_at),
        to_micros(offer.recorded_at),
    )


def _from_row(row: Row[Any]) -> Offer:
    return Offer(
        terms=_decode_terms(row.terms),
        taken=row.taken,
        withdrawn_at=None if row.withdrawn_at is None else from_micros(row.withdrawn_at),
        recorded_at=from_micros(row.recorded_at),
    )
