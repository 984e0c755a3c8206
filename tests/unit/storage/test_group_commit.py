"""Group commit over a unit that is a plain list: what it keeps, whom it fails, and that it never loses a call."""

from __future__ import annotations

import os
import signal
import threading
import weakref

import pytest

from guardrails.errors import CandidateError, CapsMoved, DependencyError
from guardrails.storage.group_commit import GroupCommit, _start_afresh
from list_store import lost, write


def write_too(session, items):
    session.append(tuple(items))
    return [f"too {item}" for item in items]


def refuse_poison(session, items):
    session.extend(items)
    if "poison" in items:
        raise ZeroDivisionError
    return [f"wrote {item}" for item in items]


def test_no_thread_is_started_before_the_first_call(store):
    before = threading.active_count()
    transactor = GroupCommit(store.unit)
    assert threading.active_count() == before
    transactor.close()
    assert store.begun == 0


def test_calls_that_pile_up_share_units_in_order_of_arrival(gate, store):
    gate.queue(write, *range(10))
    assert gate.release() == {number: f"wrote {number}" for number in range(10)}
    assert store.units == [[], [0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]


def test_runs_of_equal_handlers_are_called_once_each(gate, store):
    gate.queue(write_too, 1, 2)
    gate.queue(write, 3)
    gate.queue(write_too, 4)
    assert gate.release() == {1: "too 1", 2: "too 2", 3: "wrote 3", 4: "too 4"}
    assert store.units[1:] == [[(1, 2), 3, (4,)]]


def test_an_item_that_fails_does_not_fail_its_neighbours(gate, store):
    gate.queue(refuse_poison, "a", "poison", "b")
    gate.queue(write, "c")
    outcomes = gate.release()
    assert isinstance(outcomes.pop("poison"), ZeroDivisionError)
    assert outcomes == {"a": "wrote a", "b": "wrote b", "c": "wrote c"}
    assert store.kept == ["a", "b", "c"]


def test_a_commit_that_fails_once_is_made_up_for(gate, store):
    gate.queue(write, "a", "b")
    store.commit_errors = [lost("full")] * 2  # the gate's own unit takes the first
    outcomes = gate.release()
    assert outcomes == {"a": "wrote a", "b": "wrote b"}
    assert store.kept == ["a", "b"]


def test_a_commit_that_fails_alone_is_the_callers_error(transactor, store):
    store.commit_errors = [lost("full")]
    with pytest.raises(DependencyError, match="full"):
        transactor.call(write, "a")
    assert store.kept == []
    assert transactor.call(write, "b") == "wrote b"


def test_where_no_unit_opens_all_fail_together_at_once(gate, store):
    gate.queue(write, "a", "b", "c")
    store.begin_errors = [lost("locked")]
    outcomes = gate.release()
    assert [str(outcomes[item]) for item in "abc"] == ["locked"] * 3
    assert store.begun == 2


def test_where_no_unit_opens_any_more_the_rest_wait_for_it_only_once(gate, store):
    def lose_the_database(session, items):
        if len(items) > 1:
            store.begin_errors = [lost("locked") for _ in range(2)]
            raise ZeroDivisionError
        return items

    gate.queue(lose_the_database, "a", "b", "c", "d")
    outcomes = gate.release()
    assert [str(outcomes[item]) for item in "abcd"] == ["locked"] * 4
    assert store.begun == 4


def test_where_the_last_of_a_failed_unit_finds_no_database_only_it_fails(gate, store):
    def lose_the_database(session, items):
        if len(items) > 1:
            raise ZeroDivisionError
        store.begin_errors = [lost("locked")]
        return items

    gate.queue(lose_the_database, "a", "b")
    outcomes = gate.release()
    assert outcomes["a"] == "a"
    assert str(outcomes["b"]) == "locked"


def test_an_exception_as_a_result_is_raised_at_its_caller_alone(gate, store):
    def judge(session, items):
        session.extend(items)
        return [CandidateError("bad") if item == "bad" else item for item in items]

    gate.queue(judge, "a", "bad", "b")
    outcomes = gate.release()
    assert isinstance(outcomes.pop("bad"), CandidateError)
    assert outcomes == {"a": "a", "b": "b"}
    assert store.units[1:] == [["a", "bad", "b"]]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, MemoryError])
def test_nothing_that_a_handler_raises_stops_the_writer(transactor, error):
    def fail(session, items):
        raise error

    with pytest.raises(error):
        transactor.call(fail, 1)
    assert transactor.call(write, 2) == "wrote 2"


def test_too_many_waiting_calls_are_refused(gate, transactor):
    gate.queue(write, *range(20))
    with pytest.raises(DependencyError, match="20 calls wait") as caught:
        transactor.call(write, 20)
    assert caught.value.dependency == "database"
    assert len(gate.release()) == 20


def test_a_small_call_does_not_wait_behind_big_ones_in_line(gate, store):
    gate.queue(write, "big 1", "big 2", "big 3", size=20)
    gate.queue(write, "small")
    gate.release()
    assert store.units == [[], ["small"], ["big 1"], ["big 2"], ["big 3"]]


def test_a_unit_takes_as_much_work_as_fits(gate, store):
    gate.queue(write, *range(5), size=3)
    gate.release()
    assert store.units == [[], [0, 1], [2, 3], [4]]


def test_where_the_caps_moved_the_unit_is_run_again_as_a_whole(gate, store):
    runs = []

    def take(session, items):
        runs.append(items)
        session.extend(items)
        if len(runs) < 5:
            raise CapsMoved
        return items

    gate.queue(take, "a", "b")
    assert gate.release() == {"a": "a", "b": "b"}
    assert runs == [["a", "b"]] * 5
    assert store.kept == ["a", "b"]


def test_caps_that_keep_moving_are_out_of_reach(gate, store, transactor):
    runs = []

    def take(session, items):
        runs.append(items)
        session.extend(items)
        raise CapsMoved

    gate.queue(take, "a", "b")
    outcomes = gate.release()
    assert [(str(error), error.dependency) for error in outcomes.values()] == [
        ("the caps moved 5 times while they were being taken", "caps")
    ] * 2
    assert runs == [["a", "b"]] * 5
    assert store.kept == []
    assert transactor.call(write, "c") == "wrote c"


def test_close_finishes_what_was_accepted_and_refuses_the_rest(gate, transactor, store):
    gate.queue(write, *range(10))
    closing = threading.Thread(target=transactor.close)
    closing.start()
    while not transactor._closed:
        pass
    with pytest.raises(DependencyError, match="closed"):
        transactor.call(write, 10)
    assert store.closed == 0
    assert gate.release() == {number: f"wrote {number}" for number in range(10)}
    closing.join()
    assert store.kept == list(range(10))
    assert store.closed == 1


def test_no_wakeup_is_lost(store):
    transactor = GroupCommit(store.unit, unit_size_max=3)
    results: list[str] = []

    def work(thread: int) -> None:
        results.extend(transactor.call(write, (thread, number)) for number in range(300))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transactor.close()
    assert sorted(store.kept) == [(thread, number) for thread in range(24) for number in range(300)]
    assert len(set(results)) == 24 * 300
    assert max(len(unit) for unit in store.units) <= 3


@pytest.fixture
def interrupted():
    """Set by the first SIGINT, which raises KeyboardInterrupt; later ones do nothing."""
    came = threading.Event()

    def once(_number, _frame):
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, once)
    yield came
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_caller_leaves_the_writer_at_work(store, interrupted):
    transactor = GroupCommit(store.unit)
    entered, go_on = threading.Event(), threading.Event()

    def interrupt_caller(session, items):
        session.extend(items)
        while not interrupted.wait(0.01):  # one that comes just before the caller falls asleep does not wake it
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        entered.set()
        go_on.wait()
        return items

    with pytest.raises(KeyboardInterrupt):
        transactor.call(interrupt_caller, 1)
    entered.wait()
    go_on.set()
    assert transactor.call(write, 2) == "wrote 2"
    transactor.close()
    assert store.kept == [1, 2]


def test_a_writer_that_never_came_to_life_is_replaced(transactor):
    transactor._writer = threading.Thread(target=lambda: None)  # as an interrupt within `start` leaves it
    assert transactor.call(write, 1) == "wrote 1"


def test_a_writer_that_was_replaced_before_it_came_to_life_ends(transactor):
    late = threading.Thread(target=transactor._write, daemon=True)
    assert transactor.call(write, 1) == "wrote 1"
    late.start()
    late.join(10)
    assert not late.is_alive()
    assert transactor.call(write, 2) == "wrote 2"


def test_where_no_thread_can_be_started_the_database_is_out_of_reach(transactor, monkeypatch):
    def fail(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(DependencyError, match="no thread can be started") as caught:
            transactor.call(write, 1)
    assert caught.value.dependency == "database"
    assert transactor.call(write, 2) == "wrote 2"


def test_the_unit_of_a_writer_that_is_gone_hangs_no_more(transactor):
    transactor._watch.begin(0.0, [])
    assert transactor.call(write, 1, timeout_seconds=5) == "wrote 1"


def exit_code_of_child(work) -> int:
    """Fork, do `work` in the child; 0 where it gives True."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_starts_afresh_and_leaves_the_parents_calls_alone(gate, transactor, store):
    gate.queue(write, "parent's")

    def in_child() -> bool:
        return (
            transactor.call(write, "child's") == "wrote child's"
            and store.units == [["child's"]]
            and store.abandoned == 1
        )

    assert exit_code_of_child(in_child) == 0
    assert gate.release() == {"parent's": "wrote parent's"}
    assert store.kept == ["parent's"]
    assert store.abandoned == 0


def test_what_a_fork_leaves_behind_is_left_by_those_that_live(store):
    transactor = GroupCommit(store.unit, abandon_unit=store.abandon)
    _start_afresh(weakref.ref(transactor))
    assert store.abandoned == 1
    gone = weakref.ref(transactor)
    del transactor
    _start_afresh(gone)
    assert store.abandoned == 1
