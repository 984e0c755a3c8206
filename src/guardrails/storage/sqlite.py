"""SQLite: one file with a write-ahead log, written by one process at a time.

Which process is next is not left to SQLite, whose waiting sleeps ever longer and lets whoever comes first go first, so
that the one that has just written goes again while others starve: `turns` queues them up.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from guardrails.errors import SettingsError
from guardrails.storage.turns import Turns

__all__ = ["SqliteFile"]

_PRAGMAS = (
    "journal_mode = WAL",  # once for all; waits until nobody reads the file the old way
    "synchronous = FULL",  # a commit that returned outlives a power cut
    "foreign_keys = ON",
    "cache_size = -16384",  # KiB: the inner pages of the indexes of a million recipients
    "wal_autocheckpoint = 4000",  # pages, 16 MB: the same ones are written again and again, and move to the file once
)
_LEAST_VERSION = (3, 37, 0)  # strict tables
_PAUSE_SECONDS = 0.001


class SqliteFile:
    """The `Backend` of a SQLite file."""

    def __init__(self, url: URL, busy_seconds: float) -> None:
        """Raises SettingsError where the library is too old."""
        _check_library(sqlite3.sqlite_version_info)
        self.name = url.render_as_string()
        self._path = Path(url.database or "").absolute()
        self._shared_memory = self._path.with_name(self._path.name + "-shm")
        self._busy_seconds = busy_seconds
        self._deadline = 0.0
        self._busy_at = -inf
        self._interrupted = threading.Event()
        self._turns = Turns(self._path.with_name(self._path.name + "-turns"))
        self._open: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self.engine = self._engine(url.set(database=str(self._path)))

    @contextmanager
    def turn(self, interrupted: threading.Event, /) -> Iterator[None]:
        """Wait for this process's turn. Whoever never gets it goes on all the same: the file has a lock of its own."""
        self._interrupted = interrupted
        self._deadline = time.monotonic() + self._busy_seconds
        with self._turns.turn(self._is_over):
            yield

    def has_moved(self) -> bool:
        """Whether the file was replaced or removed: what is written to the one that is open would be lost."""
        return self._opened is not None and self._opened != self._identity()

    def is_gone(self) -> bool:
        """Whether there is no file, or none that can be seen: SQLite would make one."""
        return self._identity() is None

    def busy_at(self) -> float:
        """When another process last was found to hold the file."""
        return self._busy_at

    def interrupt(self) -> None:
        """Break off the statement that runs."""
        connection = self._open
        if connection is not None:
            with suppress(sqlite3.Error):  # it may just have been closed
                connection.interrupt()

    def check(self, _connection: Connection, /) -> None:
        """Nothing is required of the file but that it opens."""

    def allow_time(self, _connection: Connection, /) -> None:
        """A transaction may take as long as it takes."""

    def close(self) -> None:
        """Let go of the file of turns."""
        self._turns.close()

    def abandon(self) -> None:
        """In the child of a fork: the connection is the parent's."""
        self._open = self._opened = None
        self._turns.close()

    def _engine(self, url: URL) -> Engine:
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            connect_args={"check_same_thread": False, "timeout": 0},  # the waiting is done here
        )
        event.listen(engine, "connect", self._configure)
        event.listen(engine, "begin", self._begin)
        return engine

    def _configure(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever the driver gives
        self._check_writable()
        connection.isolation_level = None  # the driver begins nothing by itself: `_begin` does
        for pragma in _PRAGMAS:
            self._insist(connection, f"PRAGMA {pragma}")
        self._open = connection
        self._opened = self._identity()

    def _begin(self, connection: Connection) -> None:
        # INVARIANT: the write lock is taken before anything is read, so units are serial across processes.
        try:
            self._check_writable()
            was_free = self._insist(connection.connection.dbapi_connection, "BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OperationalError("BEGIN IMMEDIATE", None, error) from error
        if was_free:
            self._turns.found_free()

    def _check_writable(self) -> None:
        """Say what SQLite can't: it maps `-shm`, and to write there is a SIGBUS once the disk has become read-only."""
        if not os.access(self._shared_memory, os.W_OK) and os.access(self._shared_memory, os.F_OK):
            raise sqlite3.OperationalError("it is read-only")

    def _insist(self, connection: Any, statement: str) -> bool:  # noqa: ANN401 - whatever the driver gives
        """Execute `statement` again and again while another process holds the file, until it is too late.

        Returns whether none did.
        """
        was_free = True
        while True:
            try:
                connection.execute(statement)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or self._is_over():
                    raise
                was_free = False
                self._busy_at = time.monotonic()
                time.sleep(_PAUSE_SECONDS)
            else:
                return was_free

    def _is_over(self) -> bool:
        return self._interrupted.is_set() or time.monotonic() > self._deadline

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _check_library(version: tuple[int, int, int]) -> None:
    if version < _LEAST_VERSION:
        found, least = (".".join(map(str, each)) for each in (version, _LEAST_VERSION))
        raise SettingsError(f"this Python carries SQLite {found}; {least} or newer is needed")
