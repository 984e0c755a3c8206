"""The calls that wait for the writer, and which of them share the next unit: fair between single calls and batches.

A unit is of small calls or of big ones, in order of arrival, as many as fit: in size, and in the time that the first
of them has left, since one call that is given up before the commit rolls back the unit of all. Where both kinds wait,
the two take turns.

INVARIANT: however many big calls wait, at most one unit of big calls runs before the next unit of small ones; however
many small calls come, at most one unit of small calls runs before the next unit of big ones.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from guardrails.decide.ports import Handler

__all__ = ["SMALL_SIZE_MAX", "UNIT_SIZE_MAX", "Call", "WaitingCalls"]

UNIT_SIZE_MAX = 1_000
"""How much work shares a unit; a single call that is bigger is a unit by itself."""

SMALL_SIZE_MAX = 10
"""Up to this size a call is small: its work takes no longer than what a unit costs in any case."""


_SHARE_OF_TIME = 0.5
"""How much of the time that a call has left its unit may be at work; the rest is for the turn, the commit, and error.

A call that has less than this share of its whole time left is *late*: where not all who wait can be served in time,
it is passed over, for the units that it could yet be in are so small that they would make all others late.
"""

_WEIGHT_OF_LATEST = 0.5
"""Of the latest unit in the estimate: a new pace is known after a few units, and one odd unit is soon forgotten."""


class Call:
    """One call that waits: settled once, by the writer, with a result or an error.

    It is given up where its deadline (monotonic) passes first. `is_committing` says that its unit was being committed
    by then; whoever looks at deadline and `is_committing` together holds the transactor's lock.
    """

    __slots__ = (
        "_done",
        "_outcome",
        "deadline",
        "handler",
        "is_committing",
        "item",
        "size",
        "timeout_seconds",
    )

    def __init__(
        self, handler: Handler[Any, Any], item: object, *, size: int, now: float, timeout_seconds: float
    ) -> None:
        self.handler = handler
        self.item = item
        self.size = size
        self.timeout_seconds = timeout_seconds
        self.deadline = now + timeout_seconds
        self.is_committing = False
        self._outcome: object = None
        self._done = threading.Lock()
        self._done.acquire()

    def settle(self, result: object) -> None:
        """Let the caller have its result, or raise what is an exception."""
        self._outcome = result
        self._done.release()

    def is_settled(self) -> bool:
        """Whether a result or an error is there."""
        return not self._done.locked()

    def wait(self, seconds: float) -> bool:
        """Wait until the call is settled, at most `seconds`; whether it is."""
        return self._done.acquire(timeout=seconds)

    def result(self) -> Any:  # noqa: ANN401 - what the handler gave
        """The result of a settled call; raises it where it is an exception."""
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


class WaitingCalls:
    """Calls in order of arrival, small and big apart. Not locked: the transactor's lock is held by whoever uses it."""

    def __init__(self, *, unit_size_max: int = UNIT_SIZE_MAX) -> None:
        self._unit_size_max = unit_size_max
        self._small: deque[Call] = deque()
        self._big: deque[Call] = deque()
        self._is_turn_of_big = False
        self._seconds_per_size = 0.0  # an estimate; nothing is known before the first unit

    def __len__(self) -> int:
        return len(self._small) + len(self._big)

    def append(self, call: Call) -> None:
        """Put the call behind all others of its kind."""
        self._queue_of(call).append(call)

    def discard(self, call: Call) -> None:
        """Take the call out, where it still waits."""
        with suppress(ValueError):
            self._queue_of(call).remove(call)

    def learn(self, calls: Sequence[Call], seconds: float) -> None:
        """The work of a unit of these calls took so long, its commit apart."""
        latest = seconds / max(sum(call.size for call in calls), 1)
        known = self._seconds_per_size or latest
        self._seconds_per_size = known + _WEIGHT_OF_LATEST * (latest - known)

    def take(self, now: float) -> list[Call]:
        """Take the calls of the next unit, which begins `now`; at least one must wait."""
        if self._small and not (self._big and self._is_turn_of_big):
            self._is_turn_of_big = bool(self._big)
            return self._fill(self._small, now)
        self._is_turn_of_big = False
        return self._fill(self._big, now)

    def _queue_of(self, call: Call) -> deque[Call]:
        return self._small if call.size <= SMALL_SIZE_MAX else self._big

    def _fill(self, queue: deque[Call], now: float) -> list[Call]:
        late = self._late(queue, now)
        queue.rotate(-late)
        calls = [queue.popleft()]
        room = self._unit_size_max - calls[0].size
        seconds = self._seconds(calls[0])
        until = calls[0].deadline
        while queue and queue[0].size <= room:
            until = min(until, queue[0].deadline)
            seconds += self._seconds(queue[0])
            if seconds > (until - now) * _SHARE_OF_TIME:
                break
            room -= queue[0].size
            calls.append(queue.popleft())
        queue.rotate(late)
        return calls

    def _late(self, queue: deque[Call], now: float) -> int:
        """How many of the first are late, and passed over: none, where all can be served in time or all are late."""
        if sum(map(self._seconds, queue)) <= (queue[0].deadline - now) * _SHARE_OF_TIME:
            return 0
        in_time = (place for place, call in enumerate(queue) if not _is_late(call, now))
        return next(in_time, 0)

    def _seconds(self, call: Call) -> float:
        return call.size * self._seconds_per_size


def _is_late(call: Call, now: float) -> bool:
    return call.deadline - now < call.timeout_seconds * _SHARE_OF_TIME
