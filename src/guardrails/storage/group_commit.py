"""Group commit: calls that arrive together share one transaction, so that durability is paid for once.

One writer thread takes what waits, opens one unit of work, runs each run of equal handlers with its items in order of
arrival, and hands out the results once the unit is durable.

    transactor = GroupCommit(unit)          # `unit` opens a session: a context manager that commits when left
    transactor.call(handler, item)          # from any thread

INVARIANT: a call that returned is durable; of a call that raised, nothing is kept - but for an exception that the
handler returned as its result, whose other writes stay. A unit that fails is tried again item by item, so that nobody
fails for another's item.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from typing import Any

from guardrails.decide.ports import Handler, Item, Result
from guardrails.errors import DependencyError

__all__ = ["GroupCommit"]

UNIT_MAX = 128
WAITING_MAX = 10_000


class _Call:
    """One call that waits: settled once, by the writer, with a result or an error."""

    __slots__ = ("_done", "_error", "_result", "handler", "item")

    def __init__(self, handler: Handler[Any, Any], item: object) -> None:
        self.handler = handler
        self.item = item
        self._result: object = None
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def settle(self, result: object) -> None:
        if isinstance(result, BaseException):
            self._error = result
        else:
            self._result = result
        self._done.release()

    def wait(self) -> Any:  # noqa: ANN401 - what the handler gave
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._result


class GroupCommit:
    """A transactor over any kind of unit. Safe to call from all threads; after a fork the child starts afresh."""

    def __init__(
        self,
        unit: Callable[[], AbstractContextManager[Any]],
        *,
        close_unit: Callable[[], None] = lambda: None,
        abandon_unit: Callable[[], None] = lambda: None,
        unit_max: int = UNIT_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """`unit` opens a session; `close_unit` is called at the end, `abandon_unit` in the child of a fork.

        At most `unit_max` items share a unit, and at most `waiting_max` wait.
        """
        self._unit = unit
        self._close_unit = close_unit
        self._abandon_unit = abandon_unit
        self._unit_max = unit_max
        self._waiting_max = waiting_max
        self._closed = False
        self._reset()
        # Weakly, because what is registered there stays for as long as the process.
        os.register_at_fork(after_in_child=partial(_start_afresh, weakref.ref(self)))

    def call(self, handler: Handler[Item, Result], item: Item) -> Result:
        """Run `handler` for `item` and return its result once it is durable.

        Raises DependencyError where the database does not answer, where too many calls wait already, or after
        `close`; and whatever the handler raised, or returned as an exception.
        """
        call = _Call(handler, item)
        with self._changed:
            if self._closed:
                raise DependencyError("the stores are closed", dependency="database")
            if len(self._waiting) >= self._waiting_max:
                raise DependencyError(f"{self._waiting_max} calls wait for the database", dependency="database")
            self._ensure_writer()
            self._waiting.append(call)
            self._changed.notify()
        result: Result = call.wait()
        return result

    def close(self) -> None:
        """Finish what was accepted, then stop. Calls that come later are refused."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            writer = self._writer
        if writer is not None:
            writer.join()
        self._close_unit()

    def leave_to_parent(self) -> None:
        """In the child of a fork: the writer did not come along, and what waits is the parent's to do."""
        self._abandon_unit()
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[_Call] = deque()
        self._writer: threading.Thread | None = None

    def _ensure_writer(self) -> None:
        # Asks whether it lives, not whether it was started: an interrupt may fall between the two.
        if self._writer is None or not self._writer.is_alive():
            self._writer = threading.Thread(target=self._write, name="group-commit", daemon=True)
            self._writer.start()

    def _write(self) -> None:
        while calls := self._take():
            self._carry_out(calls)

    def _take(self) -> list[_Call]:
        """Wait for calls and take as many as fit into one unit; none where it is time to stop."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._unit_max))]

    def _carry_out(self, calls: list[_Call]) -> bool:
        """Settle every call, by one unit or, where that fails, each by its own. False: no unit could be opened."""
        opened = False
        try:
            with self._unit() as session:
                opened = True
                results = _results(session, calls)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised at the callers, who wait
            if opened and len(calls) > 1:
                self._carry_out_alone(calls)
                return True
            results = [error] * len(calls)
        for call, result in zip(calls, results, strict=True):
            call.settle(result)
        return opened

    def _carry_out_alone(self, calls: list[_Call]) -> None:
        for place, call in enumerate(calls):
            if not self._carry_out([call]) and place + 1 < len(calls):
                self._carry_out(calls[place + 1 :])  # all wait for the same database: they fail or succeed together
                return


def _results(session: object, calls: list[_Call]) -> list[Any]:
    """The results of all calls, in order: each run of equal handlers is one call of the handler."""
    results: list[Any] = []
    for handler, run in groupby(calls, key=lambda call: call.handler):
        items = [call.item for call in run]
        answered = handler(session, items)
        if len(answered) != len(items):
            raise ValueError(f"{handler!r} gave {len(answered)} results for {len(items)} items")
        results.extend(answered)
    return results


def _start_afresh(alive: weakref.ref[GroupCommit]) -> None:
    """In the child of a fork: the transactor, where it still lives, leaves behind what is the parent's."""
    transactor = alive()
    if transactor is not None:
        transactor.leave_to_parent()
