from __future__ import annotations

from redis_stores import real_now
from unit.caps.redis.making import BUDGET, OWN, Cap, decision, reservation, used


def rebuilt(stores, times: int) -> None:
    """Rebuild the caps although nothing is wanting."""
    for _ in range(times):
        stores.do(lambda session: session.caps.epochs.claim(session.caps.epochs.read().next_name(str), real_now()))
        stores.gateway.needs_care = True
        stores.mend()


def sweep(stores, most: int) -> list[int]:
    """What each step removed, until one finds nothing."""
    removed = []
    while not removed or removed[-1]:
        removed.append(stores.do(lambda session: session.caps.sweep(real_now(), most)))
    return removed


def test_what_is_left_of_former_epochs_is_removed_in_small_steps(either, request):
    at = real_now()
    caps = [Cap(f"cap-{number}") for number in range(20)]
    either.do(lambda session: session.decisions.insert([decision(1, at, *caps, BUDGET, state="sent", sent_at=at)]))
    rebuilt(either, 2)
    removed = sweep(either, 50)
    assert max(removed) <= 50
    assert sweep(either, 50) == [0]
    assert sum(removed) == 256 + (256 + 20 + 1 + 1), "the first epoch was empty"
    server = request.getfixturevalue("redis" if "server" in request.node.name else "cluster")
    names = set()
    for node in getattr(server, "nodes", [server]):
        with node.connect() as client:
            names |= {key.split(":")[2] for key in client.keys("*")}
    assert names == {either.do(lambda session: session.caps.epochs.read().name)}
    assert used(either, at, *caps, BUDGET) == [1] * 21


def test_what_belongs_to_others_is_left_alone(redis, stores):
    others = ["user:1", "guardrails:{g1}:ffffffff.1:marker", "guardrails:{g1}:ffffffff.9:slots:x"]
    with redis.connect() as client:
        for key in others:
            client.set(key, "")
        rebuilt(stores, 1)
        sweep(stores, 1000)
        assert [client.get(key) for key in others] == ["", "", ""]


def test_nothing_is_removed_while_the_caps_are_being_rebuilt(redis, stores):
    rebuilt(stores, 1)
    with redis.connect() as client:
        before = client.dbsize()
        redis_is_complete = stores.do(lambda session: session.caps.epochs.read().is_complete)
        stores.do(lambda session: session.caps.epochs.claim("00000000.9", real_now()))
        assert redis_is_complete
        assert stores.do(lambda session: session.caps.sweep(real_now(), 1000)) == 0
        assert client.dbsize() == before


def test_it_looks_once_for_each_epoch(redis, stores):
    rebuilt(stores, 1)
    sweep(stores, 1000)
    with redis.connect() as client:
        client.config_resetstat()
        sweep(stores, 1000)
        assert "cmdstat_scan" not in client.info("commandstats")
        rebuilt(stores, 1)
        assert sum(sweep(stores, 1000)) == 256


def test_keys_of_others_do_not_make_a_step_long(redis, stores):
    with redis.connect() as client:
        client.mset({f"user:{number}": "" for number in range(20_000)})
        client.config_resetstat()
        stores.do(lambda session: session.caps.sweep(real_now(), 100))
        assert client.info("commandstats")["cmdstat_scan"]["calls"] == 10


def test_slots_of_the_present_epoch_stay(stores):
    at = real_now()
    stores.do(lambda session: session.caps.reserve([reservation(1, at, OWN)], at))
    rebuilt(stores, 0)
    assert sweep(stores, 1000) == [0]
    assert used(stores, at, OWN) == [1]


def test_a_step_removes_no_more_than_it_may_however_many_keys_lie_together(redis, stores):
    rebuilt(stores, 1)
    removed = sweep(stores, 1)
    assert set(removed) == {0, 1}
    assert sum(removed) <= 256
