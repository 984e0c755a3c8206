"""Group commit: calls that arrive together share one transaction, so that durability is paid for once.

One writer thread takes what waits, and has it carried out by `Units`: one unit of work, in which each run of equal
handlers gets its items in order of arrival, and whose results are handed out once it is durable.

    transactor = GroupCommit(unit)          # `unit` opens a session: a context manager that commits when left
    transactor.call(handler, item)          # from any thread

INVARIANT: a call that returned is durable, once; of a call that raised, nothing is kept, but where the error says
`in_doubt`, and but for an exception that the handler returned as its result, whose other writes stay.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from math import inf
from typing import Any

from guardrails.decide.ports import PATIENCE_SECONDS, Handler, Item, Result
from guardrails.storage.refusals import closed, no_writer, not_answering, too_many_wait, unanswered
from guardrails.storage.unit_watch import HANG_SECONDS, UnitWatch
from guardrails.storage.units import Units
from guardrails.storage.waiting_calls import UNIT_SIZE_MAX, Call, WaitingCalls

__all__ = ["GroupCommit"]

WAITING_MAX = 10_000
"""How many calls wait, whatever their size: what a big one costs in time is limited by the deadlines."""


class GroupCommit:
    """A transactor over any kind of unit. Safe to call from all threads; after a fork the child starts afresh."""

    def __init__(
        self,
        unit: Callable[[], AbstractContextManager[Any]],
        *,
        close_unit: Callable[[], None] = lambda: None,
        abandon_unit: Callable[[], None] = lambda: None,
        interrupt_unit: Callable[[], None] = lambda: None,
        busy_at: Callable[[], float] = lambda: -inf,
        unit_size_max: int = UNIT_SIZE_MAX,
        waiting_max: int = WAITING_MAX,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        """`unit` opens a session, and raises DependencyError(in_doubt=True) where its commit may have happened or not.

        `close_unit` is called at the end, `abandon_unit` in the child of a fork, and `interrupt_unit`, from any thread,
        where the unit hangs (see `unit_watch`), but for as long as the store says that others are ahead: `busy_at` is
        when it last did (monotonic). At most `unit_size_max` of work shares a unit, and `waiting_max` wait.
        """
        self._unit = unit
        self._close_unit = close_unit
        self._abandon_unit = abandon_unit
        self._interrupt_unit = interrupt_unit
        self._busy_at = busy_at
        self._unit_size_max = unit_size_max
        self._waiting_max = waiting_max
        self._hang_seconds = hang_seconds
        self._closed = False
        self._reset()
        # Weakly, because what is registered there stays for as long as the process.
        os.register_at_fork(after_in_child=partial(_start_afresh, weakref.ref(self)))

    def call(
        self,
        handler: Handler[Item, Result],
        item: Item,
        *,
        timeout_seconds: float = PATIENCE_SECONDS,
        size: int = 1,
    ) -> Result:
        """Run `handler` for `item` and return its result once it is durable.

        Raises DependencyError where the database does not answer in time, or leaves those before it without an answer,
        where too many calls wait already, or after `close`; and whatever the handler raised, or returned as an
        exception.
        """
        now = time.monotonic()
        call = Call(handler, item, size=size, now=now, timeout_seconds=timeout_seconds)
        with self._lock:
            self._accept(call, now)
        left = max(timeout_seconds, 0.0)
        # Awake now and then: where all callers are asleep, one of them must see that the unit hangs.
        while not call.wait(min(left, self._hang_seconds)):
            left = self._look_after(call)
        result: Result = call.result()
        return result

    def close(self) -> None:
        """Finish what was accepted, then stop. Calls that come later are refused.

        A unit that hangs is waited for as long as one of its calls waits; then it is interrupted, and where it hangs
        on even so, it is left behind: the writer closes what it works with once it comes back.
        """
        with self._lock:
            self._closed = True
            self._changed.notify()
            writer = self._writer
        while writer is not None and writer.is_alive() and not self._is_stuck():
            writer.join(self._hang_seconds)
        with self._lock:
            self._is_left_behind = writer is not None and writer.is_alive() and not self._has_stopped
        if not self._is_left_behind:
            self._close_unit()

    def leave_to_parent(self) -> None:
        """In the child of a fork: the writer did not come along, and what waits is the parent's to do."""
        self._abandon_unit()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = WaitingCalls(unit_size_max=self._unit_size_max)
        self._watch = UnitWatch(self._interrupt_unit, self._busy_at, hang_seconds=self._hang_seconds)
        self._units = Units(self._unit, lock=self._lock, watch=self._watch, waiting=self._waiting)
        self._writer: threading.Thread | None = None
        self._has_stopped = False
        self._is_left_behind = False

    def _accept(self, call: Call, now: float) -> None:
        if self._closed:
            raise closed()
        waiting = len(self._waiting)
        if self._watch.is_in_vain(call, now, waiting):
            raise not_answering()
        if waiting >= self._waiting_max:
            raise too_many_wait(self._waiting_max)
        self._ensure_writer()
        self._waiting.append(call)
        self._changed.notify()

    def _ensure_writer(self) -> None:
        # Asks whether it lives, not whether it was started: an interrupt may fall between the two.
        if self._writer is None or not self._writer.is_alive():
            self._writer = threading.Thread(target=self._write, name="group-commit", daemon=True)
            try:
                self._writer.start()
            except RuntimeError as error:  # the system has no thread left
                raise no_writer() from error

    def _is_stuck(self) -> bool:
        with self._lock:
            self._watch.look(time.monotonic())
            return self._watch.is_stuck()

    def _look_after(self, call: Call) -> float:
        """Wake the unit where it hangs, and give the call up where its time is over; returns how long it may wait."""
        with self._lock:
            now = time.monotonic()
            self._watch.look(now)
            if now < call.deadline or call.is_settled():
                return max(call.deadline - now, 0.0)
            self._waiting.discard(call)
            in_doubt = call.is_committing
        raise unanswered(call.timeout_seconds, in_doubt=in_doubt)

    def _write(self) -> None:
        while calls := self._take():
            self._units.carry_out(calls)
        if self._is_left_behind:
            self._close_unit()

    def _take(self) -> list[Call]:
        """Wait for calls and take those of the next unit; none where it is time to stop."""
        with self._lock:
            if self._writer is not threading.current_thread():  # it came to life late, and was replaced meanwhile
                return []
            while not self._waiting:
                if self._closed:
                    self._has_stopped = True
                    return []
                self._changed.wait()
            return self._waiting.take(time.monotonic())


def _start_afresh(alive: weakref.ref[GroupCommit]) -> None:
    """In the child of a fork: the transactor, where it still lives, leaves behind what is the parent's."""
    transactor = alive()
    if transactor is not None:
        transactor.leave_to_parent()
