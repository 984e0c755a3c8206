"""Units of work for the calls of a transactor: each call is settled, by one unit or, where that fails, by several.

A unit that fails is tried again item by item, so that nobody fails for another's item. One in which a call was given up
is rolled back and run again without it, in two halves: it was too long for one. One whose caps moved is run again.

INVARIANT: a call that is settled with a result is durable, once; of a call that is settled with an error, or was given
up, nothing is kept, but where its commit is in doubt, or where the error is what the handler returned for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from itertools import chain, groupby
from typing import Any, NamedTuple

from guardrails.errors import CapsMoved, DependencyError
from guardrails.storage.refusals import CAPS_TRIES, caps_keep_moving
from guardrails.storage.unit_watch import UnitWatch
from guardrails.storage.waiting_calls import Call, WaitingCalls

__all__ = ["Units"]


class Units:
    """Runs one unit after the other, in the thread of whoever calls it: there is one such thread at a time."""

    def __init__(
        self,
        open_session: Callable[[], AbstractContextManager[Any]],
        *,
        lock: threading.Lock,
        watch: UnitWatch,
        waiting: WaitingCalls,
    ) -> None:
        """`lock` is the transactor's, held here for the `watch`, for what `waiting` learns, and for giving up."""
        self._open = open_session
        self._lock = lock
        self._watch = watch
        self._waiting = waiting

    def carry_out(self, calls: list[Call]) -> None:
        """Settle every call: by one unit; by halves, where it takes too long; each by its own, where it fails."""
        groups = [calls]
        while groups:
            ending, group = self._settle(groups.pop(0))
            if ending is _Ending.FAILED_TOGETHER:
                groups[:0] = [[call] for call in group]
            elif ending is _Ending.GIVEN_UP:
                groups[:0] = _halves(_waited_for(group, time.monotonic()))
            elif ending is _Ending.OUT_OF_REACH and groups:
                groups = [list(chain(*groups))]  # all wait for the same store: they fail or succeed together

    def _settle(self, calls: list[Call]) -> tuple[_Ending, list[Call]]:
        """Settle the calls that are not given up by one unit; it is run again where the caps moved.

        Returns how that ended, and for which calls.
        """
        moves = 0
        while waited_for := self._begin(calls):
            run = self._run(waited_for)
            calls, error = run.calls, run.error
            if error is None:
                for call, result in zip(calls, run.results, strict=True):
                    call.settle(result)
                return _Ending.SETTLED, calls
            if isinstance(error, _GivenUp):
                return _Ending.GIVEN_UP, calls
            if isinstance(error, CapsMoved):
                moves += 1
                if moves < CAPS_TRIES:
                    continue
                error = caps_keep_moving()
            elif run.answered and len(calls) > 1 and not _is_in_doubt(error, calls):
                return _Ending.FAILED_TOGETHER, calls
            for call in calls:
                call.settle(error)
            return _Ending.SETTLED if run.answered else _Ending.OUT_OF_REACH, calls
        return _Ending.SETTLED, calls

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
            with self._open() as session:
                opened = True
                began = time.monotonic()
                calls = _waited_for(calls, began) or self._take_over(began)  # others may have been first, for long
                results = _results(session, calls)
                self._begin_commit(calls, began)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised at the callers, who wait
            return _Run(calls, [], error, self._end(opened=opened))
        return _Run(calls, results, None, self._end(opened=opened))

    def _take_over(self, now: float) -> list[Call]:
        """The calls that wait by now, in place of those that were all given up while the unit stood in line."""
        with self._lock:
            calls = _waited_for(self._waiting.take(now), now) if self._waiting else []
            self._watch.pass_on(calls)
        if not calls:
            raise _GivenUp
        return calls

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
    """A call of the unit, or every one that there was, was given up before its commit."""


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
