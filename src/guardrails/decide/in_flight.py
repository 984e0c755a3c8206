"""Candidates in flight: whoever asks for one that is being decided waits until it is, and is handed that answer.

Without this a caller whose deadline ran out would be answered from the spool, and the next one, who waited behind it,
from the database a moment later: one candidate, two answers. Handed on, because whoever waited has little of a deadline
of his own left to ask the stores for it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from guardrails.decide.writes import Known

__all__ = ["Flight", "InFlight", "patience_seconds"]

DEADLINES = 2
"""Whoever is ahead began with a deadline of his own, at most so much longer: he asked for more candidates."""

SPOOL_SECONDS = 1.0
"""What he may take over the spool once his deadline ran out: its lock, a write and an fsync."""


def patience_seconds(deadline_seconds: float) -> float:
    """How long to wait for whoever is ahead, so that he has answered by then, be it from the spool."""
    return DEADLINES * deadline_seconds + SPOOL_SECONDS


class Flight:
    """Candidates that one thread decides. `known` is what those ahead of it answered for some of them, by id.

    `answers` gives what it answers itself, by id: nothing, until that is set.
    """

    __slots__ = ("answers", "known")

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.answers: Callable[[], Mapping[str, Known]] = dict


class InFlight:
    """The candidates that the threads of a process decide at present."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}  # by candidate id
        self._fewer = threading.Condition(threading.Lock())
        # Weakly, because what is registered there stays for as long as the process.
        os.register_at_fork(after_in_child=partial(_forget, weakref.ref(self)))

    def leave_to_parent(self) -> None:
        """In the child of a fork: forget what the parent's threads decide; none of them is here to finish it."""
        self._flights = {}
        self._fewer = threading.Condition(threading.Lock())

    @contextmanager
    def alone(self, candidate_ids: frozenset[str], *, timeout_seconds: float) -> Iterator[Flight]:
        """Decide these candidates while no other thread does; after `timeout_seconds` whoever else may.

        All are waited for before any is begun, so nobody waits for somebody who waits for him.
        """
        flight = Flight()
        with self._fewer:
            if not self._flights.keys().isdisjoint(candidate_ids):
                self._wait(flight, candidate_ids, timeout_seconds)
            self._flights.update(dict.fromkeys(candidate_ids, flight))
        try:
            yield flight
        finally:
            with self._fewer:
                for each in candidate_ids:
                    if self._flights.get(each) is flight:
                        del self._flights[each]
                self._fewer.notify_all()

    def _wait(self, flight: Flight, candidate_ids: frozenset[str], seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        has_time = True
        while has_time and (ahead := {self._flights[each] for each in candidate_ids & self._flights.keys()}):
            has_time = self._fewer.wait(give_up_at - time.monotonic())
            for each in ahead:
                answers = each.answers().items()
                flight.known.update((id_, known) for id_, known in answers if id_ in candidate_ids)


def _forget(alive: weakref.ref[InFlight]) -> None:
    in_flight = alive()
    if in_flight is not None:
        in_flight.leave_to_parent()
