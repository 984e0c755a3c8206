"""Whatever is left of an epoch on a server that lost some of it, or may have, is not trusted."""

from __future__ import annotations

from socket import socket

import pytest

from guardrails.caps.redis.gateway import EpochLostError
from redis_stores import real_now
from servers import start_redis, wait_until
from unit.caps.redis.making import OWN, decision, reservation, take, used


def test_a_redis_that_was_emptied_takes_nothing(redis, stores):
    def work(session):
        session.caps.read([OWN.query(real_now())], real_now())
        redis.flush()
        session.caps.reserve([reservation(1, real_now(), OWN)], real_now())

    with pytest.raises(EpochLostError):
        stores.do(work)
    with redis.connect() as client:
        assert client.keys("*") == []
    assert stores.gateway.needs_care


def test_a_redis_that_was_restarted_empty_takes_nothing(redis, stores):
    def work(session):
        session.caps.read([OWN.query(real_now())], real_now())
        redis.restart()
        session.caps.reserve([reservation(1, real_now(), OWN)], real_now())

    with pytest.raises(EpochLostError):
        stores.do(work)
    with redis.connect() as client:
        assert client.keys("*") == []


@pytest.mark.parametrize("missing", ["marker", "run id"])
def test_whatever_is_left_of_an_epoch_is_not_trusted(redis, stores, missing):
    stores.do(take(1, OWN))
    with redis.connect() as client:
        if missing == "marker":
            client.delete(*client.keys("*:{g124}:*:marker"))
        else:
            stores.do(
                lambda session: session.caps.epochs.finish(session.caps.epochs.read().name, frozenset({"f" * 40}))
            )
    with pytest.raises(EpochLostError):
        stores.do(take(2, OWN))
    with redis.connect() as client:
        (slots,) = client.keys("*:slots:*")
        assert client.zrange(slots, 0, -1) == ["d-1"]


def test_a_redis_that_kept_its_data_over_a_restart_is_not_trusted_either(open_stores):
    with start_redis(parameters={"appendonly": "yes", "appendfsync": "always"}) as server:
        stores = open_stores(server)
        stores.mend()
        stores.do(take(1, OWN))
        server.restart()
        with server.connect() as client:
            assert client.keys("*:slots:*")
        with pytest.raises(EpochLostError):
            stores.do(take(2, OWN))


@pytest.fixture
def pair():
    """A server, another that it may follow, and the other's port."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with start_redis() as server, start_redis(parameters={"port": str(port)}) as other:
        yield server, other, port


def test_a_server_that_has_followed_another_is_not_trusted_though_it_never_stopped(pair, open_stores):
    server, _, port = pair
    stores = open_stores(server)
    stores.mend()
    stores.do(take(1, OWN))
    with server.connect() as client:
        run_id = client.info("server")["run_id"]
        client.replicaof("127.0.0.1", port)
        with pytest.raises(EpochLostError):
            used(stores, real_now(), OWN)
        client.replicaof("NO", "ONE")
        assert client.info("server")["run_id"] == run_id
        assert client.keys("*:marker"), "and nothing is lost yet"
    with pytest.raises(EpochLostError):
        stores.do(take(2, OWN))
    stores.mend()
    stores.do(take(3, OWN))
    assert used(stores, real_now(), OWN) == [1]


def test_a_replica_that_joins_costs_a_rebuild_and_nothing_else(pair, open_stores):
    replica, server, port = pair
    stores = open_stores(server)
    stores.mend()
    stores.do(lambda session: session.decisions.insert([decision(1, real_now(), OWN)]))
    stores.do(take(1, OWN))
    with replica.connect() as client:
        client.replicaof("127.0.0.1", port)
        wait_until(lambda: client.info()["master_link_status"] == "up", lambda: "it does not join")
    with pytest.raises(EpochLostError):
        used(stores, real_now(), OWN)
    stores.mend()
    assert used(stores, real_now(), OWN) == [1]


def test_nothing_is_waited_for_between_two_services(redis, open_stores):
    first, second = open_stores(redis), open_stores(redis)
    first.mend()
    assert second.mend() == 0
    for number in range(3):
        (first, second)[number % 2].do(take(number, OWN))
    assert used(first, real_now(), OWN) == used(second, real_now(), OWN) == [3]
