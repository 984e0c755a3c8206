"""Keys that sum amounts in Redis: exact under its own clock, and forgotten whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from guardrails.errors import CapsMoved
from redis_stores import real_now
from unit.caps.redis.making import (
    DAY,
    HOUR,
    OWN,
    Cap,
    decision,
    end,
    holding,
    insert,
    refusal,
    reservation,
    reserve,
    used,
)
from unit.caps.redis.test_kept import send

MONEY = Cap("money", '["c-1"]', None, limit=1000, amount=300)
THEIRS = Cap("theirs", '["u-1","c-1"]', "u-1", limit=1000, amount=300)


def keys(redis) -> list[str]:
    with redis.connect() as client:
        return sorted(key.split(":", 4)[3] for key in client.keys("*") if "marker" not in key)


@pytest.mark.parametrize("cap", [MONEY, THEIRS], ids=["shared", "a recipient's own"])
def test_amounts_are_taken_up_to_the_limit_and_not_beyond(either, cap):
    at = real_now()
    answers = [refusal(either, reservation(number, at, cap)) for number in range(4)]
    assert [None, None, None, CapsMoved] == answers
    last, least = replace(cap, amount=100), replace(cap, amount=1)
    assert refusal(either, reservation(9, at, last)) is None
    assert used(either, at, cap) == [1000]
    assert refusal(either, reservation(10, at, least)) is CapsMoved


def test_one_that_is_refused_takes_back_all_that_come_with_it(either):
    at = real_now()
    assert refusal(either, *(reservation(number, at, OWN, MONEY) for number in range(4))) is CapsMoved
    assert used(either, at, OWN, MONEY) == [0, 0]


def test_decisions_made_together_see_what_those_before_them_take(either):
    at = real_now()
    assert refusal(either, *(reservation(number, at, MONEY) for number in range(3))) is None
    assert refusal(either, reservation(3, at, MONEY)) is CapsMoved


def test_a_lease_that_has_ended_gives_its_amount_back_by_itself(either):
    at = real_now() - HOUR
    reserve(either, reservation(1, at, MONEY, THEIRS, lease=HOUR), reservation(2, at, MONEY, lease=2 * HOUR))
    assert used(either, real_now(), MONEY, THEIRS) == [300, 0]
    assert refusal(either, reservation(3, real_now(), MONEY)) is None


def test_amounts_are_forgotten_some_time_after_their_lease_has_ended(redis, stores):
    at = real_now() - HOUR
    minute = timedelta(minutes=1)
    reserve(stores, *(reservation(number, at, MONEY, THEIRS, lease=minute) for number in range(3)))
    assert used(stores, real_now(), MONEY, THEIRS) == [0, 0]
    assert keys(redis) == ["index"]


def test_more_amounts_are_forgotten_at_once_than_lua_can_unpack(redis, stores):
    at = real_now() - HOUR
    cap = Cap("money", "[]", None, limit=10**9, amount=7)
    many = [reservation(number, at, cap, lease=timedelta(minutes=1)) for number in range(9_000)]
    reserve(stores, *(msgspec.structs.replace(each, checks=()) for each in many))
    assert used(stores, real_now(), cap) == [0]
    assert keys(redis) == []


def test_days_that_no_question_can_ask_for_go_with_all_their_slots(redis, stores):
    weekly = Cap("money", "[]", None, keep_seconds=7 * 86_400, limit=10**9, amount=5)
    for number, hours in enumerate([400, 250, 200, 100, 10, 1]):
        send(stores, number, hours, weekly)
    with redis.connect() as client:
        (slots,), (days,), (sums,) = (client.keys(f"*:{name}:*") for name in ("slots", "days", "sums"))
        assert client.zcard(slots) == 3
        assert client.zcard(days) >= 2
        assert sum(int(sum_) for name, sum_ in client.hgetall(sums).items() if name.startswith("q")) == 15
        assert sum(int(sum_) for name, sum_ in client.hgetall(sums).items() if name.startswith("d")) == 15
    assert used(stores, real_now(), weekly) == [10]


def test_all_that_is_kept_of_a_key_ends_together(redis, stores):
    reserve(stores, reservation(1, real_now(), MONEY))
    with redis.connect() as client:
        left = [client.pttl(key) for key in client.keys("*") if "marker" not in key]
    assert keys(redis) == ["days", "leases", "slots", "sums"]
    assert max(left) - min(left) < 1_000
    assert min(left) > DAY.total_seconds() * 1000


def test_what_is_released_is_taken_off_and_nothing_is_left(redis, stores):
    at = real_now()
    insert(stores, decision(1, at, MONEY))
    reserve(stores, reservation(1, at, MONEY))
    end(stores, holding(1, at, MONEY))
    assert used(stores, at, MONEY) == [0]
    assert keys(redis) == []
