"""A store that is a list with transactions, and what holds, hangs and gives up calls: for tests of the transactor.

Nothing here looks at the time: a call is given up by setting its deadline to long ago.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from guardrails.errors import DependencyError
from guardrails.storage.group_commit import GroupCommit

PAUSE_SECONDS = 0.001


class ListStore:
    """`begin_errors` and `commit_errors` are raised one by one while they last, after `at_begin` and `at_commit`."""

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.units: list[list[object]] = []
        self.begun = 0
        self.closed = 0
        self.abandoned = 0
        self.interrupted = 0
        self.begin_errors: list[Exception] = []
        self.commit_errors: list[Exception] = []
        self.at_begin: Callable[[], None] = lambda: None
        self.at_commit: Callable[[], None] = lambda: None

    @contextmanager
    def unit(self):
        self.begun += 1
        self.at_begin()
        if self.begin_errors:
            raise self.begin_errors.pop(0)
        written: list[object] = []
        yield written
        self.at_commit()
        if self.commit_errors:
            raise self.commit_errors.pop(0)
        self.kept.extend(written)
        self.units.append(written)

    def close(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned += 1

    def interrupt(self) -> None:
        self.interrupted += 1

    def transactor(self, **options: Any) -> GroupCommit:
        return GroupCommit(
            self.unit,
            **(
                {"close_unit": self.close, "abandon_unit": self.abandon, "interrupt_unit": self.interrupt}
                | {"unit_size_max": 8, "waiting_max": 20, "hang_seconds": 0.02}
                | options
            ),
        )


class Halt:
    """Holds whoever calls it, once, until it may go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._go_on = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        self._go_on.wait()

    def go_on(self) -> None:
        self._go_on.set()


class Hang:
    """A handler that hangs until it is interrupted, or the store is well again; it writes where it is well."""

    def __init__(self, *, hears_interrupts: bool = True) -> None:
        self.reached = threading.Event()
        self.interrupts = 0
        self._hears_interrupts = hears_interrupts
        self._is_well = False
        self._woken = threading.Event()

    def __call__(self, session: list[object], items: list[object]) -> list[str]:
        self.reached.set()
        self._woken.wait()
        if not self._is_well:
            self._woken.clear()
            raise DependencyError("the line was cut", dependency="database")
        return write(session, items)

    def interrupt(self) -> None:
        self.interrupts += 1
        if self._hears_interrupts:
            self._woken.set()

    def recover(self) -> None:
        self._is_well = True
        self._woken.set()


class Callers:
    """Threads that call, one an item; their outcomes by item."""

    def __init__(self, transactor: GroupCommit) -> None:
        self._transactor = transactor
        self._calls: dict[object, Any] = {}
        self._threads: dict[object, threading.Thread] = {}
        self._outcomes: dict[object, object] = {}

    def start(self, handler: Any, *items: object, **options: Any) -> None:
        """Call for each item, without waiting for anything."""
        for item in items:
            self._threads[item] = threading.Thread(target=self._call, args=(handler, item), kwargs=options)
            self._threads[item].start()

    def queue(self, handler: Any, *items: object, **options: Any) -> None:
        """Queue one call an item, in this order, behind a unit that is held."""
        for item in items:
            self.start(handler, item, **options)
            self._calls[item] = self._new_call()

    def give_up(self, item: object) -> object:
        """Let the time of a queued call be over; returns what its caller was told."""
        self._calls[item].deadline = 0.0
        return self.outcome(item)

    def outcome(self, item: object) -> object:
        """The result or the error of one call, once it has one."""
        self._threads[item].join()
        return self._outcomes[item]

    def outcomes(self) -> dict[object, object]:
        """The result or the error of each call, once all have one."""
        return {item: self.outcome(item) for item in self._threads}

    def _new_call(self) -> Any:
        known = {id(call) for call in self._calls.values()}
        while True:
            for call in waiting(self._transactor):
                if id(call) not in known:
                    return call
            time.sleep(PAUSE_SECONDS)

    def _call(self, handler: Any, item: object, **options: Any) -> None:
        try:
            self._outcomes[item] = self._transactor.call(handler, item, **options)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self._outcomes[item] = error


class Gate(Callers):
    """Holds the writer inside a unit, so that the calls of a test pile up behind it in a known order."""

    def __init__(self, transactor: GroupCommit) -> None:
        super().__init__(transactor)
        self._halt = Halt()

    def hold(self) -> None:
        self.start(self._block, "gate")
        self._halt.reached.wait()

    def open(self) -> None:
        self._halt.go_on()

    def release(self) -> dict[object, object]:
        """Let the writer go on; returns each item's result or error, once all have one."""
        self.open()
        return {item: outcome for item, outcome in self.outcomes().items() if item != "gate"}

    def _block(self, session: object, items: list[object]) -> list[object]:
        self._halt()
        return items


def waiting(transactor: GroupCommit) -> list[Any]:
    """The calls that wait, the small ones first."""
    with transactor._lock:
        return [*transactor._waiting._small, *transactor._waiting._big]


def wait_until_idle(transactor: GroupCommit) -> None:
    """Wait until no unit runs: an interrupted one refuses others until it has ended."""
    while transactor._watch._calls:
        time.sleep(PAUSE_SECONDS)


def write(session, items):
    session.extend(items)
    return [f"wrote {item}" for item in items]


def lost(text: str, **fields: Any) -> DependencyError:
    return DependencyError(text, dependency="database", **fields)
