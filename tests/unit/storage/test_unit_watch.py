from __future__ import annotations

from math import inf

import pytest

from guardrails.storage.unit_watch import UnitWatch
from guardrails.storage.waiting_calls import Call

HANG_SECONDS = 1.0


class Watched:
    """A watch, and how often it interrupted."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.busy_at = -inf
        self.watch = UnitWatch(self._interrupt, lambda: self.busy_at, hang_seconds=HANG_SECONDS)

    def _interrupt(self) -> None:
        self.interrupts += 1


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def watch(watched):
    return watched.watch


def a_call(*, at: float = 0.0, timeout_seconds: float = 0.25) -> Call:
    return Call(list, None, size=1, now=at, timeout_seconds=timeout_seconds)


def is_refused(watch, at: float, *, timeout_seconds: float = 0.25, waiting: int = 0) -> bool:
    return watch.is_in_vain(a_call(at=at, timeout_seconds=timeout_seconds), at, waiting)


def test_nobody_is_refused_where_no_unit_runs(watched, watch):
    assert not is_refused(watch, 1e9, waiting=5)
    watch.look(1e9)
    assert watched.interrupts == 0


def test_a_unit_is_interrupted_once_it_hangs_and_nobody_waits_for_it(watched, watch):
    watch.begin(0.0, [a_call(), a_call(timeout_seconds=3)])
    for at, interrupts in ((0.3, 0), (1.0, 0), (2.9, 0), (3.0, 1), (3.9, 1), (4.0, 2)):
        watch.look(at)
        assert interrupts == watched.interrupts


def test_a_unit_given_up_early_has_until_the_limit(watched, watch):
    watch.begin(0.0, [a_call()])
    watch.look(0.99)
    assert watched.interrupts == 0
    watch.look(1.0)
    assert watched.interrupts == 1


def test_behind_an_interrupted_unit_one_call_waits_and_the_others_are_refused(watched, watch):
    watch.begin(0.0, [a_call()])
    assert not is_refused(watch, 0.9, waiting=5)
    assert not is_refused(watch, 1.5)
    assert watched.interrupts == 1
    assert is_refused(watch, 1.6, waiting=1)
    assert is_refused(watch, 1.6, waiting=1, timeout_seconds=100)
    assert not is_refused(watch, 1.7)
    assert watched.interrupts == 1
    assert not is_refused(watch, 2.5)
    assert watched.interrupts == 2


def test_a_unit_that_is_waited_for_refuses_those_who_would_wait_for_less_than_it_took(watched, watch):
    watch.begin(0.0, [a_call(timeout_seconds=10)])
    assert is_refused(watch, 1.0)
    assert is_refused(watch, 2.0, timeout_seconds=2)
    assert not is_refused(watch, 2.0, timeout_seconds=3)
    assert watched.interrupts == 0


def test_a_unit_that_is_passed_on_is_not_interrupted_while_one_of_its_new_calls_waits(watched, watch):
    watch.begin(0.0, [a_call()])
    watch.pass_on([a_call(at=0.9, timeout_seconds=1)])
    watch.look(1.5)
    assert watched.interrupts == 0
    watch.look(1.9)
    assert watched.interrupts == 1


@pytest.mark.parametrize("opened", [False, True])
def test_after_an_interrupt_or_a_unit_that_could_not_be_opened_the_store_is_suspect(watched, watch, opened):
    watch.begin(0.0, [a_call()])
    if opened:
        watch.look(1.0)
    assert not watch.end(opened=opened)
    assert not is_refused(watch, 2.0)  # the next to try it
    watch.begin(2.0, [a_call(at=2.0, timeout_seconds=10)])
    assert is_refused(watch, 2.0, timeout_seconds=100)
    before = watched.interrupts
    watch.look(2.9)
    assert before == watched.interrupts
    watch.look(3.0)  # whatever its patience
    assert before + 1 == watched.interrupts


def test_a_suspect_store_that_answers_is_trusted_again(watch):
    watch.begin(0.0, [])
    watch.end(opened=False)
    watch.begin(1.0, [a_call(at=1.0)])
    assert watch.end(opened=True)
    watch.begin(2.0, [a_call(at=2.0)])
    assert not is_refused(watch, 2.5)


def test_a_unit_is_stuck_once_it_was_interrupted_twice(watch):
    watch.begin(0.0, [])
    stuck = []
    for at in (0.5, 1.0, 1.5, 2.0):
        watch.look(at)
        stuck.append(watch.is_stuck())
    assert stuck == [False, False, False, True]
    watch.end(opened=True)
    assert not watch.is_stuck()


def test_a_unit_in_line_does_not_hang_for_as_long_as_the_store_says_so(watched, watch):
    watch.begin(0.0, [a_call()])
    for at in (0.9, 1.8, 2.7):
        watched.busy_at = at
        assert not is_refused(watch, at + 0.9, waiting=5)
        watch.look(at + 0.9)
    assert watched.interrupts == 0
    watch.look(3.7)  # nothing was heard since 2.7
    assert watched.interrupts == 1


def test_a_store_that_says_that_others_are_ahead_is_not_suspect(watched, watch):
    watch.begin(0.0, [])
    watch.end(opened=False)
    watch.begin(1.0, [a_call(at=1.0, timeout_seconds=10)])
    assert is_refused(watch, 1.1, waiting=5)
    watched.busy_at = 1.5
    assert not is_refused(watch, 1.6, waiting=5)
    assert not watch.end(opened=False)  # it stood in line in vain
    watch.begin(3.0, [a_call(at=3.0)])
    assert not is_refused(watch, 3.1, waiting=5)


def test_a_unit_that_was_broken_off_is_in_line_no_more(watched, watch):
    watch.begin(0.0, [a_call()])
    watch.look(1.0)
    watched.busy_at = 1.1
    assert is_refused(watch, 1.2, waiting=1)
    watch.end(opened=False)
    watch.begin(2.0, [a_call(at=2.0)])
    assert is_refused(watch, 2.1)


def test_where_others_were_ahead_of_the_unit_before_says_nothing_of_this_one(watched, watch):
    watched.busy_at = 0.9
    watch.begin(1.0, [a_call(at=1.0)])
    watch.look(2.0)
    assert watched.interrupts == 1
