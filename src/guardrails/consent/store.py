"""Where consent records stay: in memory, or in SQL. Which of them speaks is what `fold` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    true,
)

from guardrails.consent.fold import state_at
from guardrails.consent.values import ConsentEvent
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.core.purposes import OS_PERMISSION
from guardrails.decide.ports import ConsentReader
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import WideInteger, consent_events

__all__ = ["ConsentStore", "MemoryConsents", "SqlConsents"]


class ConsentStore(ConsentReader, Protocol):
    """Records that are only ever added."""

    def append(self, events: Sequence[ConsentEvent], /) -> None:
        """Add records; their ids are new, and what they confirm nothing confirmed before."""

    def read_at(self, queries: Sequence[ConsentQuery], at: datetime, /) -> Mapping[ConsentQuery, ConsentState]:
        """As `read`, as of `at`: by the records of what was said until then."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """The record for each id that has one."""

    def confirmations(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """For the id of each pending record that was confirmed, the record that confirms it."""

    def newest(self, pairs: Sequence[tuple[str, str]], /) -> Mapping[tuple[str, str], datetime]:
        """For each recipient and purpose of which anything is recorded, the latest `at`; pending ones count."""

    def purposes(self, recipient: str, /) -> tuple[str, ...]:
        """The purposes of which anything is recorded of a recipient, sorted."""

    def history(
        self,
        recipient: str,
        /,
        *,
        purpose: str | None = None,
        as_of: datetime | None = None,
        after: str | None = None,
        most: int | None = None,
    ) -> tuple[ConsentEvent, ...]:
        """The records of a recipient, oldest first: by `at`, then by arrival.

        Of a `purpose` only, where it is given; of what was said until `as_of`; those that follow on the record whose id
        is `after`; and at most so many.
        """

    def latest(self, recipient: str, /, *, most: int) -> tuple[ConsentEvent, ...]:
        """The last `most` records of a recipient's history, oldest first."""

    def arrived(self) -> int:
        """The place of the last record to arrive, counted from 1; 0 where there is none. Places may be missing."""

    def arrivals(self, start: int, stop: int, most: int, /) -> Sequence[tuple[int, ConsentEvent]]:
        """At most `most` records at the places `start <= place < stop` of their arrival, each with its place."""


class MemoryConsents:
    """Consent records in two lists and two dicts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, ConsentEvent] = {}
        self._confirmations: dict[str, ConsentEvent] = {}
        self._by_recipient: dict[str, list[ConsentEvent]] = {}
        self._in_order: list[ConsentEvent] = []

    def read(self, queries: Sequence[ConsentQuery], /) -> Mapping[ConsentQuery, ConsentState]:
        """What speaks for each question."""
        return {query: state_at(self._arrived(query.recipient), query.purpose, query.channel) for query in queries}

    def read_at(self, queries: Sequence[ConsentQuery], at: datetime, /) -> Mapping[ConsentQuery, ConsentState]:
        """What spoke for each question."""
        return {
            query: state_at(self._arrived(query.recipient), query.purpose, query.channel, at=at) for query in queries
        }

    def append(self, events: Sequence[ConsentEvent], /) -> None:
        """Add records."""
        for event in events:
            self._journal.put(self._by_id, event.id, event)
            if event.confirms is not None:
                self._journal.put(self._confirmations, event.confirms, event)
            self._journal.extend(self._by_recipient.setdefault(event.recipient, []), [event])
            self._journal.extend(self._in_order, [event])

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """The record for each id that has one."""
        return {each: self._by_id[each] for each in ids if each in self._by_id}

    def confirmations(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """What confirms each pending record that was confirmed."""
        return {each: self._confirmations[each] for each in ids if each in self._confirmations}

    def newest(self, pairs: Sequence[tuple[str, str]], /) -> Mapping[tuple[str, str], datetime]:
        """The latest `at` of each recipient and purpose."""
        found: dict[tuple[str, str], datetime] = {}
        for recipient, purpose in pairs:
            instants = [event.at for event in self._arrived(recipient) if event.purpose == purpose]
            if instants:
                found[recipient, purpose] = max(instants)
        return found

    def purposes(self, recipient: str, /) -> tuple[str, ...]:
        """The purposes of which anything is recorded."""
        return tuple(sorted({event.purpose for event in self._arrived(recipient)}))

    def history(
        self,
        recipient: str,
        /,
        *,
        purpose: str | None = None,
        as_of: datetime | None = None,
        after: str | None = None,
        most: int | None = None,
    ) -> tuple[ConsentEvent, ...]:
        """The records of a recipient, oldest first."""
        events = sorted(self._arrived(recipient), key=lambda event: event.at)
        start = 0 if after is None else next((n for n, event in enumerate(events, 1) if event.id == after), len(events))
        kept = [
            event
            for event in events[start:]
            if (purpose is None or event.purpose == purpose) and (as_of is None or event.at <= as_of)
        ]
        return tuple(kept[:most])

    def latest(self, recipient: str, /, *, most: int) -> tuple[ConsentEvent, ...]:
        """The last records of a recipient's history."""
        events = self.history(recipient)
        return events[max(0, len(events) - most) :]

    def arrived(self) -> int:
        """How many there are."""
        return len(self._in_order)

    def arrivals(self, start: int, stop: int, most: int, /) -> Sequence[tuple[int, ConsentEvent]]:
        """At most `most` records at the places `start <= place < stop`."""
        places = range(max(start, 1), min(stop, len(self._in_order) + 1))[:most]
        return [(place, self._in_order[place - 1]) for place in places]

    def _arrived(self, recipient: str) -> Sequence[ConsentEvent]:
        return self._by_recipient.get(recipient, ())


_asked = json_rows("asked", place=Integer(), recipient=Text(), purpose=Text(), channel=Text())
_quoted = literal('"', Text()).concat(_asked.c.channel).concat('"')
_told = consent_events.alias("told")


def _reading(bound: ColumnElement[bool]) -> Select[Any]:
    """The statement that finds what speaks for each question, among the records within `bound`."""
    newest = (
        select(consent_events.c.seq)
        .where(
            consent_events.c.recipient == _asked.c.recipient,
            consent_events.c.purpose == _asked.c.purpose,
            # `ConsentEvent.speaks`, in SQL.
            consent_events.c.state != "pending",
            (consent_events.c.state != "granted") | (consent_events.c.method != OS_PERMISSION),
            # Without LIKE, in which the `_` of `in_app` stands for any letter.
            consent_events.c.channels.is_(None)
            | (func.replace(consent_events.c.channels, _quoted, "") != consent_events.c.channels),
            bound,
        )
        .order_by(consent_events.c.at.desc(), consent_events.c.seq.desc())
        .limit(1)
        .correlate(_asked)
        .scalar_subquery()
    )
    return select(
        _asked.c.place,
        _told.c.state,
        _told.c.at,
        _told.c.expires_at,
        _told.c.id,
        _told.c.method,
        _told.c.notice_id,
        _told.c.notice_version,
        _told.c.jurisdiction,
        _told.c.channels,
    ).join_from(_asked, _told, _told.c.seq == newest)


_READ = _reading(true())
_READ_AT = _reading(consent_events.c.at <= bindparam("at", type_=WideInteger))

_asked_ids = json_rows("ids", id=Text())
_BY_ID = select(consent_events).where(consent_events.c.id.in_(select(_asked_ids.c.id)))
_CONFIRMATIONS = select(consent_events).where(consent_events.c.confirms.in_(select(_asked_ids.c.id)))

_pairs = json_rows("pairs", recipient=Text(), purpose=Text())
_latest = (
    select(func.max(consent_events.c.at))
    .where(consent_events.c.recipient == _pairs.c.recipient, consent_events.c.purpose == _pairs.c.purpose)
    .correlate(_pairs)
    .scalar_subquery()
)
_NEWEST = select(_pairs.c.recipient, _pairs.c.purpose, _latest.label("at"))


class SqlConsents:
    """Consent records in the table `consent_events`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, queries: Sequence[ConsentQuery], /) -> Mapping[ConsentQuery, ConsentState]:
        """What speaks for each question, in one statement."""
        return self._states(_READ, queries)

    def read_at(self, queries: Sequence[ConsentQuery], at: datetime, /) -> Mapping[ConsentQuery, ConsentState]:
        """What spoke for each question, in one statement."""
        return self._states(_READ_AT, queries, at=to_micros(at))

    def append(self, events: Sequence[ConsentEvent], /) -> None:
        """Add records, in one statement."""
        self._connection.execute(insert(consent_events), [_to_row(event) for event in events])

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """The record for each id that has one, in one statement."""
        return {event.id: event for event in self._events(_BY_ID, ids=encode_rows([(each,) for each in ids]))}

    def confirmations(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """What confirms each pending record that was confirmed, in one statement."""
        asked = encode_rows([(each,) for each in ids])
        return {event.confirms: event for event in self._events(_CONFIRMATIONS, ids=asked) if event.confirms}

    def newest(self, pairs: Sequence[tuple[str, str]], /) -> Mapping[tuple[str, str], datetime]:
        """The latest `at` of each recipient and purpose, in one statement."""
        rows = self._connection.execute(_NEWEST, {"pairs": encode_rows(pairs)})
        return {(row.recipient, row.purpose): from_micros(row.at) for row in rows if row.at is not None}

    def purposes(self, recipient: str, /) -> tuple[str, ...]:
        """The purposes of which anything is recorded."""
        column = consent_events.c.purpose
        found = select(column).distinct().where(consent_events.c.recipient == recipient)
        return tuple(sorted(self._connection.execute(found).scalars()))

    def history(
        self,
        recipient: str,
        /,
        *,
        purpose: str | None = None,
        as_of: datetime | None = None,
        after: str | None = None,
        most: int | None = None,
    ) -> tuple[ConsentEvent, ...]:
        """The records of a recipient, oldest first, in one statement."""
        columns = consent_events.c
        asked = select(consent_events).where(columns.recipient == recipient)
        if purpose is not None:
            asked = asked.where(columns.purpose == purpose)
        if as_of is not None:
            asked = asked.where(columns.at <= to_micros(as_of))
        if after is not None:
            asked = asked.where(_follows(after))
        return tuple(self._events(asked.order_by(columns.at, columns.seq).limit(most)))

    def latest(self, recipient: str, /, *, most: int) -> tuple[ConsentEvent, ...]:
        """The last records of a recipient's history, in one statement."""
        columns = consent_events.c
        asked = select(consent_events).where(columns.recipient == recipient)
        newest_first = self._events(asked.order_by(columns.at.desc(), columns.seq.desc()).limit(most))
        return tuple(reversed(tuple(newest_first)))

    def arrived(self) -> int:
        """The place of the last record to arrive."""
        last: int | None = self._connection.execute(select(func.max(consent_events.c.seq))).scalar_one()
        return last or 0

    def arrivals(self, start: int, stop: int, most: int, /) -> Sequence[tuple[int, ConsentEvent]]:
        """At most `most` records at the places `start <= place < stop`, in one statement."""
        place = consent_events.c.seq
        asked = select(consent_events).where(place >= start, place < stop).order_by(place).limit(most)
        return [(row.seq, _from_row(row)) for row in self._connection.execute(asked)]

    def _states(
        self, statement: Select[Any], queries: Sequence[ConsentQuery], **bounds: int
    ) -> Mapping[ConsentQuery, ConsentState]:
        asked = [(place, query.recipient, query.purpose, query.channel) for place, query in enumerate(queries)]
        states = dict.fromkeys(queries, ConsentState())
        rows = self._connection.execute(statement, {"asked": encode_rows(asked), **bounds}).all()
        for place, status, at, expires_at, record, method, notice_id, notice_version, jurisdiction, channels in rows:
            states[queries[place]] = ConsentState(
                status=status,
                at=from_micros(at),
                expires_at=None if expires_at is None else from_micros(expires_at),
                record=record,
                method=method,
                notice_id=notice_id,
                notice_version=notice_version,
                jurisdiction=jurisdiction,
                names_channel=channels is not None,
            )
        return states

    def _events(self, statement: Select[Any], **parameters: str) -> Iterable[ConsentEvent]:
        return map(_from_row, self._connection.execute(statement, parameters))


def _follows(record: str) -> ColumnElement[bool]:
    """Whether a record comes after this one."""
    columns, before = consent_events.c, consent_events.alias("before")
    at, seq = (select(each).where(before.c.id == record).scalar_subquery() for each in (before.c.at, before.c.seq))
    return or_(columns.at > at, and_(columns.at == at, columns.seq > seq))


def _to_row(event: ConsentEvent) -> dict[str, object]:
    row = msgspec.structs.asdict(event)
    row["at"] = to_micros(event.at)
    row["recorded_at"] = to_micros(event.recorded_at)
    row["expires_at"] = None if event.expires_at is None else to_micros(event.expires_at)
    row["evidence"] = msgspec.json.encode(event.evidence).decode()
    row["channels"] = None if event.channels is None else msgspec.json.encode(event.channels).decode()
    return row


def _from_row(row: Row[Any]) -> ConsentEvent:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    del fields["seq"]
    fields["at"] = from_micros(row.at)
    fields["recorded_at"] = from_micros(row.recorded_at)
    fields["expires_at"] = None if row.expires_at is None else from_micros(row.expires_at)
    fields["evidence"] = msgspec.json.decode(row.evidence)
    fields["channels"] = None if row.channels is None else tuple(msgspec.json.decode(row.channels))
    return ConsentEvent(**fields)
