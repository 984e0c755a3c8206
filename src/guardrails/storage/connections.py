"""The database behind a URL: connects, prepares the schema, and opens one durable unit of work after the other.

After any error of the database the connection is thrown away and the schema looked at anew, so that the service is
itself again as soon as the cause is gone. What is SQLite's own about connecting stands in `_sqlite_engine`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import Pool, QueuePool

from guardrails.errors import DependencyError, SettingsError
from guardrails.storage.migrate import migrate

__all__ = ["BUSY_SECONDS", "Database"]

BUSY_SECONDS = 5.0
"""How long a unit waits for another process that holds the database."""

_WAL_PAUSE_SECONDS = 0.01
_SQLITE_LEAST = (3, 37, 0)  # strict tables


class Database:
    """One database, reached through one connection: units of work run one after the other."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Nothing is opened yet. Raises SettingsError where `url` names no database that can be used."""
        self.engine = _sqlite_engine(_checked(url), busy_seconds)
        self._prepared = False
        self._abandoned: list[Pool] = []

    @contextmanager
    def unit(self) -> Iterator[Connection]:
        """One transaction, alone in the database from its begin on, durable when the block is left.

        Raises DependencyError where the database does not answer; nothing of the unit is kept then.
        """
        try:
            if not self._prepared:
                self._prepare()
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._prepared = False
            self.engine.dispose()
            cause = getattr(error, "orig", None) or error
            raise DependencyError(f"the database `{self.engine.url}` failed: {cause}", dependency="database") from error

    def close(self) -> None:
        """Close the connection; a later unit opens a new one."""
        self.engine.dispose()

    def abandon(self) -> None:
        """Forget the connection without touching it: it belongs to the process that this one was forked from."""
        self._abandoned.append(self.engine.pool)  # kept, so that the connection is not even closed by its destructor
        self.engine.dispose(close=False)

    def _prepare(self) -> None:
        with self.engine.begin() as connection:
            migrate(connection)
        self._prepared = True


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(f"`{url}` is not a database URL; use `memory:` or `sqlite:///path`") from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise SettingsError(
            f"`{parsed.drivername}` is not a database this release knows; use `memory:` or `sqlite:///path`"
        )
    if parsed.database in {None, "", ":memory:"}:
        raise SettingsError(f"`{url}` names no file; use `memory:` or `sqlite:///path`")
    return parsed


def _sqlite_engine(url: URL, busy_seconds: float) -> Engine:
    _check_library(sqlite3.sqlite_version_info)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": busy_seconds},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever the driver gives
        connection.isolation_level = None  # the driver begins nothing by itself: `begin` below does
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # a commit that returned outlives a power cut
        _switch_to_wal(connection, busy_seconds)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # INVARIANT: the write lock is taken before anything is read, so units are serial across processes.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _check_library(version: tuple[int, int, int]) -> None:
    if version < _SQLITE_LEAST:
        found, least = (".".join(map(str, each)) for each in (version, _SQLITE_LEAST))
        raise SettingsError(f"this Python carries SQLite {found}; {least} or newer is needed")


def _switch_to_wal(connection: Any, busy_seconds: float) -> None:  # noqa: ANN401 - whatever the driver gives
    """Switch the file to a write-ahead log, once for all; SQLite does not wait for others here by itself."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except connection.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return
