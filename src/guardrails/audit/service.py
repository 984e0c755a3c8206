"""Read back what was decided, and end leases that ran out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol

from guardrails.audit.decisions import ExpiringDecisions
from guardrails.decide.ports import AuditLog, PolicyArchive, StoredDecision, Transactor
from guardrails.errors import NotFoundError

__all__ = ["AuditService"]

PAGE = 500
SWEEP = 500


class AuditService:
    """The record of all decisions."""

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor

    def decision(self, decision_id: str) -> StoredDecision:
        """The decision as it was answered. Raises NotFoundError."""
        decision = self._transactor.call(_read_decision, decision_id)
        if decision is None:
            raise NotFoundError(f"there is no decision `{decision_id}`")
        return decision

    def size(self) -> int:
        """How many entries the log holds."""
        return self._transactor.call(_read_size, None)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Index and entry from `start` on, before `stop`, read page by page; entries added meanwhile are included."""
        while stop is None or start < stop:
            page_stop = start + PAGE if stop is None else min(start + PAGE, stop)
            page = self._transactor.call(_read_entries, (start, page_stop))
            yield from page
            if len(page) < page_stop - start:
                return
            start = page_stop

    def policy_files(self, revision: str) -> Mapping[str, str]:
        """The files of the policy set of a revision. Raises NotFoundError."""
        files = self._transactor.call(_read_policy_files, revision)
        if files is None:
            raise NotFoundError(f"no policy set of revision `{revision}` ever decided")
        return files

    def expire_leases(self, now: datetime) -> int:
        """Mark the decisions whose lease ran out as expired, in small steps; returns how many there were."""
        expired = 0
        while step := self._transactor.call(_expire, now):
            expired += step
        return expired


class _Session(Protocol):
    decisions: ExpiringDecisions
    audit: AuditLog
    policies: PolicyArchive


def _read_decision(session: _Session, decision_ids: list[str]) -> list[StoredDecision | None]:
    return [session.decisions.by_id(decision_id) for decision_id in decision_ids]


def _read_size(session: _Session, items: list[None]) -> list[int]:
    return [session.audit.next_index()] * len(items)


def _read_entries(session: _Session, ranges: list[tuple[int, int]]) -> list[list[tuple[int, bytes]]]:
    return [list(session.audit.read(start, stop)) for start, stop in ranges]


def _read_policy_files(session: _Session, revisions: list[str]) -> list[Mapping[str, str] | None]:
    return [session.policies.read(revision) for revision in revisions]


def _expire(session: _Session, instants: list[datetime]) -> list[int]:
    return [len(session.decisions.expire(now, SWEEP)) for now in instants]
