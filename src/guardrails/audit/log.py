"""The append-only log of entries: index 0, 1, 2 ... without a gap. An entry's bytes are never looked into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, func, select

from guardrails.storage.inserts import insert_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import audit_entries

__all__ = ["MemoryAuditLog", "SqlAuditLog"]


class MemoryAuditLog:
    """The log in a list."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._entries: list[bytes] = []

    def next_index(self) -> int:
        """The index that the next entry will get."""
        return len(self._entries)

    def append(self, entries: Sequence[bytes], /) -> None:
        """Add entries at the end, in order."""
        self._journal.extend(self._entries, entries)

    def read(self, start: int, stop: int, /) -> Iterable[tuple[int, bytes]]:
        """Index and entry of `start <= index < stop`, in order, as many as there are."""
        return [(index, self._entries[index]) for index in range(max(start, 0), min(stop, len(self._entries)))]


_NEXT = select(func.coalesce(func.max(audit_entries.c.index) + 1, 0))
_READ = (
    select(audit_entries.c.index, audit_entries.c.entry)
    .where(audit_entries.c.index >= bindparam("start"), audit_entries.c.index < bindparam("stop"))
    .order_by(audit_entries.c.index)
)


class SqlAuditLog:
    """The log in the table `audit_entries`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next: int | None = None

    def next_index(self) -> int:
        """The index that the next entry will get, asked for once: nobody else writes within the unit."""
        if self._next is None:
            self._next = self._connection.execute(_NEXT).scalar_one()
        return self._next

    def append(self, entries: Sequence[bytes], /) -> None:
        """Add entries at the end, in order, in one statement."""
        rows = list(enumerate(entries, self.next_index()))
        if rows:
            insert_rows(self._connection, audit_entries, rows)
            self._next = self.next_index() + len(rows)

    def read(self, start: int, stop: int, /) -> Iterable[tuple[int, bytes]]:
        """Index and entry of `start <= index < stop`, in order, as many as there are."""
        rows = self._connection.execute(_READ, {"start": start, "stop": stop})
        return [(index, entry) for index, entry in rows]
