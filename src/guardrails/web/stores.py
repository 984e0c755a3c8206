"""Whether the stores take what decisions write, as `/readyz` and `/metrics` tell it: found out each time by writing.

A store that is full or read-only answers every question, so asking is not enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.errors import DependencyError

__all__ = ["Stores"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_NOBODYS = StoredDecision(
    decision_id="",  # no decision's
    candidate_id="",
    body_hash=b"",
    answer=b"",
    evaluated_at=_LONG_AGO,
    audit_index=0,
    state="none",
    due_at=_LONG_AGO,
    owns_candidate=False,
)
"""What is written and removed again, in one unit: nobody ever sees it."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The database, and the caps, which may live elsewhere."""

    transactor: Transactor

    def look(self, *, timeout_seconds: float) -> tuple[bool, bool | None]:
        """Whether the database takes writes, and whether the caps do; None where that can't be told without it."""
        try:
            return True, self.transactor.call(_look, None, timeout_seconds=timeout_seconds)
        except DependencyError:
            return False, None


def _look(session: Session, looks: list[None]) -> list[bool]:
    session.decisions.insert([_NOBODYS])
    session.decisions.remove([_NOBODYS.decision_id])
    try:
        session.caps.probe()
    except DependencyError as error:
        if error.dependency != "caps":
            raise
        return [False] * len(looks)
    return [True] * len(looks)
