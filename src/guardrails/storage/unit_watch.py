"""Watches the unit that runs: when it hangs it is interrupted, and calls are refused instead of waiting in vain.

A unit hangs once it has run for longer than the hang limit. It is interrupted then, but not while one of its own calls
is still willing to wait for it. While it stands in line, and the store says so time and again, it does not hang.

Where a unit was interrupted, or could not even be opened, the store is *suspect* until a unit ends well: one unit at a
time tries it, for no longer than the hang limit, and the calls that come meanwhile are refused at once. So an outage
costs one caller at a time its patience, and everybody else nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from guardrails.storage.waiting_calls import Call

__all__ = ["HANG_SECONDS", "UnitWatch"]

HANG_SECONDS = 1.0
_INTERRUPTS_OF_STUCK = 2


class UnitWatch:
    """What is known of the unit that runs. Not locked: the transactor's lock is held by whoever uses it.

    All instants are monotonic, and infinite where no unit runs.

    INVARIANT: units begin, end and are interrupted under one lock, so that no unit is interrupted for the one before.
    """

    def __init__(
        self, interrupt_unit: Callable[[], None], busy_at: Callable[[], float], *, hang_seconds: float
    ) -> None:
        """`interrupt_unit` is quick and never raises: the unit that runs fails, or at worst the next one reconnects.

        `busy_at` says when the store last answered that others are ahead.
        """
        self._interrupt_unit = interrupt_unit
        self._busy_at = busy_at
        self._hang_seconds = hang_seconds
        self._is_suspect = False
        self._rest()

    def _rest(self) -> None:
        self._began = inf
        self._refuses_from = inf
        self._interrupt_at = inf
        self._interrupts = 0
        self._calls: Sequence[Call] = ()

    def begin(self, now: float, calls: Sequence[Call]) -> None:
        """A unit for these calls begins."""
        self._began = now
        self._interrupt_at = now + self._hang_seconds
        self._refuses_from = now if self._is_suspect else self._interrupt_at
        self._calls = calls

    def pass_on(self, calls: Sequence[Call]) -> None:
        """The unit that runs is for these calls now."""
        self._calls = calls

    def end(self, *, opened: bool) -> bool:
        """The unit ended, after it was `opened` or without; returns whether the store answered it."""
        answered = opened and self._interrupts == 0
        self._is_suspect = not answered and not self._is_in_line()
        self._rest()
        return answered

    def is_in_vain(self, call: Call, now: float, waiting: int) -> bool:
        """Whether a call that comes `now`, when `waiting` others wait already, is refused.

        Behind a unit that was interrupted one call waits, to be the next that tries the store. Behind one that tries a
        suspect store nobody waits, and behind another that hangs those who would wait for longer than it has run.
        """
        if now < self._refuses_from:
            return False
        self.look(now)
        if now < self._refuses_from:
            return False
        if self._interrupts:
            return waiting > 0
        return self._is_suspect or now - self._began >= call.timeout_seconds

    def look(self, now: float) -> None:
        """Interrupt the unit where it is time to, and again after each further hang limit: it may only connect yet."""
        if self._is_in_line():
            self._is_suspect = False
            self._interrupt_at = self._refuses_from = max(self._interrupt_at, self._busy_at() + self._hang_seconds)
        if now < self._interrupt_at:
            return
        if not self._is_suspect and any(now < call.deadline for call in self._calls):
            return
        self._interrupt_at = now + self._hang_seconds
        self._interrupts += 1
        self._interrupt_unit()

    def _is_in_line(self) -> bool:
        """Whether the store answered the unit that others are ahead, and nobody has broken it off."""
        return self._interrupts == 0 and self._busy_at() > self._began

    def is_stuck(self) -> bool:
        """Whether the unit was interrupted, and again, and runs on."""
        return self._interrupts >= _INTERRUPTS_OF_STUCK
