"""An application in a process of its own, as a worker of the service has its process to itself.

Several in one process would share its caches, its heap and its garbage collector, and each would be timed with what the
others left there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.state.application import application
from benchmarks.state.load import Load, Mode
from benchmarks.state.workload import POLICIES, Traffic, record_consents
from guardrails.web.worker import collect_seldom

__all__ = ["Served", "StoreProcess", "store_process"]


class Served(msgspec.Struct, frozen=True):
    """What the process serves: an application over these stores, and the traffic that it decides.

    `consents`: so many recipients agree to everything first, or four in five of them.
    """

    directory: Path
    database_url: str
    traffic: Traffic
    caps_url: str | None = None
    policies: Path = POLICIES
    consents: int = 0


class StoreProcess:
    """The other end of a process: what it is asked, it answers, one thing at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, mode: Mode, calls: int) -> tuple[float, list[float]]:
        """As `Load.run`, there. Raises what went wrong there."""
        took, times = self._asked(("run", mode, calls))
        return took, times

    def row(self) -> bytes:
        """As many bytes as a decision leaves behind: its answer and its audit entry."""
        return bytes(self._asked(("row",)))

    def wait_until_open(self) -> None:
        """Return once it can be asked. Raises RuntimeError where it can't be opened."""
        self._answer()

    def _asked(self, question: tuple[Any, ...]) -> Any:
        self._connection.send(question)
        return self._answer()

    def _answer(self) -> Any:
        answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def store_process(served: Served) -> Iterator[StoreProcess]:
    """The process, opened and ready. Raises what went wrong there, EOFError where it died."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(there, served), daemon=True)
    process.start()
    there.close()
    try:
        asked = StoreProcess(here)
        asked.wait_until_open()
        yield asked
    finally:
        here.close()  # at which it ends
        process.join()


def _serve(connection: Connection, served: Served) -> None:
    try:
        with application(
            served.directory, served.database_url, caps_url=served.caps_url, policies=served.policies
        ) as opened:
            if served.consents:
                record_consents(opened, served.consents)
            load = Load(opened, served.traffic)
            collect_seldom()  # as a worker does
            connection.send(None)
            while True:
                connection.send(_answer(load, *connection.recv()))
    except EOFError:  # nobody asks any more
        return
    except Exception as error:  # noqa: BLE001 - whatever went wrong is told to whoever asked
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _answer(load: Load, question: str, *arguments: Any) -> object:
    return len(load.row()) if question == "row" else load.run(*arguments)
