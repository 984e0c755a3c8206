"""Keep notices and read them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from guardrails.consent.notice_store import NoticeStore
from guardrails.consent.notices import Notice, NoticeKey, NoticeRequest, NoticeRow, content_of
from guardrails.core.purposes import Purpose
from guardrails.decide.ports import Transactor
from guardrails.decoding import invalid
from guardrails.errors import ConflictError

__all__ = ["NoticeService"]


class NoticeService:
    """All notices. `purposes` gives what the active policies declare, by id."""

    def __init__(self, transactor: Transactor, *, purposes: Callable[[], Mapping[str, Purpose]]) -> None:
        self._transactor = transactor
        self._purposes = purposes

    def add(self, request: NoticeRequest, *, now: datetime) -> Notice:
        """Keep a notice, durably, and return it; the same notice again returns the first one.

        Raises CandidateError where a purpose is not declared, ConflictError where its id, version and language name
        another content: also where other things were declared of its purposes then.
        """
        return self._keep(Notice.of(content_of(request, self._purposes()), recorded_at=now))

    def take_over(self, row: NoticeRow, *, now: datetime) -> Notice:
        """Keep a notice as another ledger keeps it, whatever is declared here: that is what people were shown.

        Returns it, or the same one where it is kept already. Raises CandidateError where the hash is not that of what
        it says, ConflictError where its id, version and language name another content here.
        """
        notice = Notice.of(row.content, recorded_at=now)
        if notice.hash != row.hash:
            raise invalid((("/hash", f"is not of what the notice says: that is `{notice.hash}`"),))
        return self._keep(notice)

    def _keep(self, notice: Notice) -> Notice:
        kept = self._transactor.call(_add, notice)
        assert isinstance(kept, Notice)  # noqa: S101 - the transactor raises what is an error
        return kept

    def versions(self, notice_id: str) -> tuple[Notice, ...]:
        """All versions of a notice in all languages, oldest first; empty where there is no such notice."""
        return self._transactor.call(_read_versions, notice_id)

    def by_hash(self, notice_hash: str) -> Notice | None:
        """The notice that a consent's `notice_hash` names."""
        return self._transactor.call(_read_by_hash, notice_hash)

    def every(self) -> tuple[Notice, ...]:
        """All notices, by id, each oldest first."""
        return self._transactor.call(_read_every, None)


class _Session(Protocol):
    notices: NoticeStore


def _add(session: _Session, asked: list[Notice]) -> list[Notice | ConflictError]:
    kept = {key: found[0] for key, found in session.notices.read([_key(each) for each in asked]).items() if found}
    added = []
    results: list[Notice | ConflictError] = []
    for notice in asked:
        first = kept.setdefault(_key(notice), notice)
        if first is notice:
            added.append(notice)
        results.append(first if first.hash == notice.hash else _conflict(notice))
    if added:
        session.notices.append(added)
    return results


def _key(notice: Notice) -> NoticeKey:
    return NoticeKey(notice.id, notice.version, notice.language)


def _conflict(notice: Notice) -> ConflictError:
    message = (
        f"notice `{notice.id}` `{notice.version}` in `{notice.language}` is already kept with another content, "
        "its purposes' declarations included: what people were shown stays, so give the new one another version"
    )
    return ConflictError(message, problems=(("/version", message),))


def _read_versions(session: _Session, ids: list[str]) -> list[tuple[Notice, ...]]:
    return [session.notices.versions(each) for each in ids]


def _read_by_hash(session: _Session, hashes: list[str]) -> list[Notice | None]:
    found = session.notices.by_hash(hashes)
    return [found.get(each) for each in hashes]


def _read_every(session: _Session, asked: list[None]) -> list[tuple[Notice, ...]]:
    every = session.notices.every()
    return [every for _ in asked]
