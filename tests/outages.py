"""Real stores with ways to them that a test may cut: the database's, its answer after the commit, the caps'."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from guardrails.decide.ports import Transactor
from guardrails.errors import DependencyError

PORTS = ("consents", "preferences", "caps", "decisions", "audit", "policies")


class CutTransactor:
    """Stores that answer unless they are cut off.

    `is_down`: the database is out of reach. `loses_answers`: it commits, and nobody hears of it. `lost_caps` are the
    calls of the caps, which live apart from the rest, that don't get through.
    """

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor
        self.is_down = False
        self.loses_answers = False
        self.lost_caps: set[str] = set()

    def call(self, handler: Callable[[Any, list[Any]], list[Any]], item: Any, **how: Any) -> Any:
        if self.is_down:
            raise DependencyError("connection refused", dependency="database")
        result = self._transactor.call(lambda session, items: handler(self._cut(session), items), item, **how)
        if self.loses_answers:
            raise DependencyError("connection lost", dependency="database", in_doubt=True)
        return result

    def close(self) -> None:
        self._transactor.close()

    def _cut(self, session: Any) -> Any:
        rooms = {port: getattr(session, port) for port in PORTS}
        return SimpleNamespace(**rooms | {"caps": _Caps(session.caps, self.lost_caps)})


class _Caps:
    def __init__(self, caps: Any, lost: set[str]) -> None:
        self._caps = caps
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        if name in self._lost:
            raise DependencyError("connection refused", dependency="caps")
        return getattr(self._caps, name)
