"""The one entry: a transactor by URL.

memory:             in the process, gone with it
sqlite:///path      a SQLite file, made where it is not there
postgresql://...    a PostgreSQL database
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from guardrails.decide.ports import Transactor
from guardrails.storage.connections import BUSY_SECONDS, Database
from guardrails.storage.group_commit import GroupCommit
from guardrails.storage.memory import Journal, MemoryTransactor
from guardrails.storage.migrate import migrate
from guardrails.storage.unit_watch import HANG_SECONDS

__all__ = ["open_transactor", "sql_transactor"]


def open_transactor(
    url: str,
    *,
    sql_session: Callable[[Connection], Any],
    memory_session: Callable[[Journal], Any],
    busy_seconds: float = BUSY_SECONDS,
    hang_seconds: float = HANG_SECONDS,
    on_old_schema: Callable[[Connection], None] = migrate,
) -> Transactor:
    """The stores at `url`. The first unit reaches them, and brings the schema up to date (`on_old_schema`).

    `sql_session` and `memory_session` join the rooms' stores. A unit waits at most `busy_seconds` for other processes,
    and is taken to hang after `hang_seconds` (see `unit_watch`). Raises SettingsError where the URL is none of these;
    a call raises it where the schema is not one of this release's.
    """
    if url == "memory:":
        return MemoryTransactor(memory_session)
    database = Database(url, busy_seconds=busy_seconds, on_old_schema=on_old_schema)
    return sql_transactor(database, sql_session, hang_seconds=hang_seconds)


def sql_transactor(
    database: Database, session: Callable[[Connection], Any], *, hang_seconds: float = HANG_SECONDS
) -> Transactor:
    """The transactor over a database, with `session` joining the rooms' stores for each unit."""

    @contextmanager
    def unit() -> Iterator[Any]:
        with database.unit() as connection:
            yield session(connection)

    return GroupCommit(
        unit,
        close_unit=database.close,
        abandon_unit=database.abandon,
        interrupt_unit=database.interrupt,
        busy_at=database.busy_at,
        hang_seconds=hang_seconds,
    )
