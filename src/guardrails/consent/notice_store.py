"""Where notices stay: in memory, or in SQL. They are only ever added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, Row, Text, insert, or_, select

from guardrails.consent.notices import Notice, NoticeContent, NoticeKey
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import notices

__all__ = ["MemoryNotices", "NoticeStore", "SqlNotices"]


class NoticeStore(Protocol):
    """Notices, one for each id, version and language."""

    def append(self, new: Sequence[Notice], /) -> None:
        """Keep notices; no notice of their id, version and language is kept."""

    def read(self, keys: Sequence[NoticeKey], /) -> Mapping[NoticeKey, tuple[Notice, ...]]:
        """For each key the notices that it names, by language; several where it names no language."""

    def by_hash(self, hashes: Sequence[str], /) -> Mapping[str, Notice]:
        """The notice for each hash that has one."""

    def versions(self, notice_id: str, /) -> tuple[Notice, ...]:
        """All versions of a notice in all languages, oldest first: by `recorded_at`, version and language."""

    def every(self) -> tuple[Notice, ...]:
        """All notices: by id, then as `versions` has them."""


def _in_order(found: Iterable[Notice]) -> tuple[Notice, ...]:
    return tuple(sorted(found, key=lambda each: (each.id, each.recorded_at, each.version, each.language)))


class MemoryNotices:
    """Notices in a dict."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_hash: dict[str, Notice] = {}

    def append(self, new: Sequence[Notice], /) -> None:
        """Keep notices."""
        for notice in new:
            self._journal.put(self._by_hash, notice.hash, notice)

    def read(self, keys: Sequence[NoticeKey], /) -> Mapping[NoticeKey, tuple[Notice, ...]]:
        """For each key the notices that it names."""
        return {key: _named(key, self._by_hash.values()) for key in keys}

    def by_hash(self, hashes: Sequence[str], /) -> Mapping[str, Notice]:
        """The notice for each hash that has one."""
        return {each: self._by_hash[each] for each in hashes if each in self._by_hash}

    def versions(self, notice_id: str, /) -> tuple[Notice, ...]:
        """All versions of a notice in all languages."""
        return _in_order(notice for notice in self._by_hash.values() if notice.id == notice_id)

    def every(self) -> tuple[Notice, ...]:
        """All notices."""
        return _in_order(self._by_hash.values())


_asked = json_rows("asked", id=Text(), version=Text(), language=Text())
_READ = select(notices).join_from(
    notices,
    _asked,
    (notices.c.id == _asked.c.id)
    & (notices.c.version == _asked.c.version)
    & or_(_asked.c.language.is_(None), notices.c.language == _asked.c.language),
)
_hashes = json_rows("hashes", hash=Text())
_BY_HASH = select(notices).where(notices.c.hash.in_(select(_hashes.c.hash)))
_decode_content = msgspec.json.Decoder(NoticeContent).decode


class SqlNotices:
    """Notices in the table `notices`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, new: Sequence[Notice], /) -> None:
        """Keep notices, in one statement."""
        self._connection.execute(
            insert(notices),
            [
                {
                    "hash": notice.hash,
                    "id": notice.id,
                    "version": notice.version,
                    "language": notice.language,
                    "body": notice.content.canonical.decode(),
                    "recorded_at": to_micros(notice.recorded_at),
                }
                for notice in new
            ],
        )

    def read(self, keys: Sequence[NoticeKey], /) -> Mapping[NoticeKey, tuple[Notice, ...]]:
        """For each key the notices that it names, in one statement."""
        asked = encode_rows([(key.id, key.version, key.language) for key in keys])
        found = {notice.hash: notice for notice in map(_from_row, self._connection.execute(_READ, {"asked": asked}))}
        return {key: _named(key, found.values()) for key in keys}

    def by_hash(self, hashes: Sequence[str], /) -> Mapping[str, Notice]:
        """The notice for each hash that has one, in one statement."""
        asked = encode_rows([(each,) for each in hashes])
        return {notice.hash: notice for notice in map(_from_row, self._connection.execute(_BY_HASH, {"hashes": asked}))}

    def versions(self, notice_id: str, /) -> tuple[Notice, ...]:
        """All versions of a notice in all languages."""
        return _in_order(map(_from_row, self._connection.execute(select(notices).where(notices.c.id == notice_id))))

    def every(self) -> tuple[Notice, ...]:
        """All notices."""
        return _in_order(map(_from_row, self._connection.execute(select(notices))))


def _named(key: NoticeKey, among: Iterable[Notice]) -> tuple[Notice, ...]:
    return tuple(
        sorted(
            (
                each
                for each in among
                if (each.id, each.version) == (key.id, key.version) and key.language in {None, each.language}
            ),
            key=lambda each: each.language,
        )
    )


def _from_row(row: Row[Any]) -> Notice:
    content = _decode_content(row.body)
    return Notice(**msgspec.structs.asdict(content), hash=row.hash, recorded_at=from_micros(row.recorded_at))
