"""Where redemptions stay, for good: in memory, or in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Text, bindparam, func, select, update

from guardrails.offers.redemptions import HOLDING, Redemption, RefundKind
from guardrails.payments.port import PaymentStep
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import redemptions

__all__ = ["MemoryRedemptions", "RedemptionStore", "SqlRedemptions"]

SETTLED = ("settled", "refunding")
"""The states in which the money was taken, and not given back."""


class RedemptionStore(Protocol):
    """Redemptions by id, by the decision whose token they hold, and by what they hold."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Redemption]:
        """The redemption for each id that has one."""

    def holding(self, decision_ids: Sequence[str], /) -> Mapping[str, Redemption]:
        """The redemption that holds the token of each decision, where one does."""

    def held_by(self, pairs: Sequence[tuple[str, str]], /) -> Mapping[tuple[str, str], int]:
        """How many redemptions hold a unit, for each pair of offer and recipient of which any does."""

    def settled_of(self, offers: Sequence[str], /) -> Mapping[str, int]:
        """How many redemptions are paid and not taken back, for each offer of which any is."""

    def insert(self, new: Sequence[Redemption], /) -> None:
        """Keep redemptions of new ids, none of whose tokens is held."""

    def update(self, changed: Sequence[Redemption], /) -> None:
        """Record what may change of redemptions that are kept: all but who, what, how much and by which method."""

    def due(self, now: datetime, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions whose `due_at` is at or before `now`, the longest due first."""

    def of_recipient(self, recipient: str, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions of a recipient, the newest first: by `recorded_at`, then by id."""

    def page(self, after: str, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions whose ids are greater than `after`, in the order of their ids."""


class MemoryRedemptions:
    """Redemptions in dicts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, Redemption] = {}
        self._holding: dict[str, str] = {}
        self._held_by: dict[tuple[str, str], int] = {}
        self._due: dict[str, None] = {}

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Redemption]:
        """The redemption for each id that has one."""
        return {each: self._by_id[each] for each in ids if each in self._by_id}

    def holding(self, decision_ids: Sequence[str], /) -> Mapping[str, Redemption]:
        """The redemption that holds the token of each decision, where one does."""
        return {each: self._by_id[self._holding[each]] for each in decision_ids if each in self._holding}

    def held_by(self, pairs: Sequence[tuple[str, str]], /) -> Mapping[tuple[str, str], int]:
        """How many redemptions hold a unit, for each pair of offer and recipient of which any does."""
        return {each: held for each in pairs if (held := self._held_by.get(each, 0))}

    def settled_of(self, offers: Sequence[str], /) -> Mapping[str, int]:
        """How many redemptions are paid and not taken back, for each offer of which any is."""
        wanted = set(offers)
        return Counter(each.offer for each in self._by_id.values() if each.offer in wanted and each.state in SETTLED)

    def insert(self, new: Sequence[Redemption], /) -> None:
        """Keep redemptions of new ids."""
        for each in new:
            self._put(each)

    def update(self, changed: Sequence[Redemption], /) -> None:
        """Record what may change of redemptions that are kept."""
        for each in changed:
            self._put(each)

    def due(self, now: datetime, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions whose `due_at` is at or before `now`, the longest due first."""
        due = [(each.due_at, each.id) for each in map(self._by_id.__getitem__, self._due) if each.due_at is not None]
        return [self._by_id[id_] for due_at, id_ in sorted(due)[:most] if due_at <= now]

    def of_recipient(self, recipient: str, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions of a recipient, the newest first."""
        found = sorted((each for each in self._by_id.values() if each.recipient == recipient), key=lambda each: each.id)
        return sorted(found, key=lambda each: each.recorded_at, reverse=True)[:most]

    def page(self, after: str, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions whose ids are greater than `after`, in the order of their ids."""
        return [self._by_id[each] for each in sorted(id_ for id_ in self._by_id if id_ > after)[:most]]

    def _put(self, redemption: Redemption) -> None:
        before = self._by_id.get(redemption.id)
        self._journal.put(self._by_id, redemption.id, redemption)
        grows = redemption.is_holding - (before is not None and before.is_holding)
        if grows:
            pair = (redemption.offer, redemption.recipient)
            self._journal.put(self._held_by, pair, self._held_by.get(pair, 0) + grows)
        if redemption.has_token:
            self._journal.put(self._holding, redemption.decision_id, redemption.id)
        elif self._holding.get(redemption.decision_id) == redemption.id:
            self._journal.drop(self._holding, redemption.decision_id)
        if redemption.due_at is not None:
            self._journal.put(self._due, redemption.id, None)
        elif redemption.id in self._due:
            self._journal.drop(self._due, redemption.id)


_ids = json_rows("ids", id=Text())
_pairs = json_rows("pairs", offer=Text(), recipient=Text())
_changed = json_rows(
    "changed",
    id=Text(),
    held_decision=Text(),
    state=Text(),
    details=Text(),
    settled_at=BigInteger(),
    due_at=BigInteger(),
)
_BY_ID = select(redemptions).where(redemptions.c.id.in_(select(_ids.c.id)))
_HOLDING = select(redemptions).where(redemptions.c.held_decision.in_(select(_ids.c.id)))
_HELD_BY = (
    select(redemptions.c.offer, redemptions.c.recipient, func.count().label("held"))
    .join_from(
        _pairs,
        redemptions,
        (redemptions.c.offer == _pairs.c.offer) & (redemptions.c.recipient == _pairs.c.recipient),
    )
    .where(redemptions.c.state.in_(sorted(HOLDING)))
    .group_by(redemptions.c.offer, redemptions.c.recipient)
)
_SETTLED_OF = (
    select(redemptions.c.offer, func.count().label("settled"))
    .where(redemptions.c.offer.in_(select(_ids.c.id)), redemptions.c.state.in_(SETTLED))
    .group_by(redemptions.c.offer)
)
_UPDATE = (
    update(redemptions)
    .where(redemptions.c.id == _changed.c.id)
    .values({name: _changed.c[name] for name in ("held_decision", "state", "details", "settled_at", "due_at")})
)
_DUE = (
    select(redemptions)
    .where(redemptions.c.due_at <= bindparam("now"))
    .order_by(redemptions.c.due_at, redemptions.c.id)
    .limit(bindparam("most"))
)
_OF_RECIPIENT = (
    select(redemptions)
    .where(redemptions.c.recipient == bindparam("recipient"))
    .order_by(redemptions.c.recorded_at.desc(), redemptions.c.id)
    .limit(bindparam("most"))
)
_PAGE = (
    select(redemptions).where(redemptions.c.id > bindparam("after")).order_by(redemptions.c.id).limit(bindparam("most"))
)


class SqlRedemptions:
    """Redemptions in the table `redemptions`: every call is one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Redemption]:
        """The redemption for each id that has one."""
        rows = self._connection.execute(_BY_ID, {"ids": _encode_ids(ids)})
        return {each.id: each for each in map(_from_row, rows)}

    def holding(self, decision_ids: Sequence[str], /) -> Mapping[str, Redemption]:
        """The redemption that holds the token of each decision, where one does."""
        rows = self._connection.execute(_HOLDING, {"ids": _encode_ids(decision_ids)})
        return {each.decision_id: each for each in map(_from_row, rows)}

    def held_by(self, pairs: Sequence[tuple[str, str]], /) -> Mapping[tuple[str, str], int]:
        """How many redemptions hold a unit, for each pair of offer and recipient of which any does."""
        rows = self._connection.execute(_HELD_BY, {"pairs": encode_rows(sorted(set(pairs)))})
        return {(row.offer, row.recipient): row.held for row in rows}

    def settled_of(self, offers: Sequence[str], /) -> Mapping[str, int]:
        """How many redemptions are paid and not taken back, for each offer of which any is."""
        rows = self._connection.execute(_SETTLED_OF, {"ids": _encode_ids(offers)})
        return {row.offer: row.settled for row in rows}

    def insert(self, new: Sequence[Redemption], /) -> None:
        """Keep redemptions of new ids."""
        insert_rows(self._connection, redemptions, [_to_row(each) for each in new])

    def update(self, changed: Sequence[Redemption], /) -> None:
        """Record what may change of redemptions that are kept."""
        rows = [
            (each.id, _held(each), each.state, _details(each), _micros(each.settled_at), _micros(each.due_at))
            for each in changed
        ]
        self._connection.execute(_UPDATE, {"changed": encode_rows(rows)})

    def due(self, now: datetime, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions whose `due_at` is at or before `now`, the longest due first."""
        return self._read(_DUE, {"now": to_micros(now), "most": most})

    def of_recipient(self, recipient: str, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions of a recipient, the newest first."""
        return self._read(_OF_RECIPIENT, {"recipient": recipient, "most": most})

    def page(self, after: str, most: int, /) -> Sequence[Redemption]:
        """At most `most` redemptions whose ids are greater than `after`, in the order of their ids."""
        return self._read(_PAGE, {"after": after, "most": most})

    def _read(self, statement: Any, parameters: Mapping[str, object]) -> list[Redemption]:  # noqa: ANN401 - any select
        return [_from_row(row) for row in self._connection.execute(statement, parameters)]


class _Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a redemption is never looked for."""

    sponsor: str
    step: PaymentStep | None = None
    attempts: int = 0
    refunds: int = 0
    reference: str | None = None
    reason: str | None = None
    taken_back_as: RefundKind | None = None
    why: str | None = None
    authorised_at: datetime | None = None
    refunding_at: datetime | None = None
    refunded_at: datetime | None = None
    charged_back_at: datetime | None = None
    declined_at: datetime | None = None
    released_at: datetime | None = None
    settled_index: int | None = None
    taken_back_index: int | None = None
    decision_index: int | None = None


_encode_details = msgspec.json.Encoder().encode
_decode_details = msgspec.json.Decoder(_Details).decode


def _details(redemption: Redemption) -> str:
    details = _Details(**{name: getattr(redemption, name) for name in _Details.__struct_fields__})
    return _encode_details(details).decode()


def _held(redemption: Redemption) -> str | None:
    return redemption.decision_id if redemption.has_token else None


def _encode_ids(ids: Sequence[str]) -> str:
    return encode_rows([(each,) for each in ids])


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _to_row(redemption: Redemption) -> tuple[object, ...]:
    """In the order of the table's columns."""
    return (
        redemption.id,
        redemption.decision_id,
        _held(redemption),
        redemption.offer,
        redemption.recipient,
        redemption.conversion,
        redemption.body_hash,
        redemption.state,
        redemption.method,
        redemption.amount_minor,
        redemption.currency,
        _details(redemption),
        to_micros(redemption.recorded_at),
        _micros(redemption.settled_at),
        _micros(redemption.due_at),
    )


def _from_row(row: Row[Any]) -> Redemption:
    details = _decode_details(row.details)
    return Redemption(
        id=row.id,
        decision_id=row.decision_id,
        offer=row.offer,
        recipient=row.recipient,
        conversion=row.conversion,
        body_hash=row.body_hash,
        state=row.state,
        method=row.method,
        amount_minor=row.amount_minor,
        currency=row.currency,
        recorded_at=from_micros(row.recorded_at),
        settled_at=_instant(row.settled_at),
        due_at=_instant(row.due_at),
        **{name: getattr(details, name) for name in _Details.__struct_fields__},
    )
