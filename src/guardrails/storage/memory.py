"""The transactor without a database: everything lives in the process, and a failed handler leaves no trace.

A room's in-memory store is plain dicts and lists that it changes only through the `Journal` it is made with, which
knows how to take every change back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, TypeVar

from guardrails.decide.ports import Handler, Item, Result
from guardrails.errors import DependencyError

__all__ = ["Journal", "MemoryTransactor"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_MISSING: Any = object()


class Journal:
    """Changes dicts and lists, and takes the changes back where the unit fails."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def put(self, mapping: MutableMapping[Key, Value], key: Key, value: Value) -> None:
        """`mapping[key] = value`."""
        before = mapping.get(key, _MISSING)
        mapping[key] = value
        self._undo.append(lambda: _restore(mapping, key, before))

    def drop(self, mapping: MutableMapping[Key, Value], key: Key) -> None:
        """`del mapping[key]`."""
        before = mapping.pop(key)
        self._undo.append(lambda: _restore(mapping, key, before))

    def extend(self, values: list[Value], more: Iterable[Value]) -> None:
        """`values += more`."""
        length = len(values)
        values.extend(more)
        self._undo.append(lambda: values.__delitem__(slice(length, None)))

    def keep(self) -> None:
        """The unit holds: forget how to take its changes back."""
        self._undo.clear()

    def take_back(self) -> None:
        """The unit failed: undo its changes, the last one first."""
        while self._undo:
            self._undo.pop()()


def _restore(mapping: MutableMapping[Key, Value], key: Key, before: Value) -> None:
    if before is _MISSING:
        del mapping[key]
    else:
        mapping[key] = before


class MemoryTransactor:
    """Runs one handler at a time, for one item, on the session that `session` makes once of a journal."""

    def __init__(self, session: Callable[[Journal], Any]) -> None:
        self._journal = Journal()
        self._session = session(self._journal)
        self._one_at_a_time = threading.Lock()
        self._closed = False

    def call(self, handler: Handler[Item, Result], item: Item) -> Result:
        """Run `handler` for `item` and return its result. Raises DependencyError after `close`."""
        with self._one_at_a_time:
            if self._closed:
                raise DependencyError("the stores are closed", dependency="database")
            try:
                (result,) = handler(self._session, [item])
            except BaseException:
                self._journal.take_back()
                raise
            self._journal.keep()
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Wait for the call that runs, then refuse others."""
        with self._one_at_a_time:
            self._closed = True
