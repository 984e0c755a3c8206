"""Where consent records stay: in memory, or in SQL. The newest record speaks: by `at`, then by arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, Row, Text, func, insert, literal, select

from guardrails.consent.values import ConsentEvent
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.decide.ports import ConsentReader
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import consent_events

__all__ = ["ConsentStore", "MemoryConsents", "SqlConsents"]


class ConsentStore(ConsentReader, Protocol):
    """Records that are only ever added."""

    def append(self, events: Sequence[ConsentEvent], /) -> None:
        """Add records; their ids are new."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """The record for each id that has one."""

    def history(self, recipient: str, /) -> tuple[ConsentEvent, ...]:
        """All records of a recipient, oldest first: by `at`, then by arrival."""


class MemoryConsents:
    """Consent records in a list and two dicts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, ConsentEvent] = {}
        self._by_recipient: dict[str, list[ConsentEvent]] = {}

    def read(self, queries: Sequence[ConsentQuery], /) -> Mapping[ConsentQuery, ConsentState]:
        """The newest record for each question."""
        return {query: self._newest(query) for query in queries}

    def append(self, events: Sequence[ConsentEvent], /) -> None:
        """Add records."""
        for event in events:
            self._journal.put(self._by_id, event.id, event)
            self._journal.extend(self._by_recipient.setdefault(event.recipient, []), [event])

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """The record for each id that has one."""
        return {each: self._by_id[each] for each in ids if each in self._by_id}

    def history(self, recipient: str, /) -> tuple[ConsentEvent, ...]:
        """All records of a recipient, oldest first."""
        return tuple(sorted(self._by_recipient.get(recipient, ()), key=lambda event: event.at))

    def _newest(self, query: ConsentQuery) -> ConsentState:
        for event in reversed(self.history(query.recipient)):
            if event.purpose == query.purpose and event.state != "pending" and event.covers(query.channel):
                return event.told()
        return ConsentState()


_asked = json_rows("asked", recipient=Text(), purpose=Text(), channel=Text())
_quoted = literal('"', Text()).concat(_asked.c.channel).concat('"')
_newest = (
    select(consent_events.c.seq)
    .where(
        consent_events.c.recipient == _asked.c.recipient,
        consent_events.c.purpose == _asked.c.purpose,
        consent_events.c.state != "pending",
        # Without LIKE, in which the `_` of `in_app` stands for any letter.
        consent_events.c.channels.is_(None)
        | (func.replace(consent_events.c.channels, _quoted, "") != consent_events.c.channels),
    )
    .order_by(consent_events.c.at.desc(), consent_events.c.seq.desc())
    .limit(1)
    .correlate(_asked)
    .scalar_subquery()
)
_told = consent_events.alias("told")
_READ = select(
    _asked.c.recipient,
    _asked.c.purpose,
    _asked.c.channel,
    _told.c.state,
    _told.c.at,
    _told.c.expires_at,
    _told.c.id,
    _told.c.method,
    _told.c.notice_id,
    _told.c.notice_version,
    _told.c.jurisdiction,
    _told.c.channels,
).join_from(_asked, _told, _told.c.seq == _newest)

_asked_ids = json_rows("ids", id=Text())
_BY_ID = select(consent_events).where(consent_events.c.id.in_(select(_asked_ids.c.id)))


class SqlConsents:
    """Consent records in the table `consent_events`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, queries: Sequence[ConsentQuery], /) -> Mapping[ConsentQuery, ConsentState]:
        """The newest record for each question, in one statement."""
        asked = encode_rows([(query.recipient, query.purpose, query.channel) for query in queries])
        states = dict.fromkeys(queries, ConsentState())
        for row in self._connection.execute(_READ, {"asked": asked}):
            query = ConsentQuery(row.recipient, row.purpose, row.channel)
            states[query] = ConsentState(
                status=row.state,
                at=from_micros(row.at),
                expires_at=None if row.expires_at is None else from_micros(row.expires_at),
                record=row.id,
                method=row.method,
                notice_id=row.notice_id,
                notice_version=row.notice_version,
                jurisdiction=row.jurisdiction,
                names_channel=row.channels is not None,
            )
        return states

    def append(self, events: Sequence[ConsentEvent], /) -> None:
        """Add records, in one statement."""
        self._connection.execute(insert(consent_events), [_to_row(event) for event in events])

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, ConsentEvent]:
        """The record for each id that has one, in one statement."""
        asked = encode_rows([(each,) for each in ids])
        events = map(_from_row, self._connection.execute(_BY_ID, {"ids": asked}))
        return {event.id: event for event in events}

    def history(self, recipient: str, /) -> tuple[ConsentEvent, ...]:
        """All records of a recipient, oldest first."""
        rows = self._connection.execute(
            select(consent_events)
            .where(consent_events.c.recipient == recipient)
            .order_by(consent_events.c.at, consent_events.c.seq)
        )
        return tuple(map(_from_row, rows))


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
