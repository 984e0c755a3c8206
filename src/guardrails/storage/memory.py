"""The transactor without a database: everything lives in the process, and a failed handler leaves no trace.

A room's in-memory store is plain dicts and lists that it changes only through the `Journal` it is made with, which
knows how to take every change back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, TypeVar

from guardrails.decide.ports import PATIENCE_SECONDS, Handler, Item, Result
from guardrails.errors import CapsMoved
from guardrails.storage.refusals import CAPS_TRIES, caps_keep_moving, closed, unanswered

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
    """Runs one handler at a time, for one item, on the session that `session` makes once of a journal.

    A call waits for its turn only: once it runs, in its caller's own thread, there is nobody to give it up.
    """

    def __init__(self, session: Callable[[Journal], Any]) -> None:
        self._journal = Journal()
        self._session = session(self._journal)
        self._one_at_a_time = threading.Lock()
        self._closed = False

    def call(
        self,
        handler: Handler[Item, Result],
        item: Item,
        *,
        timeout_seconds: float = PATIENCE_SECONDS,
        size: int = 1,  # noqa: ARG002 - nothing is shared here, so nothing has to be fair
    ) -> Result:
        """Run `handler` for `item` and return its result.

        Raises DependencyError where its turn does not come within `timeout_seconds`, where caps that live elsewhere
        keep moving, or after `close`.
        """
        if not self._one_at_a_time.acquire(timeout=max(timeout_seconds, 0.0)):
            raise unanswered(timeout_seconds)
        try:
            result = self._settle(handler, item)
        finally:
            self._one_at_a_time.release()
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Wait for the call that runs, then refuse others."""
        with self._one_at_a_time:
            self._closed = True

    def _settle(self, handler: Handler[Item, Result], item: Item) -> Result:
        if self._closed:
            raise closed()
        for _ in range(CAPS_TRIES):
            try:
                return self._run(handler, item)
            except CapsMoved:
                continue
        raise caps_keep_moving()

    def _run(self, handler: Handler[Item, Result], item: Item) -> Result:
        try:
            (result,) = handler(self._session, [item])
        except BaseException:
            self._journal.take_back()
            raise
        self._journal.keep()
        return result
