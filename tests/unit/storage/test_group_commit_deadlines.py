"""Calls that are given up: before the commit nothing of them is kept and nobody else suffers; after, it is in doubt."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest

from guardrails.errors import CapsMoved, DependencyError
from guardrails.storage.waiting_calls import Call
from list_store import Halt, lost, wait_until_idle, waiting, write


class HeldOnce:
    """A handler that writes; its first run is held."""

    def __init__(self) -> None:
        self.runs: list[list[object]] = []
        self.halt = Halt()

    def __call__(self, session, items):
        self.runs.append(items)
        written = write(session, items)
        if len(self.runs) == 1:
            self.halt()
        return written


def assert_given_up(error: object, *, in_doubt: bool = False) -> None:
    assert isinstance(error, DependencyError)
    assert str(error).startswith("the database did not answer within 5000 ms")
    assert (error.dependency, error.in_doubt) == ("database", in_doubt)


def test_a_call_given_up_while_it_waits_leaves_the_line_and_never_runs(gate, store, transactor):
    gate.queue(write, "a", "b", "c")
    gate.queue(write, "big", size=100)
    assert_given_up(gate.give_up("b"))
    assert_given_up(gate.give_up("big"))
    assert [call.item for call in waiting(transactor)] == ["a", "c"]
    gate.release()
    assert store.units == [[], ["a", "c"]]


@pytest.mark.parametrize("timeout_seconds", [0, -1])
def test_a_call_without_any_time_is_given_up_at_once(gate, store, transactor, timeout_seconds):
    with pytest.raises(DependencyError, match="did not answer"):
        transactor.call(write, "a", timeout_seconds=timeout_seconds)
    gate.release()
    assert store.kept == []


def test_the_error_says_how_long_was_waited(gate, transactor):
    with pytest.raises(DependencyError, match=r"^the database did not answer within 30 ms$"):
        transactor.call(write, "a", timeout_seconds=0.03)


def test_a_call_given_up_in_its_unit_is_rolled_back_and_the_rest_are_run_again_in_halves(gate, store):
    held = HeldOnce()
    gate.queue(held, *"abcdef")
    gate.open()
    held.halt.reached.wait()
    assert_given_up(gate.give_up("b"))
    held.halt.go_on()
    assert [gate.outcome(item) for item in "acdef"] == [f"wrote {item}" for item in "acdef"]
    assert held.runs == [[*"abcdef"], [*"acd"], [*"ef"]]
    assert store.kept == [*"acdef"]


def test_a_half_that_fails_does_not_take_the_other_half_along(gate, store):
    runs = []

    def fail_in_the_first_half(session, items):
        runs.append(items)
        if len(runs) == 1:
            gate.give_up("a")
        if len(runs) == 2:
            raise ZeroDivisionError
        return write(session, items)

    gate.queue(fail_in_the_first_half, *"abcde")
    gate.open()
    assert [gate.outcome(item) for item in "bcde"] == [f"wrote {item}" for item in "bcde"]
    assert runs == [[*"abcde"], [*"bc"], ["b"], ["c"], [*"de"]]
    assert store.kept == [*"bcde"]


def test_the_pace_is_learned_from_units_that_commit_and_from_those_that_took_too_long(gate, transactor):
    held = HeldOnce()
    gate.queue(held, "a", "b")
    learned = []
    transactor._waiting.learn = lambda calls, seconds: learned.append(([call.item for call in calls], seconds > 0))
    gate.open()
    held.halt.reached.wait()
    assert_given_up(gate.give_up("a"))
    held.halt.go_on()
    assert gate.outcome("b") == "wrote b"
    assert learned[-2:] == [(["a", "b"], True), (["b"], True)]


def test_a_unit_in_which_all_were_given_up_is_not_run_again(gate, store, transactor):
    held = HeldOnce()
    gate.queue(held, "a", "b")
    gate.open()
    held.halt.reached.wait()
    assert_given_up(gate.give_up("a"))
    assert_given_up(gate.give_up("b"))
    held.halt.go_on()
    wait_until_idle(transactor)
    assert transactor.call(write, "c") == "wrote c"
    assert held.runs == [["a", "b"]]
    assert store.units == [[], ["c"]]


def test_each_run_again_has_fewer_calls(gate, store):
    chance = iter("abc")

    def give_up_one_a_run(session, items):
        for item in chance:
            gate.give_up(item)
            break
        return write(session, items)

    gate.queue(give_up_one_a_run, *"abcd")
    gate.open()
    assert gate.outcome("d") == "wrote d"
    assert store.begun == 1 + 4
    assert store.kept == ["d"]


def test_those_given_up_while_their_unit_opened_are_not_run_in_it(gate, store):
    held, opening = HeldOnce(), Halt()
    held.halt.go_on()
    gate.queue(held, "a", "b")
    store.at_begin = opening
    gate.open()
    opening.reached.wait()
    assert_given_up(gate.give_up("a"))
    opening.go_on()
    assert gate.outcome("b") == "wrote b"
    assert held.runs == [["b"]]
    assert store.begun == 2


@pytest.fixture
def opening(gate, store, transactor):
    """Holds the unit for `a`, after the gate's own, while it is opened; `a` is given up then."""
    transactor._watch._hang_seconds = 100.0  # it stands in line, and does not hang
    opening = Halt()
    gate.queue(write, "a")
    store.at_begin = opening
    gate.open()
    opening.reached.wait()
    assert_given_up(gate.give_up("a"))
    yield opening
    opening.go_on()


def test_a_turn_that_comes_too_late_is_for_those_who_wait_by_then(gate, store, opening):
    gate.queue(write, "b", "c")
    opening.go_on()
    assert [gate.outcome(item) for item in "bc"] == ["wrote b", "wrote c"]
    assert (store.units, store.begun) == ([[], ["b", "c"]], 2)


def test_a_turn_for_which_nobody_waits_any_more_is_let_pass(store, transactor, opening):
    opening.go_on()
    wait_until_idle(transactor)
    assert transactor.call(write, "b") == "wrote b"
    assert (store.units, store.begun) == ([[], ["b"]], 3)


def test_those_who_took_over_a_unit_that_fails_are_tried_one_by_one(gate, store, opening):
    def fail_together(session, items):
        if len(items) > 1:
            raise ZeroDivisionError
        return write(session, items)

    gate.queue(fail_together, "b", "c")
    opening.go_on()
    assert [gate.outcome(item) for item in "bc"] == ["wrote b", "wrote c"]
    assert store.kept == ["b", "c"]


def test_those_who_took_over_a_unit_are_still_its_calls_when_the_caps_moved(gate, store, opening):
    runs = []

    def move_once(session, items):
        runs.append(items)
        if len(runs) == 1:
            raise CapsMoved
        return write(session, items)

    gate.queue(move_once, "b")
    opening.go_on()
    assert gate.outcome("b") == "wrote b"
    assert runs == [["b"], ["b"]]


def test_one_given_up_before_it_is_tried_alone_is_not_tried(gate, store):
    runs = []

    def fail_together(session, items):
        runs.append(items)
        if len(items) > 1:
            gate.give_up("b")
            raise ZeroDivisionError
        return write(session, items)

    gate.queue(fail_together, "a", "b", "c")
    gate.open()
    assert [gate.outcome(item) for item in "ac"] == ["wrote a", "wrote c"]
    assert runs == [["a", "b", "c"], ["a"], ["c"]]


def test_one_given_up_while_the_caps_moved_is_left_out(gate):
    runs = []

    def move_once(session, items):
        runs.append(items)
        if len(runs) == 1:
            gate.give_up("a")
            raise CapsMoved
        return items

    gate.queue(move_once, "a", "b")
    gate.open()
    assert gate.outcome("b") == "b"
    assert runs == [["a", "b"], ["b"]]


@pytest.fixture
def committing(gate, store):
    """Holds the commit of the unit after the gate's own."""
    halt = Halt()
    commits = count()
    store.at_commit = lambda: halt() if next(commits) == 1 else None
    yield halt
    halt.go_on()


def test_a_call_given_up_while_its_unit_commits_is_in_doubt_and_may_hold(gate, store, committing):
    gate.queue(write, "a", "b")
    gate.open()
    committing.reached.wait()
    assert_given_up(gate.give_up("a"), in_doubt=True)
    committing.go_on()
    assert gate.outcome("b") == "wrote b"
    assert store.kept == ["a", "b"]


def test_a_commit_that_fails_for_certain_is_made_up_for_without_those_given_up_meanwhile(gate, store, committing):
    store.commit_errors = [lost("full")] * 2  # the gate's own unit takes the first
    gate.queue(write, "a", "b")
    gate.open()
    committing.reached.wait()
    assert_given_up(gate.give_up("a"), in_doubt=True)
    committing.go_on()
    assert gate.outcome("b") == "wrote b"
    assert store.kept == ["b"]


def test_one_given_up_when_it_is_tried_alone_after_a_failed_commit_is_not_in_doubt(gate, store):
    alone = Halt()

    def write_alone(session, items):
        if items == ["a"]:
            alone()
        return write(session, items)

    store.commit_errors = [lost("full")] * 2  # the gate's own unit takes the first
    gate.queue(write_alone, "a", "b")
    gate.open()
    alone.reached.wait()
    assert_given_up(gate.give_up("a"))
    alone.go_on()
    assert gate.outcome("b") == "wrote b"
    assert store.kept == ["b"]


def test_a_call_whose_time_is_over_when_its_commit_gets_the_lock_is_not_committed(gate, store, transactor):
    held = HeldOnce()
    gate.queue(held, "a")
    gate.open()
    held.halt.reached.wait()
    with transactor._lock:
        held.halt.go_on()
        time.sleep(0.02)  # the writer comes as far as the lock; were it slower, nothing would be shown, nor fail
        gate._calls["a"].deadline = time.monotonic()
    assert_given_up(gate.outcome("a"))
    assert store.kept == []


def test_a_commit_in_doubt_is_not_tried_again(gate, store):
    gate.queue(write, "a", "b")
    store.commit_errors = [lost("the gate's own"), lost("connection lost in commit", in_doubt=True)]
    outcomes = gate.release()
    assert [str(outcomes[item]) for item in "ab"] == ["connection lost in commit"] * 2
    assert all(outcomes[item].in_doubt for item in "ab")
    assert store.begun == 2
    assert store.kept == []


def test_a_doubt_of_the_handlers_own_is_not_the_units(gate, store):
    def doubt(session, items):
        if "bad" in items:
            raise lost("the caps may hold it", in_doubt=True)
        return write(session, items)

    gate.queue(doubt, "a", "bad")
    outcomes = gate.release()
    assert str(outcomes["bad"]) == "the caps may hold it"
    assert outcomes["a"] == "wrote a"


def test_a_result_that_comes_at_the_last_moment_is_not_thrown_away(transactor):
    call = Call(write, "a", size=1, now=time.monotonic(), timeout_seconds=0.0)
    call.is_committing = True
    call.settle("wrote a")
    assert transactor._look_after(call) == 0
    assert call.wait(0)
    assert call.result() == "wrote a"


def test_calls_without_end_of_patience_are_served(transactor):
    assert transactor.call(write, "a", timeout_seconds=threading.TIMEOUT_MAX) == "wrote a"
