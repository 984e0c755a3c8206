"""The kinds of faults: what each does to the rig's service, or to its stores for a while; its name is what it does."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from faults.rig import PATIENCE_SECONDS, Rig
from servers import PostgreSQLServer, Server

Fault = Callable[[Rig], None]

WHILE_SECONDS = 0.5
"""Longer than a decision's deadline, and shorter than what makes a store be taken for dead."""

LONG_SECONDS = 2.5
"""Long enough for that: the unit that hangs is broken off, more than once."""

# --- killed


def workers_killed(rig: Rig) -> None:
    """SIGKILL to all workers; the service starts others."""
    rig.kill_workers()


def one_worker_killed(rig: Rig) -> None:
    """SIGKILL to one of them; the other goes on, if the one before was replaced already."""
    rig.kill_a_worker()


def service_killed(rig: Rig) -> None:
    """SIGKILL to all of it, and a new start, as a supervisor does."""
    rig.kill_service()
    rig.start_service()


def postgresql_killed(rig: Rig) -> None:
    rig.stores.postgresql.restart()


def redis_killed_back_empty(rig: Rig) -> None:
    rig.stores.redis.restart()


def redis_node_killed_back_empty(rig: Rig) -> None:
    rig.chance.choice(rig.stores.cluster.nodes).restart()


def all_killed_at_once(rig: Rig) -> None:
    """As a power cut of the machine that all of it runs on; it comes back in any order."""
    stores = [rig.stores.postgresql, rig.stores.redis]
    rig.kill_service()
    for store in stores:
        store.kill()
    starts = [rig.start_service, *(store.start for store in stores)]
    for start in rig.chance.sample(starts, len(starts)):
        start()


# --- hangs


def postgresql_hangs(rig: Rig) -> None:
    _hang(rig.stores.postgresql, WHILE_SECONDS)


def postgresql_hangs_for_long(rig: Rig) -> None:
    _hang(rig.stores.postgresql, LONG_SECONDS)


def postgresql_hangs_in_commits(rig: Rig) -> None:
    """Each commit holds, and waits for a standby that is not there: whoever gave up is told nothing of it."""
    with _set_to(rig.stores.postgresql, "synchronous_standby_names", "nobody"):
        time.sleep(WHILE_SECONDS)


def redis_hangs(rig: Rig) -> None:
    _hang(rig.stores.redis, WHILE_SECONDS)


def redis_hangs_for_long(rig: Rig) -> None:
    _hang(rig.stores.redis, LONG_SECONDS)


def redis_node_hangs(rig: Rig) -> None:
    _hang(rig.chance.choice(rig.stores.cluster.nodes), WHILE_SECONDS)


def database_disk_hangs(rig: Rig) -> None:
    """In the middle of writes and syncs, which nobody can break off."""
    rig.stores.disk.freeze(WHILE_SECONDS)


def file_locked_by_another_program(rig: Rig) -> None:
    path = rig.stores.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(WHILE_SECONDS)


# --- slow


def postgresql_is_slow(rig: Rig) -> None:
    _stutter(rig.stores.postgresql)


def redis_is_slow(rig: Rig) -> None:
    _stutter(rig.stores.redis)


# --- read-only


def file_read_only(rig: Rig) -> None:
    with rig.stores.disk.read_only():
        time.sleep(WHILE_SECONDS)


def postgresql_read_only(rig: Rig) -> None:
    with _set_to(rig.stores.postgresql, "default_transaction_read_only", "on"):
        time.sleep(WHILE_SECONDS)


def redis_read_only(rig: Rig) -> None:
    """A replica for a while, of a server that is not there."""
    with rig.stores.redis.connect() as client:
        client.replicaof("127.0.0.1", 1)
        try:
            time.sleep(WHILE_SECONDS)
        finally:
            client.replicaof("NO", "ONE")


# --- full


def small_disk_full(rig: Rig) -> None:
    with rig.stores.disk.filled():
        time.sleep(WHILE_SECONDS)


def redis_full(rig: Rig) -> None:
    with rig.stores.redis.connect() as client:
        client.config_set("maxmemory", 1)
        try:
            time.sleep(WHILE_SECONDS)
        finally:
            client.config_set("maxmemory", 0)


def postgresql_hangs_and_small_disk_full(rig: Rig) -> None:
    with rig.stores.disk.filled():
        _hang(rig.stores.postgresql, WHILE_SECONDS)


def _hang(server: Server, seconds: float) -> None:
    """SIGSTOP to all of it, in the middle of whatever it does."""
    with server.paused():
        time.sleep(seconds)


def _stutter(server: Server) -> None:
    """It runs for a small part of the time only."""
    until = time.monotonic() + WHILE_SECONDS
    while time.monotonic() < until:
        _hang(server, 0.05)
        time.sleep(0.01)


@contextmanager
def _set_to(server: PostgreSQLServer, parameter: str, value: str) -> Iterator[None]:
    """The server runs with this setting within the block, in all sessions."""
    server.execute(f"ALTER SYSTEM SET {parameter} = '{value}'")
    server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.execute(f"ALTER SYSTEM RESET {parameter}")
        server.execute("SELECT pg_reload_conf()")
