"""Where preferences stay: in memory, or in SQL. The newest event of each choice holds: by `at`, then by arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, Text, func, insert, select

from guardrails.core.needs import PreferenceQuery, Preferences
from guardrails.decide.ports import PreferenceReader
from guardrails.preferences.values import PreferenceEvent, preferences_of
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import preference_events

__all__ = ["MemoryPreferences", "PreferenceStore", "SqlPreferences"]


class PreferenceStore(PreferenceReader, Protocol):
    """Events that are only ever added."""

    def append(self, events: Sequence[PreferenceEvent], /) -> None:
        """Add events."""

    def newest(self, recipient: str, /) -> Mapping[str, datetime]:
        """When the recipient made the newest choice of each name."""

    def history(self, recipient: str, /, *, most: int | None = None) -> tuple[PreferenceEvent, ...]:
        """All events of a recipient or, where it says how many at most, the newest: by `at`, then by arrival."""


class MemoryPreferences:
    """Preference events in a list for each recipient."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_recipient: dict[str, list[PreferenceEvent]] = {}

    def read(self, queries: Sequence[PreferenceQuery], /) -> Mapping[PreferenceQuery, Preferences]:
        """What each recipient asked for chose."""
        return {
            query: preferences_of({event.name: event.value for event in self.history(query.recipient)}.items())
            for query in queries
        }

    def append(self, events: Sequence[PreferenceEvent], /) -> None:
        """Add events."""
        for event in events:
            self._journal.extend(self._by_recipient.setdefault(event.recipient, []), [event])

    def newest(self, recipient: str, /) -> Mapping[str, datetime]:
        """When the recipient made the newest choice of each name."""
        return {event.name: event.at for event in self.history(recipient)}

    def history(self, recipient: str, /, *, most: int | None = None) -> tuple[PreferenceEvent, ...]:
        """The newest events of a recipient, or all, oldest first."""
        events = sorted(self._by_recipient.get(recipient, ()), key=lambda event: event.at)
        return tuple(events if most is None else events[max(0, len(events) - most) :])


_asked = json_rows("asked", recipient=Text())
_placed = (
    select(
        preference_events.c.recipient,
        preference_events.c.name,
        preference_events.c.value,
        func.row_number()
        .over(
            partition_by=(preference_events.c.recipient, preference_events.c.name),
            order_by=(preference_events.c.at.desc(), preference_events.c.seq.desc()),
        )
        .label("place"),
    )
    .where(preference_events.c.recipient.in_(select(_asked.c.recipient)))
    .subquery()
)
_READ = select(_placed.c.recipient, _placed.c.name, _placed.c.value).where(_placed.c.place == 1)


class SqlPreferences:
    """Preference events in the table `preference_events`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, queries: Sequence[PreferenceQuery], /) -> Mapping[PreferenceQuery, Preferences]:
        """What each recipient asked for chose, in one statement."""
        newest: dict[str, list[tuple[str, Any]]] = {query.recipient: [] for query in queries}
        asked = encode_rows([(recipient,) for recipient in newest])
        for recipient, name, value in self._connection.execute(_READ, {"asked": asked}):
            newest[recipient].append((name, msgspec.json.decode(value)))
        return {query: preferences_of(newest[query.recipient]) for query in queries}

    def append(self, events: Sequence[PreferenceEvent], /) -> None:
        """Add events, in one statement."""
        rows = [
            msgspec.structs.asdict(event)
            | {
                "value": msgspec.json.encode(event.value).decode(),
                "at": to_micros(event.at),
                "recorded_at": to_micros(event.recorded_at),
            }
            for event in events
        ]
        self._connection.execute(insert(preference_events), rows)

    def newest(self, recipient: str, /) -> Mapping[str, datetime]:
        """When the recipient made the newest choice of each name, in one statement."""
        columns = preference_events.c
        newest = select(columns.name, func.max(columns.at)).where(columns.recipient == recipient).group_by(columns.name)
        return {name: from_micros(at) for name, at in self._connection.execute(newest)}

    def history(self, recipient: str, /, *, most: int | None = None) -> tuple[PreferenceEvent, ...]:
        """The newest events of a recipient, or all, oldest first."""
        columns = preference_events.c
        newest_first = (
            select(preference_events)
            .where(columns.recipient == recipient)
            .order_by(columns.at.desc(), columns.seq.desc())
            .limit(most)
        )
        return tuple(
            PreferenceEvent(
                recipient=row.recipient,
                name=row.name,
                value=msgspec.json.decode(row.value),
                at=from_micros(row.at),
                recorded_at=from_micros(row.recorded_at),
            )
            for row in reversed(self._connection.execute(newest_first).all())
        )
