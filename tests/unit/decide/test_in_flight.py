"""Who waits for whom where several threads decide at the same time."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref

import pytest

from guardrails.decide.in_flight import InFlight, _forget, patience_seconds
from guardrails.decide.writes import Answer, Known
from guardrails.errors import CandidateError, ConflictError
from guardrails.stores import open_stores
from route import Route, candidate


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
        assert in_flight._flights.keys() == {"a"}
    assert in_flight._flights == {}


def test_who_waited_too_long_is_waited_for_by_others_and_not_forgotten_when_those_ahead_end():
    in_flight = InFlight()
    ids = frozenset("a")
    with in_flight.alone(ids, timeout_seconds=60) as first:
        with in_flight.alone(ids, timeout_seconds=0.001) as second:
            assert (in_flight._flights, first is second) == ({"a": second}, False)
        assert in_flight._flights == {}
    with in_flight.alone(frozenset("b"), timeout_seconds=0):
        assert in_flight._flights.keys() == {"b"}


def test_who_waited_is_handed_what_was_answered_of_his_own_and_no_more():
    in_flight = InFlight()
    answers = {each: Known(f"d-{each}", b"", b"") for each in "ab"}
    known = []

    def ask():
        with in_flight.alone(frozenset("bcd"), timeout_seconds=60) as flight:
            known.append(flight.known)

    with (
        in_flight.alone(frozenset("ab"), timeout_seconds=60) as first,
        in_flight.alone(frozenset("c"), timeout_seconds=60),
    ):
        waiting = threading.Thread(target=ask)
        waiting.start()
        while not in_flight._fewer._waiters:
            time.sleep(0.001)
        first.answers = lambda: answers
    waiting.join()
    assert known == [{"b": answers["b"]}]


def test_who_fails_is_in_flight_no_longer():
    in_flight = InFlight()
    with pytest.raises(ZeroDivisionError), in_flight.alone(frozenset("a"), timeout_seconds=60):
        raise ZeroDivisionError
    assert in_flight._flights == {}


def test_patience_lasts_until_whoever_is_ahead_has_answered_from_the_spool():
    assert patience_seconds(0.25) == 1.5


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_waits_for_none_of_the_parents_threads():
    in_flight = InFlight()
    ids = frozenset("a")
    with in_flight.alone(ids, timeout_seconds=60), in_flight._fewer:
        child = os.fork()
        if child == 0:
            is_free = in_flight._flights == {} and in_flight._fewer.acquire(blocking=False)
            os._exit(0 if is_free else 1)
        assert in_flight._flights.keys() == {"a"}
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
        assert in_flight._flights == {}


# --- on the route -----------------------------------------------------------------------------------------------


class Held:
    """Stores that keep every call until the test lets it through; `seconds` are the times that the calls had."""

    def __init__(self, transactor):
        self._transactor = transactor
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.seconds = []

    def call(self, handler, item, *, timeout_seconds, **how):
        self.seconds.append(timeout_seconds)
        self.begun.release()
        assert self.go_on.wait(60)
        return self._transactor.call(handler, item, timeout_seconds=timeout_seconds, **how)

    def close(self):
        self._transactor.close()


@pytest.fixture
def held(url):
    stores = Held(open_stores(url))
    route = Route(stores)
    yield stores, route
    route.close()


def in_background(route, *candidates):
    """Decide in a thread of its own; what came of it once that has ended."""
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(route.decide(*candidates)))
    thread.start()

    def ended():
        thread.join()
        return answers

    return ended


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def waiters(route):
    return route.application.decider._in_flight._fewer._waiters


def test_who_asks_for_what_is_in_flight_gets_that_answer_without_asking_the_stores(held):
    stores, route = held
    first = in_background(route, candidate("c-1"))
    assert stores.begun.acquire(timeout=60)
    others = [in_background(route, candidate("c-1")), in_background(route, candidate("c-1", channel="email"))]
    until(lambda: len(waiters(route)) == 2)
    stores.go_on.set()
    (answer,), ((same,), (other,)) = first(), (each() for each in others)
    assert (same.body, same.repeated, type(other), len(stores.seconds)) == (answer.body, True, ConflictError, 1)


def test_the_time_that_was_waited_is_taken_off_the_deadline_for_the_rest_of_a_batch(held):
    stores, route = held
    first = in_background(route, candidate("c-1"))
    assert stores.begun.acquire(timeout=60)
    batch = in_background(route, candidate("c-1"), candidate("c-2"))
    until(lambda: waiters(route))
    stores.go_on.set()
    bodies = [answer.body for answer in first() + batch()]
    alone, together = stores.seconds
    full = alone / 1.01 * 1.02
    assert (len(bodies), bodies[0], bodies[1] != bodies[2]) == (3, bodies[1], True)
    assert full / 2 <= together < full


def test_whoever_is_ahead_and_fails_hands_on_nothing(held):
    stores, route = held
    first = in_background(route, candidate("c-1", send_at="2020-01-01T00:00:00Z"))
    assert stores.begun.acquire(timeout=60)
    second = in_background(route, candidate("c-1"))
    until(lambda: waiters(route))
    stores.go_on.set()
    assert (type(first()[0]), type(second()[0]), len(stores.seconds)) == (CandidateError, Answer, 2)
