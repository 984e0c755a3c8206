from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from guardrails.caps.redis.epochs import lineage_of, number_of
from guardrails.caps.redis.layout import SHARDS, Call, Calls, epoch_of, index_name_of, name_of, parts_of, shard_of, tag

TEXT = st.text()


@given(cap=TEXT, key=TEXT, sums=st.booleans())
def test_a_name_is_taken_apart_as_it_was_put_together(cap, key, sums):
    assert parts_of(index_name_of(cap, key, sums=sums)) == (cap, key, sums)


def test_a_name_of_before_there_were_sums_is_one_of_sends():
    assert parts_of(name_of("cap", "k")) == ("cap", "k", False)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=2, max_size=2, unique=True))
def test_no_two_keys_have_one_name(named):
    names = []
    for cap, key, owner in named:
        call = Call("read", "e.1")
        call.cap_place(cap, key, owner)
        names.append([name.split(":", 3)[3] for name in call.keys])
    assert not set(names[0]) & set(names[1])


@given(owner=st.text(min_size=1), keys=st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_all_keys_of_a_recipient_lie_in_one_slot_of_a_cluster(owner, keys):
    calls = Calls("place", "e.1", apart=True)
    for cap, key in keys:
        call = calls.at(shard_of(cap, key, owner))
        call.cap_place(cap, key, owner)
        call.index_place(owner)
    (call,) = calls
    slots = {key_slot(name.encode()) for name in (*call.keys, *call.markers)}
    assert slots == {key_slot(f"{{{tag(call.shard)}}}".encode())}


def test_recipients_and_budgets_are_dealt_out_evenly():
    for shards in (
        [shard_of("", "", f"u-{number}") for number in range(25_600)],
        [shard_of("budget", f'["c-{number}"]', None) for number in range(25_600)],
    ):
        counts = Counter(shards)
        assert len(counts) == SHARDS
        assert max(counts.values()) < 200


def test_the_shards_of_a_cluster_are_spread_over_its_slots():
    slots = sorted(key_slot(tag(shard).encode()) for shard in range(SHARDS))
    thirds = Counter(slot * 3 // 16_384 for slot in slots)
    assert len(set(slots)) == SHARDS
    assert min(thirds.values()) > 70


def test_the_shard_of_an_id_never_changes():
    assert (shard_of("cap", "k", "u-1"), shard_of("budget", "[]", None), shard_of("", "", "ключ")) == (124, 76, 26)


def test_a_key_is_touched_once_however_often_it_is_named():
    call = Call("place", "e.1")
    assert [call.cap_place("a", "k", "u"), call.cap_place("b", "k", "u"), call.cap_place("a", "k", "u")] == [1, 3, 1]
    assert [call.index_place("u"), call.index_place("u")] == [5, 5]
    assert len(call.keys) == 5


def test_a_key_says_of_which_epoch_it_is():
    call = Call("place", "4f2a90c1.12")
    call.cap_place("a:b", "k", "u")
    assert {epoch_of(key) for key in (*call.keys, *call.markers)} == {"4f2a90c1.12"}
    assert (lineage_of("4f2a90c1.12"), number_of("4f2a90c1.12")) == ("4f2a90c1", 12)
