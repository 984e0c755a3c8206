"""On a cluster: a recipient's keys in one slot, shared budgets in their own, and no call that touches two."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest
from redis.crc import key_slot

from guardrails.caps.redis import RedisGateway
from guardrails.caps.redis.gateway import EpochLostError
from guardrails.caps.redis.layout import shard_of, tag
from guardrails.decide.holdings import Settlement
from guardrails.errors import CapsMoved, DependencyError
from redis_stores import PATIENT_SECONDS, real_now
from servers import start_redis_cluster, wait_until
from unit.caps.redis.making import BUDGET, OWN, Cap, decision, holding, reservation, used

RECIPIENTS = [f"u-{number}" for number in range(12)]
BUDGETS = [Cap("budget", f'["c-{number}"]', None, limit=100) for number in range(6)]


def caps_of(recipient: str) -> list[Cap]:
    return [Cap(cap, f'["{recipient}"]', recipient) for cap in ("a-day", "a-week", "of-a-sponsor")]


@pytest.fixture
def stores(cluster, open_stores):
    opened = open_stores(cluster)
    opened.mend_patiently()
    return opened


def reserve(stores, *reservations) -> None:
    at = real_now()
    stores.do(lambda session: session.caps.reserve(reservations, at))


def all_keys(cluster) -> dict[str, int]:
    """Every key but the markers, and its slot as the node that holds it has it."""
    found = {}
    for node in cluster.nodes:
        with node.connect() as client:
            for key in client.keys("*"):
                if not key.endswith(":marker"):
                    found[key] = client.execute_command("CLUSTER", "KEYSLOT", key)
    return found


@contextmanager
def watched_calls(cluster):
    """The keys of every script that runs in the block, by its name."""
    calls: list[list[str]] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(node.connect()) for node in cluster.nodes]
        for client in clients:
            client.config_set("slowlog-log-slower-than", 0)
            client.config_set("slowlog-max-len", 10_000)
            client.slowlog_reset()
        yield calls
        for client in clients:
            for entry in client.slowlog_get(10_000):
                words = entry["command"].decode() if isinstance(entry["command"], bytes) else entry["command"]
                if words.startswith("EVALSHA"):
                    parts = words.split(" ")
                    calls.append([part for part in parts[3 : 3 + int(parts[2])] if part.startswith("guardrails:")])
            client.config_set("slowlog-log-slower-than", 10_000)


def test_all_keys_of_a_recipient_land_in_one_slot(cluster, stores):
    at = real_now()
    reserve(stores, *(reservation(place, at, *caps_of(each), BUDGET) for place, each in enumerate(RECIPIENTS[:3])))
    for recipient in RECIPIENTS[:3]:
        slots = [slot for key, slot in all_keys(cluster).items() if recipient in key]
        assert len(slots) == 3 * 2 + 1
        assert len(set(slots)) == 1


def test_recipients_and_budgets_are_spread_over_the_nodes(cluster, stores):
    at = real_now()
    reserve(stores, *(reservation(place, at, *caps_of(each), *BUDGETS) for place, each in enumerate(RECIPIENTS)))
    for node in cluster.nodes:
        with node.connect() as client:
            kinds = {key.split(":", 5)[4] for key in client.keys("*:slots:*")}
        assert kinds >= {"0", "3"}, "shared keys, and those of recipients"


def test_no_call_touches_two_slots(cluster, stores):
    at = real_now()
    rows = [decision(place, at, *caps_of(each), *BUDGETS) for place, each in enumerate(RECIPIENTS)]
    stores.do(lambda session: session.decisions.insert(rows))
    caps = [cap for recipient in RECIPIENTS for cap in caps_of(recipient)] + BUDGETS
    with watched_calls(cluster) as calls:
        reserve(stores, *(reservation(place, at, *caps_of(each), *BUDGETS) for place, each in enumerate(RECIPIENTS)))
        assert used(stores, at, *caps) == [1] * 36 + [12] * 6
        stores.do(lambda session: session.caps.keys_of("u-1"))
        freed = [holding(place, at, *caps_of(each), *BUDGETS) for place, each in enumerate(RECIPIENTS)]
        stores.do(lambda session: session.caps.settle([Settlement(before=each, after=None) for each in freed]))
        stores.do(lambda session: session.caps.read([OWN.query(at)], at))
        stores.gateway.needs_care = True
        stores.mend()
    assert len(calls) > 256 + 3 * 16
    assert {len({key_slot(key.encode()) for key in keys}) for keys in calls} == {1}


def test_a_shared_budget_is_taken_exactly_by_recipients_of_all_nodes(stores):
    at = real_now()
    budget = Cap("budget", "[]", None, limit=7)
    answers = []
    for place, recipient in enumerate(RECIPIENTS):
        asked = reservation(place, at, *caps_of(recipient), budget)
        answers.append(stores.do(lambda session, asked=asked: _try(session, asked)))
    assert answers == [True] * 7 + [False] * 5
    assert used(stores, at, budget) == [7]
    assert [sum(used(stores, at, *caps_of(recipient))) for recipient in RECIPIENTS] == [3] * 7 + [0] * 5


def _try(session, reservation) -> bool:
    try:
        session.caps.reserve([reservation], reservation.holding.at)
    except CapsMoved:
        return False
    return True


@pytest.mark.parametrize("full", range(len(BUDGETS) + 1))
def test_where_any_shard_refuses_nothing_is_kept_in_any_other(stores, full):
    at = real_now()
    caps = [*caps_of("u-1"), *BUDGETS]
    reserve(stores, *(reservation(number, at, Cap("filled", "[]", None)) for number in range(3)))
    caps.insert(3 + full, Cap("filled", "[]", None))
    assert not stores.do(lambda session: _try(session, reservation(9, at, *caps)))
    assert used(stores, at, *caps) == [3 if cap.id == "filled" else 0 for cap in caps]


@pytest.fixture
def fragile():
    """A cluster of this test's own, to be broken."""
    with start_redis_cluster() as servers:
        yield servers


def test_where_a_node_fails_what_the_others_took_is_taken_back(fragile, open_stores):
    stores = open_stores(fragile, deadline_seconds=2.0)
    stores.mend_patiently()
    at = real_now()
    caps = [cap for recipient in RECIPIENTS for cap in caps_of(recipient)]
    with fragile.nodes[2].paused():

        def work(session):
            with pytest.raises(DependencyError) as caught:
                session.caps.reserve([reservation(1, at, *caps)], at)
            return caught.value.dependency

        assert stores.do(work) == "caps"
    wait_until(lambda: _reads(stores, at, caps) is not None, lambda: "the node is not asked again")
    assert _reads(stores, at, caps) == [0] * len(caps)


def test_while_a_node_fails_the_caps_of_the_others_are_there(fragile, open_stores):
    stores = open_stores(fragile, deadline_seconds=2.0)
    stores.mend_patiently()
    at = real_now()
    with fragile.node_of("{g124}").paused():
        with pytest.raises(DependencyError):
            used(stores, at, OWN)
        elsewhere = next(cap for cap in BUDGETS if fragile.node_of(_tag(cap)) is not fragile.node_of("{g124}"))
        reserve(stores, reservation(1, at, elsewhere))
        assert used(stores, at, elsewhere) == [1]
        with pytest.raises(DependencyError, match="did not answer a moment ago"):
            used(stores, at, OWN, elsewhere)


def test_a_probe_tells_of_every_node_that_fails_until_it_answers(fragile, open_stores):
    stores = open_stores(fragile, deadline_seconds=2.0)
    stores.mend_patiently()
    for node in fragile.nodes:
        with node.paused(), pytest.raises(DependencyError):
            probe(stores)
        wait_until(lambda: _probes(stores), lambda: "the node is not asked again")


def probe(stores) -> None:
    stores.do(lambda session: session.caps.probe())


def _probes(stores) -> bool:
    try:
        probe(stores)
    except DependencyError:
        return False
    return True


def _tag(cap: Cap) -> str:
    return f"{{{tag(shard_of(cap.id, cap.key, cap.owner))}}}"


def _reads(stores, at, caps) -> list[int] | None:
    try:
        return used(stores, at, *caps)
    except DependencyError:
        return None


def test_a_node_that_comes_back_empty_makes_the_caps_be_rebuilt(fragile, open_stores):
    stores = open_stores(fragile)
    stores.mend_patiently()
    at = real_now()
    caps = [cap for recipient in RECIPIENTS for cap in caps_of(recipient)]
    rows = [decision(place, at, *caps_of(each)) for place, each in enumerate(RECIPIENTS)]
    stores.do(lambda session: session.decisions.insert(rows))
    reserve(stores, *(reservation(place, at, *caps_of(each)) for place, each in enumerate(RECIPIENTS)))
    fragile.nodes[1].restart()
    fragile.wait_until_ok()
    with pytest.raises(DependencyError):
        used(stores, at, *caps)
    stores.mend_patiently()
    assert used(stores, at, *caps) == [1] * len(caps)


def test_a_slot_that_moves_to_another_node_is_found_there(fragile, open_stores):
    stores = open_stores(fragile)
    stores.mend_patiently()
    at = real_now()
    reserve(stores, reservation(1, at, OWN, BUDGET))
    slot = key_slot(b"{g124}")
    source = fragile.node_of("{g124}")
    target = next(node for node in fragile.nodes if node is not source)
    _migrate(fragile, slot, source, target)
    assert used(stores, at, OWN, BUDGET) == [1, 1]
    reserve(stores, reservation(2, at, OWN, BUDGET))
    assert used(stores, at, OWN, BUDGET) == [2, 2]
    assert not stores.gateway.needs_care


def _migrate(cluster, slot: int, source, target) -> None:
    with source.connect() as giving, target.connect() as taking:
        source_id, target_id = (client.execute_command("CLUSTER", "MYID") for client in (giving, taking))
        taking.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        giving.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        for key in giving.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            giving.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 60_000)
        for node in (target, source, *cluster.nodes):
            with node.connect() as client:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)


def test_while_a_slot_moves_its_caps_are_out_of_reach_and_nothing_is_lost(fragile, open_stores):
    stores = open_stores(fragile)
    stores.mend_patiently()
    at = real_now()
    reserve(stores, reservation(1, at, OWN))
    slot, source = key_slot(b"{g124}"), fragile.node_of("{g124}")
    target = next(node for node in fragile.nodes if node is not source)
    with source.connect() as giving, target.connect() as taking:
        source_id, target_id = (client.execute_command("CLUSTER", "MYID") for client in (giving, taking))
        taking.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        giving.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        key = next(key for key in giving.keys("*:slots:*") if "u-1" in key)
        giving.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 60_000)
        with pytest.raises(DependencyError) as caught:
            used(stores, at, OWN)
        assert not isinstance(caught.value, EpochLostError)
    _migrate(fragile, slot, source, target)
    assert used(stores, at, OWN) == [1]


def test_a_cluster_that_lost_a_slot_is_told_of(fragile):
    node = fragile.node_of("{g124}")
    with node.connect() as client:
        client.execute_command("CLUSTER", "DELSLOTS", key_slot(b"{g124}"))
    gateway = RedisGateway(node.url, deadline_seconds=PATIENT_SECONDS)
    with pytest.raises(DependencyError, match="does not serve all of its slots"):
        gateway.check()


def test_a_cluster_is_not_reached_by_a_socket(cluster):
    gateway = RedisGateway(f"unix://{cluster.nodes[0].directory}/redis.sock", deadline_seconds=PATIENT_SECONDS)
    with pytest.raises(DependencyError, match="the nodes of a cluster are not reached by a socket"):
        gateway.check()
