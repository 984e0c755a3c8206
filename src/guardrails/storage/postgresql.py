"""PostgreSQL 14 or newer, by psycopg 3: units are serial by one advisory lock, whichever machines they come from.

Everything that a unit needs said is said in its first message, and holds for that transaction only, so that a pooler
between, in its transaction mode too, changes nothing. Statements are prepared at the server once they were executed a
few times, which pgbouncer follows from 1.21 on (`max_prepared_statements`); for poolers that don't, the URL says
`?prepare_threshold=none`. The only importer of psycopg.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from guardrails.errors import SettingsError

__all__ = ["PostgresqlDatabase"]

_LEAST_VERSION = 14
_UNITS_LOCK = int.from_bytes(b"guardrls")
"""What a unit locks from its begin to its end: a number that no other program is likely to lock in this database."""

_IN_LINE_SECONDS = 0.5
"""After so long in line for the lock the server says that it is not to be had yet, and is asked anew: one that is busy
is so told from one that does not answer. It costs the place in line."""

_STATEMENT_SECONDS = 5.0
_SILENT_SECONDS = 5.0
"""How long a statement may take, and a unit be silent between two of them, before the server ends it: so long does a
process that is stuck keep the others waiting, at most. Far above what a unit of a thousand decisions takes, on a
machine with too much to do as well."""

# Where the URL does not say otherwise. A server that is gone without a word is noticed after some ten seconds.
_CONNECT = {
    "application_name": "guardrails",
    "client_encoding": "utf8",
    "connect_timeout": "2",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}

# INVARIANT: the lock is had before anything is read, and READ COMMITTED lets every statement see what was committed
# before it: a snapshot taken earlier, while waiting, would show what the unit before has changed since.
#
# All that units read they read by index. A statement that was planned while the tables were small must go on doing so
# when they no longer are: the server keeps its plan until it next looks at the tables, which may be a minute later.
_BEGIN = """
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT
  set_config('lock_timeout', '{in_line}ms', true),
  set_config('statement_timeout', '{statement}ms', true),
  set_config('idle_in_transaction_session_timeout', '{idle}ms', true),
  set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true),
  set_config('enable_seqscan', 'off', true),
  set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true),
  pg_advisory_xact_lock({key}),
  set_config('lock_timeout', '{lock}ms', true),
  current_setting('transaction_read_only')
"""
_SERVER = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
_ALLOW_TIME = """
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)
"""


class PostgresqlDatabase:
    """The `Backend` of a PostgreSQL database."""

    def __init__(self, url: URL, busy_seconds: float) -> None:
        self.name = _without_secrets(url)
        self._busy_seconds = busy_seconds
        self._busy_at = -inf
        self._begin_statement = _BEGIN.format(
            in_line=_milliseconds(min(busy_seconds, _IN_LINE_SECONDS)),
            lock=_milliseconds(busy_seconds),
            statement=_milliseconds(busy_seconds + _STATEMENT_SECONDS),  # it counts the waiting for the lock
            idle=_milliseconds(_SILENT_SECONDS),
            key=_UNITS_LOCK,
        ).encode()
        self._line = _Line()
        self.engine = self._engine(url)

    @contextmanager
    def turn(self, _interrupted: threading.Event, /) -> Iterator[None]:
        """The server deals out the turns, in order."""
        yield

    def has_moved(self) -> bool:
        """A connection leads to one server for as long as it lives."""
        return False

    def is_gone(self) -> bool:
        """A server makes no database by itself."""
        return False

    def busy_at(self) -> float:
        """When the server last said that the lock is another's."""
        return self._busy_at

    def interrupt(self) -> None:
        """Cut the line to the server, which may not even be able to hear that it should stop."""
        self._line.cut()

    def check(self, connection: Connection, /) -> None:
        """Check version and encoding of the server. Raises SettingsError."""
        version, encoding = connection.exec_driver_sql(_SERVER).one()
        _check_server(self.name, version, encoding)

    def allow_time(self, connection: Connection, /) -> None:
        """Lift the limits of this transaction."""
        connection.exec_driver_sql(_ALLOW_TIME)

    def close(self) -> None:
        """Nothing is held besides the connection."""

    def abandon(self) -> None:
        """In the child of a fork: the connection is the parent's."""
        self._line.leave()

    def _engine(self, url: URL) -> Engine:
        query = _CONNECT | dict(url.query)
        threshold = query.pop("prepare_threshold", None)
        engine = create_engine(
            url.set(drivername="postgresql+psycopg", query=query),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            use_native_hstore=False,  # it is not used, and asking for it costs a round trip
            connect_args={} if threshold is None else {"prepare_threshold": _threshold(threshold)},
        )
        _keep_off_stderr("psycopg")
        # First of all listeners: what SQLAlchemy asks of a first connection can be broken off, too.
        event.listen(engine, "connect", self._configure, insert=True)
        event.listen(engine, "close", self._forget)
        event.listen(engine, "begin", self._begin)
        return engine

    def _configure(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever the driver gives
        connection.autocommit = True  # the driver begins nothing by itself: `_begin` does
        self._line.lead_to(connection.fileno())

    def _forget(self, _connection: object, _record: object) -> None:
        self._line.close()

    def _begin(self, connection: Connection) -> None:
        raw = _raw(connection)
        try:
            *_, read_only = self._locked(raw)
            if read_only == "on":
                raise psycopg.errors.ReadOnlySqlTransaction("it is read-only: a standby, or set so")
        except psycopg.Error as error:
            is_lost = raw.closed
            connection.invalidate()
            raise OperationalError("BEGIN", None, error, connection_invalidated=is_lost) from error

    def _locked(self, raw: Any) -> Any:  # noqa: ANN401 - whatever the driver gives
        """Begin, and have the lock; returns what the last statement gives."""
        until = time.monotonic() + self._busy_seconds
        while True:
            try:
                cursor = raw.execute(self._begin_statement, prepare=False)
            except psycopg.errors.LockNotAvailable:
                self._busy_at = time.monotonic()
                if self._busy_at >= until:
                    raise
                raw.execute("ROLLBACK", prepare=False)
            else:
                cursor.nextset()
                return cursor.fetchone()


class _Line:
    """The socket of a connection, by a number of its own: it can be cut while the driver waits on it, or closes it."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._number: int | None = None

    def lead_to(self, number: int) -> None:
        with self._changing:
            self._close()
            self._number = os.dup(number)

    def cut(self) -> None:
        with self._changing, suppress(OSError):  # it may be cut from the other end already
            if self._number is not None:
                line = socket.socket(fileno=self._number)
                try:
                    line.shutdown(socket.SHUT_RDWR)
                finally:
                    line.detach()

    def close(self) -> None:
        with self._changing:
            self._close()

    def leave(self) -> None:
        """In the child of a fork, where the lock may be held by a thread that did not come along."""
        self._changing = threading.Lock()
        self.close()

    def _close(self) -> None:
        if self._number is not None:
            os.close(self._number)
            self._number = None


def _keep_off_stderr(logger_name: str) -> None:
    """What the driver warns of, where nobody asked for its log: a lost connection, which is raised as an error too."""
    logger = logging.getLogger(logger_name)
    if not logger.hasHandlers():
        logger.addHandler(logging.NullHandler())


def _threshold(text: str | tuple[str, ...]) -> int | None:
    """After how many executions a statement is prepared; None: never."""
    if text == "none":
        return None
    if isinstance(text, str) and text.isdecimal():
        return int(text)
    raise SettingsError(f"`prepare_threshold` in the database URL is a number or `none`, not `{text}`")


def _check_server(name: str, version: int, encoding: str) -> None:
    if version < _LEAST_VERSION * 10_000:
        raise SettingsError(f"`{name}` is PostgreSQL {version // 10_000}; {_LEAST_VERSION} or newer is needed")
    if encoding != "UTF8":
        raise SettingsError(f"the encoding of `{name}` is {encoding}; it must be UTF8, to hold every id")


def _raw(connection: Connection) -> Any:  # noqa: ANN401 - SQLAlchemy has no type for a driver's connection
    return connection.connection.dbapi_connection


def _without_secrets(url: URL) -> str:
    """The URL without its password and its query, in which one may stand as well."""
    return url.set(drivername="postgresql", query={}).render_as_string()


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # 0 would mean: for ever
