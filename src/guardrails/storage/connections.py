"""The database behind a URL: connects, prepares the schema, and opens one durable unit of work after the other.

    sqlite:///path                          a SQLite file, made where it is not there      (`sqlite`)
    postgresql://user:password@host/name    a PostgreSQL database; also `postgres://`      (`postgresql`)

After any error of the database the connection is thrown away and the schema looked at anew, so that the service is
itself again as soon as the cause is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import Pool

from guardrails.errors import DependencyError, SettingsError
from guardrails.storage.migrate import is_current, migrate
from guardrails.storage.sqlite import SqliteFile

__all__ = ["BUSY_SECONDS", "Database"]

BUSY_SECONDS = 5.0
"""How long a unit waits for another process that holds the database."""

_KNOWN = "use `memory:`, `sqlite:///path` or `postgresql://user@host/database`"
_POSTGRESQL = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})


class Backend(Protocol):
    """What one kind of database does in its own way."""

    @property
    def name(self) -> str:
        """Which database it is, for messages; holds no password."""

    @property
    def engine(self) -> Engine:
        """Connects when first used; its transactions are alone in the database from their begin on."""

    def turn(self, is_interrupted: threading.Event, /) -> AbstractContextManager[None]:
        """Held around a unit: waits until nobody else, in other processes too, has it; not longer than is sensible."""

    def has_moved(self) -> bool:
        """Whether the connection leads to something else than the name does now."""

    def is_gone(self) -> bool:
        """Whether nothing is there any more, so that connecting would make a new, empty database."""

    def busy_at(self) -> float:
        """When it last said that others are ahead of the unit (monotonic); -inf where it never did."""

    def interrupt(self) -> None:
        """From another thread: break off what the connection waits for. Never raises."""

    def check(self, connection: Connection, /) -> None:
        """Check what is required of the database. Raises SettingsError."""

    def allow_time(self, connection: Connection, /) -> None:
        """Let the transaction that runs take as long as it takes: it migrates."""

    def close(self) -> None:
        """Let go of what is held besides the connection; it is had again when next needed."""

    def abandon(self) -> None:
        """In the child of a fork: leave what is the parent's as it is."""


class Database:
    """One database, reached through one connection: units of work run one after the other."""

    def __init__(
        self,
        url: str,
        *,
        busy_seconds: float = BUSY_SECONDS,
        on_old_schema: Callable[[Connection], None] = migrate,
    ) -> None:
        """Nothing is opened yet. Raises SettingsError where `url` names no database that can be used."""
        self._backend = _backend(url, busy_seconds)
        self._on_old_schema = on_old_schema
        self.engine = self._backend.engine
        self._prepared = False
        self._was_fit = False
        self._is_migrating = False
        self._interrupted = threading.Event()
        self._abandoned: list[Pool] = []

    @contextmanager
    def unit(self) -> Iterator[Connection]:
        """One transaction, alone in the database from its begin on, durable when the block is left.

        Raises DependencyError where the database does not answer; nothing of the unit is kept then, but for one whose
        commit was under way.
        """
        if self._interrupted.is_set() or self._backend.has_moved():
            self._disconnect()
        if self._was_fit and self._backend.is_gone():  # an empty one would say that nothing was ever sent
            raise DependencyError(f"the database `{self._backend.name}` is gone", dependency="database")
        self._interrupted.clear()
        is_committing = False
        try:
            with self._backend.turn(self._interrupted), ExitStack() as transaction:
                connection = self._begin(transaction)
                self._check_interrupted()  # while it connected, where nothing else breaks it off
                yield connection
                self._check_interrupted()
                is_committing = True
        except SQLAlchemyError as error:
            self._disconnect()
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            # Where the line was lost, nobody knows whether the server was told to commit.
            in_doubt = is_committing and isinstance(error, DBAPIError) and error.connection_invalidated
            raise DependencyError(
                f"the database `{self._backend.name}` failed: {cause}", dependency="database", in_doubt=in_doubt
            ) from error

    def busy_at(self) -> float:
        """When the database last said that others are ahead of the unit (monotonic); -inf where it never did."""
        return self._backend.busy_at()

    def interrupt(self) -> None:
        """From another thread, at any time: break off what the unit that runs waits for, so that it fails.

        A connection that is just being made is waited for, at most as long as that may take, and a migration to its
        end: it would only begin anew. Where no unit runs, the next one connects again. Never raises.
        """
        if self._is_migrating:
            return
        self._interrupted.set()
        self._backend.interrupt()

    def close(self) -> None:
        """Close the connection; a later unit opens a new one."""
        self.engine.dispose()
        self._backend.close()

    def abandon(self) -> None:
        """Forget the connection without touching it: it belongs to the process that this one was forked from."""
        self._abandoned.append(self.engine.pool)  # kept, so that the connection is not even closed by its destructor
        self._backend.abandon()
        self.engine.dispose(close=False)
        self._interrupted = threading.Event()

    def _begin(self, transaction: ExitStack) -> Connection:
        is_first = not self._prepared
        try:
            if is_first:
                self._prepare()
            return transaction.enter_context(self.engine.begin())
        except DBAPIError as error:
            if is_first or not error.connection_invalidated or self._interrupted.is_set():
                raise
        # A connection that was at rest, to a server that was restarted meanwhile: nothing was asked of it yet.
        self._disconnect()
        self._prepare()
        return transaction.enter_context(self.engine.begin())

    def _prepare(self) -> None:
        try:
            with self.engine.begin() as connection:
                self._backend.check(connection)
                if not is_current(connection):
                    self._migrate(connection)
        except SettingsError as error:
            self._disconnect()
            if self._was_fit:  # a newer release has migrated it meanwhile: for this process it is out of reach
                raise DependencyError(str(error), dependency="database") from error
            raise
        self._prepared = self._was_fit = True

    def _migrate(self, connection: Connection) -> None:
        self._is_migrating = True
        try:
            self._backend.allow_time(connection)
            self._on_old_schema(connection)
        finally:
            self._is_migrating = False

    def _check_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise SQLAlchemyError("it was waited for too long")

    def _disconnect(self) -> None:
        self._prepared = False
        self.engine.dispose()


def _backend(url: str, busy_seconds: float) -> Backend:
    parsed = _parsed(url)
    if parsed.drivername in _SQLITE:
        if parsed.database in {None, "", ":memory:"}:
            raise SettingsError(f"`{url}` names no file; {_KNOWN}")
        return SqliteFile(parsed, busy_seconds)
    if parsed.drivername in _POSTGRESQL:
        return _postgresql(parsed, busy_seconds)
    raise SettingsError(f"`{parsed.drivername}` is not a database this release knows; {_KNOWN}")


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        before, at, shown = url.partition("?")[0].rpartition("@")  # what stands before, or behind, may be a password
        shown = f"...@{shown}" if at else before + shown
        raise SettingsError(f"`{shown}` is not a database URL; {_KNOWN}") from None


def _postgresql(url: URL, busy_seconds: float) -> Backend:
    try:
        from guardrails.storage.postgresql import PostgresqlDatabase  # noqa: PLC0415 - an extra: may not be installed
    except ImportError as error:
        raise SettingsError(
            f"PostgreSQL needs its driver: install `notification-guardrails[postgres]` ({error})"
        ) from error
    return PostgresqlDatabase(url, busy_seconds)
