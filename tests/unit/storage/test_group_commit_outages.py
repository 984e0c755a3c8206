"""A store that hangs or can't be opened: who waits, who is refused at once, and that it is over with its cause."""

from __future__ import annotations

import threading

import pytest

from guardrails.errors import DependencyError
from list_store import PAUSE_SECONDS, Callers, Halt, Hang, lost, write

NOT_FOR_LONG = 0.005
FOR_EVER = 100.0
"""Longer than a test may take: a call with such patience that raises was refused."""


@pytest.fixture
def hang():
    hang = Hang()
    yield hang
    hang.recover()


@pytest.fixture
def deaf_hang():
    """One that no interrupt ends, as of a disk that does not answer."""
    hang = Hang(hears_interrupts=False)
    yield hang
    hang.recover()


def hung(store, hang, **options):
    """A transactor whose unit hangs, and whose call was given up."""
    transactor = store.transactor(interrupt_unit=hang.interrupt, **options)
    with pytest.raises(DependencyError, match="did not answer"):
        transactor.call(hang, "first", timeout_seconds=0.05)
    return transactor


def call_until_refused(transactor, why: str) -> None:
    """Call again and again, with little patience, until calls are refused."""
    while True:
        with pytest.raises(DependencyError) as caught:
            transactor.call(write, "refused", timeout_seconds=NOT_FOR_LONG)
        if str(caught.value) == why:
            return


def test_the_first_call_after_the_store_recovered_works(store, hang):
    transactor = hung(store, hang)
    assert transactor.call(write, "second", timeout_seconds=FOR_EVER) == "wrote second"
    assert hang.interrupts == 1
    assert store.kept == ["second"]
    transactor.close()


def test_where_nobody_else_comes_one_that_waits_in_line_has_the_unit_interrupted(store, hang):
    transactor = store.transactor(interrupt_unit=hang.interrupt)
    callers = Callers(transactor)
    callers.start(hang, "first", timeout_seconds=0.05)
    hang.reached.wait()
    callers.start(write, "second")
    assert callers.outcomes()["second"] == "wrote second"
    assert store.kept == ["second"]
    transactor.close()


def test_a_unit_that_hangs_is_not_interrupted_while_one_of_its_calls_waits(store, hang):
    transactor = store.transactor(interrupt_unit=hang.interrupt)
    callers = Callers(transactor)
    callers.start(hang, "patient")
    hang.reached.wait()
    call_until_refused(transactor, "the database does not answer")
    callers.queue(write, "as patient")
    assert hang.interrupts == 0
    hang.recover()
    assert callers.outcomes() == {"patient": "wrote patient", "as patient": "wrote as patient"}
    transactor.close()


def test_where_an_interrupt_does_not_help_one_call_waits_and_the_others_are_refused_at_once(store, deaf_hang):
    transactor = hung(store, deaf_hang)
    callers = Callers(transactor)
    callers.queue(write, "next to try")
    for _ in range(3):
        with pytest.raises(DependencyError, match=r"^the database does not answer$") as caught:
            transactor.call(write, "refused", timeout_seconds=FOR_EVER)
        assert (caught.value.dependency, caught.value.in_doubt) == ("database", False)
    deaf_hang.recover()
    assert callers.outcomes() == {"next to try": "wrote next to try"}
    assert store.kept == ["next to try"]
    transactor.close()


def test_a_unit_that_hangs_on_is_interrupted_again(store, deaf_hang):
    transactor = hung(store, deaf_hang)
    while deaf_hang.interrupts < 3:
        with pytest.raises(DependencyError):
            transactor.call(write, "refused", timeout_seconds=PAUSE_SECONDS)
    deaf_hang.recover()
    transactor.close()


def test_the_calls_of_an_interrupted_unit_are_not_tried_one_by_one(store, hang):
    """Each would hang in turn."""
    transactor = store.transactor(interrupt_unit=hang.interrupt)
    opening = store.at_begin = Halt()
    store.begin_errors = [lost("no route")]
    callers = Callers(transactor)
    callers.start(write, "makes it suspect")
    opening.reached.wait()
    callers.queue(hang, "a", "b")
    opening.go_on()
    assert [str(error) for error in callers.outcomes().values()] == ["no route", "the line was cut", "the line was cut"]
    assert store.begun == 2
    transactor.close()


def test_while_the_store_is_suspect_one_unit_tries_it_and_other_calls_are_refused_at_once(store):
    transactor = store.transactor(hang_seconds=FOR_EVER)
    store.begin_errors = [lost("no route")]
    with pytest.raises(DependencyError, match="no route"):
        transactor.call(write, "a")
    opening = store.at_begin = Halt()
    callers = Callers(transactor)
    callers.start(write, "b")
    opening.reached.wait()
    with pytest.raises(DependencyError, match=r"^the database does not answer$"):
        transactor.call(write, "c", timeout_seconds=FOR_EVER)
    opening.go_on()
    assert callers.outcomes() == {"b": "wrote b"}

    opening = store.at_begin = Halt()  # it is well again: what comes meanwhile waits
    callers = Callers(transactor)
    callers.start(write, "d")
    opening.reached.wait()
    callers.queue(write, "e")
    opening.go_on()
    assert callers.outcomes() == {"d": "wrote d", "e": "wrote e"}
    transactor.close()


def test_an_error_of_a_handler_does_not_make_the_store_suspect(store, transactor):
    def fail(session, items):
        raise lost("no such table")

    with pytest.raises(DependencyError, match="no such table"):
        transactor.call(fail, "a")
    opening = store.at_begin = Halt()
    callers = Callers(transactor)
    callers.start(write, "b")
    opening.reached.wait()
    callers.queue(write, "c")
    opening.go_on()
    assert callers.outcomes() == {"b": "wrote b", "c": "wrote c"}


def test_close_interrupts_a_unit_that_hangs(store, hang):
    transactor = hung(store, hang)
    transactor.close()
    assert hang.interrupts == 1
    assert (store.kept, store.closed) == ([], 1)
    assert not transactor._writer.is_alive()


def test_close_leaves_behind_what_no_interrupt_ends(store, deaf_hang):
    transactor = hung(store, deaf_hang)
    transactor.close()
    assert deaf_hang.interrupts == 2
    assert store.closed == 0  # nothing is closed under the writer's feet
    assert transactor._writer.is_alive()
    deaf_hang.recover()
    transactor._writer.join()
    assert (store.kept, store.closed) == ([], 1)


def test_close_waits_for_a_unit_that_is_waited_for(store, hang):
    transactor = store.transactor(interrupt_unit=hang.interrupt)
    callers = Callers(transactor)
    callers.start(hang, "patient")
    hang.reached.wait()
    closing = threading.Thread(target=transactor.close)
    closing.start()
    call_until_refused(transactor, "the stores are closed")
    hang.recover()
    closing.join()
    assert callers.outcomes() == {"patient": "wrote patient"}
    assert hang.interrupts == 0
