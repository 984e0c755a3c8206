"""Whether the stores answer, as `/readyz` and `/metrics` tell it: each time they are asked what they must look up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from guardrails.core.needs import UsageQuery
from guardrails.decide.ports import Session, Transactor
from guardrails.errors import DependencyError

__all__ = ["Stores"]


@dataclass(frozen=True, slots=True)
class Stores:
    """The database, and the caps, which may live elsewhere."""

    transactor: Transactor
    clock: Callable[[], datetime]

    def look(self, *, timeout_seconds: float) -> tuple[bool, bool | None]:
        """Whether the database answers, and whether the caps do; None where that can't be told without it."""
        try:
            return True, self.transactor.call(_look, self.clock(), timeout_seconds=timeout_seconds)
        except DependencyError:
            return False, None


def _look(session: Session, instants: list[datetime]) -> list[bool]:
    session.audit.next_index()
    try:
        session.caps.read((UsageQuery("", "", instants[0], 0),), instants[0])
    except DependencyError:
        return [False] * len(instants)
    return [True] * len(instants)
