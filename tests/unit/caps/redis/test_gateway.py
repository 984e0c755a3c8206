from __future__ import annotations

import pytest
from redis.exceptions import AskError, MovedError, ResponseError

from guardrails.caps.redis import RedisGateway
from guardrails.caps.redis.gateway import MISSED_MOST, _has_moved, _unfitness
from guardrails.caps.redis.node import Reply
from guardrails.caps.redis.plans import Placement
from guardrails.errors import DependencyError, SettingsError
from redis_stores import PATIENT_SECONDS, real_now
from servers import start_redis, wait_until
from unit.caps.redis.making import BUDGET, OWN, decision, epoch, reservation, take, used

IMPATIENT_SECONDS = 2.0
NAMED = {"run_id": "f" * 40, "master_replid": "e" * 40}


def do_patiently(stores, work) -> None:
    """Until Redis is asked again, and answers."""

    def is_done() -> bool:
        try:
            stores.do(work)
        except DependencyError:
            return False
        return True

    wait_until(is_done, lambda: "Redis is not asked again")


def error_of(stores, work) -> DependencyError:
    """What a unit that asks Redis hears."""
    with pytest.raises(DependencyError) as caught:
        stores.do(work)
    assert caught.value.dependency == "caps"
    return caught.value


# --- a Redis that does not answer


def test_a_redis_that_hangs_is_given_up_and_then_left_alone_for_a_while(redis, open_stores):
    stores = open_stores(redis, deadline_seconds=IMPATIENT_SECONDS)
    stores.mend_patiently()
    with redis.paused():
        assert "Timeout" in str(error_of(stores, take(1, OWN)))
        assert "did not answer a moment ago" in str(error_of(stores, take(1, OWN)))
    do_patiently(stores, take(1, OWN))


def test_a_call_that_was_given_up_does_not_take_effect_later(redis, open_stores):
    stores = open_stores(redis, deadline_seconds=IMPATIENT_SECONDS)
    stores.mend_patiently()
    stores.do(take(0, BUDGET))  # so that the script is known there
    with redis.connect() as client:
        client.config_resetstat()
        with redis.paused():
            error_of(stores, lambda session: session.caps.reserve([reservation(1, real_now(), OWN)], real_now()))
            # Whatever reached the server in vain is still to be carried out.
        wait_until(lambda: "cmdstat_evalsha" in client.info("commandstats"), lambda: "nothing reached it")
        assert not [key for key in client.keys("*") if "u-1" in key]


class UnitFailedError(Exception):
    """What makes a unit fail."""


def test_what_could_not_be_taken_back_is_mended_as_the_rows_say_once_redis_answers(redis, open_stores):
    stores = open_stores(redis, deadline_seconds=IMPATIENT_SECONDS)
    stores.mend_patiently()
    at = real_now()

    def work(session):
        session.caps.reserve([reservation(number, at, OWN) for number in range(3)], at)
        redis.pause()
        raise UnitFailedError

    try:
        with pytest.raises(UnitFailedError):
            stores.do(work)
        # It was tried again meanwhile, with another outcome for one of them.
        stores.do(lambda session: session.decisions.insert([decision(1, at, OWN)]))
    finally:
        redis.resume()
    stores.mend_patiently()
    assert used(stores, at, OWN) == [1]
    assert stores.gateway.missed(stores.do(lambda session: session.caps.epochs.read()).name) == ()


def test_no_more_is_remembered_than_there_is_room_for_and_nothing_of_a_former_epoch():
    gateway = RedisGateway("redis://localhost", deadline_seconds=1.0)
    at = real_now()
    missed = [Placement.of_reservation(reservation(number, at, OWN)) for number in range(MISSED_MOST + 1)]
    gateway.remember_missed("a.1", missed)
    assert len(gateway.missed("a.1")) == MISSED_MOST
    assert gateway.missed("a.2") == ()
    gateway.remember_missed("a.2", missed[:1])
    assert gateway.missed("a.1") == ()
    assert gateway.missed("a.2") == (missed[0],)
    gateway.forget_missed(missed[:1])
    assert gateway.missed("a.2") == ()


def test_a_call_that_reaches_the_server_too_late_does_nothing(redis, stores):
    stores.do(take(1, OWN))
    (node,) = stores.gateway._servers.nodes()
    node._ahead.least -= 3_600_000_000  # as where the server's clock was set forward by an hour
    assert "answered too late" in str(error_of(stores, take(2, OWN)))
    assert used(stores, real_now(), OWN) == [1]
    stores.do(take(3, OWN))


def test_a_redis_that_is_down_is_told_of_and_asked_again(redis, open_stores):
    stores = open_stores(redis)
    stores.mend()
    redis.kill()
    error_of(stores, take(1, OWN))
    redis.start()
    stores.mend_patiently()
    do_patiently(stores, take(1, OWN))


def test_a_redis_that_was_never_there_does_not_keep_anything_else_from_working(open_stores, tmp_path):
    class Nowhere:
        url = f"unix://{tmp_path}/nobody.sock"

    stores = open_stores(Nowhere)
    for _ in range(2):
        with pytest.raises(DependencyError, match=r"nobody\.sock") as caught:
            stores.rebuild.step()
        assert caught.value.dependency == "caps"
        assert "No such file" in str(caught.value)
        assert "No such file" in str(error_of(stores, take(1, OWN))), "and not that they are being rebuilt"
    assert stores.do(lambda session: session.decisions.holding("", 10)) == []
    assert stores.do(lambda session: session.caps.read([], real_now())) == {}
    with pytest.raises(DependencyError):
        stores.gateway.check()


def test_connections_that_the_server_closed_are_made_anew(redis, stores):
    stores.do(take(1, OWN))
    with redis.connect() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    stores.do(take(2, OWN))
    assert used(stores, real_now(), OWN) == [2]


def test_scripts_that_the_server_forgot_are_told_it_again(either, request):
    either.do(take(1, OWN, BUDGET))
    server = request.getfixturevalue("redis" if "server" in request.node.name else "cluster")
    for node in getattr(server, "nodes", [server]):
        with node.connect() as client:
            client.script_flush()
    either.do(take(2, OWN, BUDGET))
    assert used(either, real_now(), OWN, BUDGET) == [2, 2]


@pytest.fixture
def guarded():
    """A Redis that asks for a password."""
    with start_redis() as server:
        with server.connect() as client:
            client.config_set("requirepass", "right-secret")
        yield server


def test_no_password_is_told(guarded):
    gateway = RedisGateway(f"{guarded.url}?password=wrong-secret", deadline_seconds=PATIENT_SECONDS)
    with pytest.raises(DependencyError) as caught:
        gateway.survey()
    assert "secret" not in f"{caught.value} {gateway.address} {caught.value.__cause__}"


def test_with_the_password_it_is_reached(guarded):
    gateway = RedisGateway(f"{guarded.url}?password=right-secret", deadline_seconds=PATIENT_SECONDS)
    assert len(gateway.survey()) == 1
    gateway.close()


# --- a Redis that is not fit for caps


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts_keys_is_refused_at_the_start_and_never_trusted(redis, open_stores, policy):
    with redis.connect() as client:
        client.config_set("maxmemory-policy", policy)
        stores = open_stores(redis)
        with pytest.raises(SettingsError, match=f"maxmemory-policy is `{policy}`, and must be `noeviction`"):
            stores.gateway.check()
        with pytest.raises(DependencyError, match="must be `noeviction`"):
            stores.mend()
        error_of(stores, take(1, OWN))
        client.config_set("maxmemory-policy", "noeviction")
    stores.gateway.check()
    stores.mend()
    stores.do(take(1, OWN))


def test_a_replica_is_refused():
    with start_redis() as server:
        with server.connect() as client:
            client.replicaof("127.0.0.1", 1)
        gateway = RedisGateway(server.url, deadline_seconds=PATIENT_SECONDS)
        with pytest.raises(SettingsError, match="it is a replica"):
            gateway.check()
        gateway.close()


@pytest.mark.parametrize(("version", "is_fit"), [("5.0.14", False), ("6.0.0", True), ("7.2.4", True), ("10.1", True)])
def test_a_redis_that_is_too_old_is_refused(version, is_fit):
    info = {"redis_version": version, "role": "master", "maxmemory_policy": "noeviction"}
    assert is_fit is (_unfitness(info | NAMED) is None)


@pytest.mark.parametrize("name", NAMED)
def test_what_does_not_say_who_it_is_is_refused(name):
    fit = {"redis_version": "7.2.4", "role": "master", "maxmemory_policy": "noeviction"} | NAMED
    assert _unfitness(fit) is None
    del fit[name]
    assert "does not say its run id" in _unfitness(fit)


def test_a_redis_without_memory_left_takes_nothing_and_frees_all_the_same(redis, stores):
    at = real_now()
    stores.do(take(1, OWN))
    with redis.connect() as client:
        client.config_set("maxmemory", 1)
        error = error_of(stores, take(2, OWN))
        client.config_set("maxmemory", 0)
    assert "maxmemory" in str(error)
    assert used(stores, at, OWN) == [1]


def test_a_redis_without_memory_left_is_told_of_by_a_probe_and_by_upkeep_until_it_has_some(redis, stores):
    def probe(session):
        session.caps.probe()

    with redis.connect() as client:
        client.config_set("maxmemory", 1)
        assert used(stores, real_now(), OWN) == [0], "it still answers"
        assert "maxmemory" in str(error_of(stores, probe))
        for _ in range(2):
            with pytest.raises(DependencyError, match="maxmemory"):
                stores.rebuild.step()
        client.config_set("maxmemory", 0)
    before = epoch(stores)
    stores.do(probe)
    stores.mend()
    assert epoch(stores) == before, "nothing was lost"


@pytest.mark.parametrize(
    ("reply", "has_moved"),
    [
        (MovedError("12 127.0.0.1:1"), True),
        (ResponseError("MOVED 12 127.0.0.1:1"), True),  # as redis-py 5 has it
        (AskError("12 127.0.0.1:1"), False),
        (ResponseError("ERR"), False),
        (Reply("MOVED", None), False),
    ],
)
def test_an_answer_says_that_a_shard_has_moved(reply, has_moved):
    assert _has_moved(reply) is has_moved
