"""The five stores to choose from, each in a process over real servers, and what a bare commit costs beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from benchmarks.state.process import Served, StoreProcess, store_process
from benchmarks.state.workload import Traffic
from servers import start_postgresql, start_redis

__all__ = ["MEMORY", "POSTGRESQL", "SQLITE", "Store", "Stores", "open_stores", "sqlite_commit"]

MEMORY = "memory"
SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL"


class Store(NamedTuple):
    """A store with its process, and the name of the floor beside it: of the database that it writes to."""

    name: str
    process: StoreProcess
    floor: str | None = None


class Stores(NamedTuple):
    """All stores. A floor inserts a row and commits it, with nothing around it; by the name of the database."""

    stores: list[Store]
    floors: dict[str, Callable[[bytes], None]]


@contextmanager
def open_stores(directory: Path, recipients: int) -> Iterator[Stores]:
    """All of them, on servers of their own, each with traffic for so many recipients."""
    with ExitStack() as stack:
        postgresql = stack.enter_context(start_postgresql())

        def database(name: str, floor: str | None) -> str:
            if floor is None:
                return "memory:"
            return f"sqlite:///{directory / name}.db" if floor == SQLITE else postgresql.create_database()

        def store(name: str, floor: str | None = None, caps_url: str | None = None) -> Store:
            folder = directory / name
            folder.mkdir()
            traffic = Traffic(recipients, name="candidate")
            served = Served(folder, database(name, floor), traffic, caps_url=caps_url, consents=recipients)
            return Store(name, stack.enter_context(store_process(served)), floor)

        def redis_url() -> str:
            return stack.enter_context(start_redis()).url

        yield Stores(
            [
                store(MEMORY),
                store(SQLITE, SQLITE),
                store(POSTGRESQL, POSTGRESQL),
                store(f"{SQLITE}, caps in Redis", SQLITE, redis_url()),
                store(f"{POSTGRESQL}, caps in Redis", POSTGRESQL, redis_url()),
            ],
            {
                SQLITE: stack.enter_context(sqlite_commit(directory / "bare.db")),
                POSTGRESQL: stack.enter_context(_postgresql_commit(postgresql.create_database())),
            },
        )


@contextmanager
def sqlite_commit(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Inserts a row into a file of its own and commits it, each as durable as the service's own."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE bare (number INTEGER PRIMARY KEY, row BLOB NOT NULL)")

    def commit(row: bytes) -> None:
        connection.execute("INSERT INTO bare (row) VALUES (?)", (row,))
        connection.commit()

    try:
        yield commit
    finally:
        connection.close()


@contextmanager
def _postgresql_commit(url: str) -> Iterator[Callable[[bytes], None]]:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE bare (number BIGSERIAL PRIMARY KEY, row BYTEA NOT NULL)")
        connection.commit()

        def commit(row: bytes) -> None:
            connection.execute("INSERT INTO bare (row) VALUES (%s)", (row,))
            connection.commit()

        yield commit
