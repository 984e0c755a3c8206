"""Who waits for whom where several threads decide at the same time."""

from __future__ import annotations

import random
import threading
import time

import pytest

from guardrails.decide.in_flight import InFlight


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
