"""Candidates in flight: whoever asks for one that is being decided waits until it is, and then gets that answer.

Without this a caller whose deadline ran out would be answered from the spool, and the next one, who waited behind it,
from the database a moment later: one candidate, two answers.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

__all__ = ["InFlight", "patience_seconds"]

DEADLINES = 2
"""Whoever is ahead began with a deadline of his own, at most so much longer: he asked for more candidates."""

SPOOL_SECONDS = 1.0
"""What he may take over the spool once his deadline ran out: its lock, a write and an fsync."""


def patience_seconds(deadline_seconds: float) -> float:
    """How long to wait for whoever is ahead, so that he has answered by then, be it from the spool."""
    return DEADLINES * deadline_seconds + SPOOL_SECONDS


class InFlight:
    """The candidates that the threads of a process decide at present."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._fewer = threading.Condition(threading.Lock())
        # Weakly, because what is registered there stays for as long as the process.
        os.register_at_fork(after_in_child=partial(_forget, weakref.ref(self)))

    def leave_to_parent(self) -> None:
        """In the child of a fork: forget what the parent's threads decide; none of them is here to finish it."""
        self._ids = set()
        self._fewer = threading.Condition(threading.Lock())

    @contextmanager
    def alone(self, candidate_ids: frozenset[str], *, timeout_seconds: float) -> Iterator[None]:
        """Decide these candidates while no other thread does; after `timeout_seconds` whoever else may.

        All are waited for before any is begun, so nobody waits for somebody who waits for him.
        """
        with self._fewer:
            self._fewer.wait_for(lambda: self._ids.isdisjoint(candidate_ids), timeout_seconds)
            self._ids |= candidate_ids
        try:
            yield
        finally:
            with self._fewer:
                self._ids -= candidate_ids
                self._fewer.notify_all()


def _forget(alive: weakref.ref[InFlight]) -> None:
    in_flight = alive()
    if in_flight is not None:
        in_flight.leave_to_parent()
