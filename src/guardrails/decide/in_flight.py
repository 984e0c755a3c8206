"""Candidates in flight: whoever asks for one that is being decided waits until it is, and then gets that answer.

Without this a caller whose deadline ran out would be answered from the spool, and the next one, who waited behind it,
from the database a moment later: one candidate, two answers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["InFlight"]


class InFlight:
    """The candidates that the threads of a process decide at present."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
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
