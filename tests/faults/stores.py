"""The stores that a rig's service runs over, each of them the test's own, to be killed as it likes.

with open_stores("postgresql and redis", directory) as stores: ...
with open_stores("sqlite", directory, on_small_disk="database") as stores: ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import chown

from faults.disk import SmallDisk, mount_small_disk
from servers import (
    PostgreSQLServer,
    RedisClusterServers,
    RedisServer,
    start_postgresql,
    start_redis,
    start_redis_cluster,
)


@dataclass
class Stores:
    """What there is of them; the rest is None."""

    name: str
    state_directory: Path
    database_url: str = ""
    caps_url: str | None = None
    disk: SmallDisk | None = None
    postgresql: PostgreSQLServer | None = None
    redis: RedisServer | None = None
    cluster: RedisClusterServers | None = None


@contextmanager
def open_stores(name: str, directory: Path, *, on_small_disk: str = "") -> Iterator[Stores]:
    """Stores by name: a database, ` and ` what holds the caps, if that is another one.

    `on_small_disk` names what lies there: the database, the spool, or `database and spool`.
    """
    database, _, caps = name.partition(" and ")
    with ExitStack() as opened:
        stores = Stores(name, directory / "state")
        if on_small_disk:
            stores.disk = opened.enter_context(mount_small_disk())
        if "spool" in on_small_disk:
            stores.state_directory = stores.disk.path / "state"
        if database == "sqlite":
            place = stores.disk.path if "database" in on_small_disk else directory
            stores.database_url = f"sqlite:///{place / 'guardrails.db'}"
        else:
            stores.postgresql = opened.enter_context(start_postgresql())
            small = stores.disk if "database" in on_small_disk else None
            stores.database_url = _postgresql_database(stores.postgresql, small)
        if caps == "redis":
            stores.redis = opened.enter_context(start_redis())
            stores.caps_url = stores.redis.url
        elif caps == "a redis cluster":
            stores.cluster = opened.enter_context(start_redis_cluster())
            stores.caps_url = stores.cluster.url
        yield stores


def _postgresql_database(server: PostgreSQLServer, disk: SmallDisk | None) -> str:
    if disk is None:
        return server.create_database()
    place = disk.path / "tables"
    place.mkdir()
    chown(place, server.directory.owner())
    server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    server.execute("CREATE DATABASE small TABLESPACE small")
    return server.url("small")
