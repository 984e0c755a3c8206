"""The text of every policy set that ever decided, by revision, so that any past decision can be recomputed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection, bindparam, insert, select

from guardrails.storage.instants import to_micros
from guardrails.storage.memory import Journal
from guardrails.storage.tables import policy_sets

__all__ = ["MemoryPolicyArchive", "SqlPolicyArchive"]


class MemoryPolicyArchive:
    """The archive in a dict."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._files: dict[str, dict[str, str]] = {}

    def keep(self, revision: str, files: Mapping[str, str], _at: datetime, /) -> None:
        """Keep the files of a revision; nothing happens where it is kept already."""
        if revision not in self._files:
            self._journal.put(self._files, revision, dict(files))

    def read(self, revision: str, /) -> Mapping[str, str] | None:
        """The files of a revision, or None where it never decided."""
        return self._files.get(revision)


_KEPT = select(policy_sets.c.revision).where(policy_sets.c.revision == bindparam("asked"))
_READ = select(policy_sets.c.files).where(policy_sets.c.revision == bindparam("asked"))


class SqlPolicyArchive:
    """The archive in the table `policy_sets`.

    What is kept already is asked for once a connection, not once a unit: rows are only ever added there.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: set[str] = connection.info.setdefault("policy_sets", set())
        self._added: set[str] = set()

    def keep(self, revision: str, files: Mapping[str, str], at: datetime, /) -> None:
        """Keep the files of a revision; nothing happens where it is kept already."""
        if revision in self._known or revision in self._added:
            return
        if self._connection.execute(_KEPT, {"asked": revision}).scalar() is not None:
            # INVARIANT: known is what another unit has committed, never what this one has added and may yet lose.
            self._known.add(revision)
            return
        text = msgspec.json.encode(dict(files)).decode()
        row = {"revision": revision, "files": text, "recorded_at": to_micros(at)}
        self._connection.execute(insert(policy_sets), row)
        self._added.add(revision)

    def read(self, revision: str, /) -> Mapping[str, str] | None:
        """The files of a revision, or None where it never decided."""
        text = self._connection.execute(_READ, {"asked": revision}).scalar()
        return None if text is None else msgspec.json.decode(text, type=dict[str, str])
