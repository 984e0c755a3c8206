"""Every suite here runs over every store that caps may live in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from held_caps import NOW
from redis_stores import open_redis_stores
from stores import open_stores, run, sqlite_url

IN_A_DATABASE = ["memory", "sqlite", "postgresql"]
IN_REDIS = {"redis": "redis_server", "redis_cluster": "redis_cluster"}


@pytest.fixture(params=[*IN_A_DATABASE, *IN_REDIS])
def do(request, tmp_path) -> Iterator[Callable[[Callable[[Any], Any]], Any]]:
    """Do something with a session of its own, and wait until it is durable."""
    sqlite = sqlite_url(tmp_path / "guardrails.db")
    if request.param in IN_REDIS:
        server = request.getfixturevalue(IN_REDIS[request.param])
        server.flush()
        with open_redis_stores(sqlite, server.url, uses_server_time=False, clock=lambda: NOW) as stores:
            stores.mend()
            yield stores.do
        return
    urls = {
        "memory": lambda: "memory:",
        "sqlite": lambda: sqlite,
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }
    transactor = open_stores(urls[request.param]())
    yield partial(run, transactor)
    transactor.close()
