from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from redis_stores import RedisStores, open_redis_stores
from stores import sqlite_url


@pytest.fixture
def redis(redis_server):
    """A Redis that holds nothing, whatever the last test did to it."""
    redis_server.flush()
    with redis_server.connect() as client:
        client.config_set("maxmemory-policy", "noeviction")
    return redis_server


@pytest.fixture
def cluster(redis_cluster):
    """A cluster that holds nothing."""
    redis_cluster.flush()
    return redis_cluster


@pytest.fixture
def open_stores(tmp_path) -> Iterator[Callable[..., RedisStores]]:
    """Opens stores over one database and a Redis, as one more process would."""
    with ExitStack() as stack:
        yield lambda server, **options: stack.enter_context(
            open_redis_stores(sqlite_url(tmp_path / "guardrails.db"), server.url, **options)
        )


@pytest.fixture
def stores(redis, open_stores) -> RedisStores:
    """Stores over one Redis, complete."""
    opened = open_stores(redis)
    opened.mend()
    return opened


@pytest.fixture(params=["server", "cluster"])
def either(request, open_stores) -> RedisStores:
    """Stores over one Redis, or over a cluster, complete."""
    opened = open_stores(request.getfixturevalue("redis" if request.param == "server" else "cluster"))
    opened.mend()
    return opened
