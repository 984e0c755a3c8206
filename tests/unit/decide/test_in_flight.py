"""Who waits for whom where several threads decide at the same time."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref

import pytest

from guardrails.decide.in_flight import InFlight, _forget, patience_seconds


def test_no_two_threads_decide_one_candidate_at_a_time():
    in_flight, busy, met = InFlight(), set(), []

    def decide(seed):
        chance = random.Random(seed)
        for _ in range(300):
            ids = frozenset(chance.sample("abcdef", chance.randrange(4)))
            with in_flight.alone(ids, timeout_seconds=60):
                met.append(not busy.isdisjoint(ids))
                busy.update(ids)
                time.sleep(0)
                busy.difference_update(ids)

    threads = [threading.Thread(target=decide, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(met), any(met)) == (8 * 300, False)


def test_nobody_waits_longer_than_he_can():
    in_flight = InFlight()
    ids = frozenset("a")
    with in_flight.alone(ids, timeout_seconds=60), in_flight.alone(ids, timeout_seconds=0.001):
        pass
    with in_flight.alone(ids, timeout_seconds=0.001):
        assert in_flight._ids == {"a"}
    assert in_flight._ids == set()


def test_who_fails_is_in_flight_no_longer():
    in_flight = InFlight()
    with pytest.raises(ZeroDivisionError), in_flight.alone(frozenset("a"), timeout_seconds=60):
        raise ZeroDivisionError
    assert in_flight._ids == set()


def test_patience_lasts_until_whoever_is_ahead_has_answered_from_the_spool():
    assert patience_seconds(0.25) == 1.5


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_waits_for_none_of_the_parents_threads():
    in_flight = InFlight()
    ids = frozenset("a")
    with in_flight.alone(ids, timeout_seconds=60), in_flight._fewer:
        child = os.fork()
        if child == 0:
            is_free = in_flight._ids == set() and in_flight._fewer.acquire(blocking=False)
            os._exit(0 if is_free else 1)
        assert in_flight._ids == {"a"}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_gone_is_left_alone_by_a_fork():
    in_flight = InFlight()
    gone = weakref.ref(in_flight)
    del in_flight
    _forget(gone)
    assert gone() is None


def test_what_lives_forgets_the_parents_candidates():
    in_flight = InFlight()
    with in_flight.alone(frozenset("a"), timeout_seconds=60):
        _forget(weakref.ref(in_flight))
        assert in_flight._ids == set()
