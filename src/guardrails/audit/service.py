"""Read back what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.errors import NotFoundError

__all__ = ["AuditService"]

PAGE = 500


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


def _read_decision(session: Session, decision_ids: list[str]) -> list[StoredDecision | None]:
    kept = session.decisions.by_id(decision_ids)
    return [kept.get(decision_id) for decision_id in decision_ids]


def _read_size(session: Session, items: list[None]) -> list[int]:
    return [session.audit.next_index()] * len(items)


def _read_entries(session: Session, ranges: list[tuple[int, int]]) -> list[list[tuple[int, bytes]]]:
    return [list(session.audit.read(start, stop)) for start, stop in ranges]


def _read_policy_files(session: Session, revisions: list[str]) -> list[Mapping[str, str] | None]:
    return [session.policies.read(revision) for revision in revisions]
