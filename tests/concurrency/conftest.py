from __future__ import annotations

import pytest


@pytest.fixture
def stores(tmp_path, postgres_server, redis_server, redis_cluster):
    """By name, a database URL and a caps URL, both fresh."""
    redis_server.flush()
    redis_cluster.flush()

    def urls(name):
        database, _, caps = name.partition(" and ")
        database_url = f"sqlite:///{tmp_path / 'guardrails.db'}" if database == "sqlite" else None
        caps_url = {"": None, "redis": redis_server.url, "a redis cluster": redis_cluster.url}[caps]
        return database_url or postgres_server.create_database(), caps_url

    return urls
