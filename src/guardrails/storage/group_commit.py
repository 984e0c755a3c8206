"""Group commit: calls that arrive together share one transaction, so that durability is paid for once.

One writer thread takes what waits, opens one unit of work, runs each run of equal handlers with its items in order of
arrival, and hands out the results once the unit is durable.

    transactor = GroupCommit(unit)          # `unit` opens a session: a context manager that commits when left
    transactor.call(handler, item)          # from any thread

INVARIANT: a call that returned is durable, once; of a call that raised, nothing is kept - but where the error says
`in_doubt`, and but for an exception that the handler returned as its result, whose other writes stay. A unit that fails
is tried again item by item, so that nobody fails for another's item. A unit in which a call was given up is rolled back
and run again without it, in two halves: it was too long for one.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from functools import partial
from itertools import chain, groupby
from math import inf
from typing import Any, NamedTuple

from guardrails.decide.ports import PATIENCE_SECONDS, Handler, Item, Result
from guardrails.errors import CapsMoved, DependencyError
from guardrails.storage.refusals import (
    CAPS_TRIES,
    caps_keep_moving,
    closed,
    not_answering,
    too_many_wait,
    unanswered,
)
from guardrails.storage.unit_watch import HANG_SECONDS, UnitWatch
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
            self._writer.start()

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
            self._carry_out(calls)
        if self._is_left_behind:
            self._close_unit()

    def _take(self) -> list[Call]:
        """Wait for calls and take those of the next unit; none where it is time to stop."""
        with self._lock:
            while not self._waiting:
                if self._closed:
                    self._has_stopped = True
                    return []
                self._changed.wait()
            return self._waiting.take(time.monotonic())

    def _carry_out(self, calls: list[Call]) -> None:
        """Settle every call: by one unit; by halves, where it takes too long; each by its own, where it fails."""
        groups = [calls]
        while groups:
            group = groups.pop(0)
            ending = self._settle(group)
            if ending is _Ending.FAILED_TOGETHER:
                groups[:0] = [[call] for call in group]
            elif ending is _Ending.GIVEN_UP:
                groups[:0] = _halves(_waited_for(group, time.monotonic()))
            elif ending is _Ending.OUT_OF_REACH and groups:
                groups = [list(chain(*groups))]  # all wait for the same store: they fail or succeed together

    def _settle(self, calls: list[Call]) -> _Ending:
        """Settle the calls that are not given up by one unit; it is run again where the caps moved."""
        moves = 0
        while waited_for := self._begin(calls):
            run = self._run(waited_for)
            error = run.error
            if error is None:
                for call, result in zip(run.calls, run.results, strict=True):
                    call.settle(result)
                return _Ending.SETTLED
            if isinstance(error, _GivenUp):
                return _Ending.GIVEN_UP
            if isinstance(error, CapsMoved):
                moves += 1
                if moves < CAPS_TRIES:
                    continue
                error = caps_keep_moving()
            elif run.answered and len(run.calls) > 1 and not _is_in_doubt(error, run.calls):
                return _Ending.FAILED_TOGETHER
            for call in run.calls:
                call.settle(error)
            return _Ending.SETTLED if run.answered else _Ending.OUT_OF_REACH
        return _Ending.SETTLED

    def _begin(self, calls: list[Call]) -> list[Call]:
        """The calls that are not given up, for which a unit begins."""
        with self._lock:
            now = time.monotonic()
            waited_for = _waited_for(calls, now)
            for call in waited_for:
                call.is_committing = False
            if waited_for:
                self._watch.begin(now, waited_for)
            return waited_for

    def _run(self, calls: list[Call]) -> _Run:
        """Run one unit for all of the calls."""
        opened = False
        try:
            with self._unit() as session:
                opened = True
                began = time.monotonic()
                calls = _waited_for(calls, began)  # other processes may have been first, for long
                results = _results(session, calls)
                self._begin_commit(calls, began)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised at the callers, who wait
            return _Run(calls, [], error, self._end(opened=opened))
        return _Run(calls, results, None, self._end(opened=opened))

    def _begin_commit(self, calls: list[Call], began: float) -> None:
        # INVARIANT: a call is given up or committed, and both sides say which under the same lock, by a clock that is
        # read while they hold it: no call commits whose caller was told that nothing of it is kept.
        with self._lock:
            now = time.monotonic()
            self._waiting.learn(calls, now - began)
            for call in calls:
                if now >= call.deadline:
                    raise _GivenUp
            for call in calls:
                call.is_committing = True

    def _end(self, *, opened: bool) -> bool:
        """The unit ended; returns whether the store answered it."""
        with self._lock:
            return self._watch.end(opened=opened)


class _Ending(Enum):
    """What became of the calls of a unit."""

    SETTLED = "settled"
    OUT_OF_REACH = "settled, by an error: the store did not answer"
    FAILED_TOGETHER = "not settled: each is tried by its own"
    GIVEN_UP = "not settled: those that were not given up are tried in halves"


class _Run(NamedTuple):
    """One unit that was run: the results of its calls, or why nothing of it is kept; whether the store answered."""

    calls: list[Call]
    results: list[Any]
    error: BaseException | None
    answered: bool


class _GivenUp(Exception):  # noqa: N818 - rolls a unit back; nobody is told
    """A call of the unit was given up before its commit."""


def _waited_for(calls: list[Call], now: float) -> list[Call]:
    """The calls that are not given up."""
    return [call for call in calls if now < call.deadline]


def _halves(calls: list[Call]) -> list[list[Call]]:
    """The first and the second half of the calls, in order."""
    middle = (len(calls) + 1) // 2
    return [calls[:middle], calls[middle:]]


def _is_in_doubt(error: BaseException, calls: list[Call]) -> bool:
    """Whether the unit's commit may have happened: it is not run again then."""
    return isinstance(error, DependencyError) and error.in_doubt and calls[0].is_committing


def _results(session: object, calls: list[Call]) -> list[Any]:
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
