"""Real stores with ways to them that a test may cut: all of them, the answer after the commit, single calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from guardrails.decide.ports import Transactor
from guardrails.errors import DependencyError
from stores import Session

PORTS = tuple(field.name for field in fields(Session))


class CutTransactor:
    """Stores that answer unless they are cut off.

    `is_down`: the database is out of reach. `loses_answers`: it commits, and nobody hears of it. `lost` are calls
    within a unit that don't get through, such as `caps.read`; the caps live apart from the rest.
    """

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor
        self.is_down = False
        self.loses_answers = False
        self.lost: set[str] = set()

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
        return SimpleNamespace(**{port: _Room(port, getattr(session, port), self.lost) for port in PORTS})


class _Room:
    def __init__(self, port: str, room: Any, lost: set[str]) -> None:
        self._port = port
        self._room = room
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        if f"{self._port}.{name}" in self._lost:
            raise DependencyError("connection refused", dependency="caps" if self._port == "caps" else "database")
        return getattr(self._room, name)
