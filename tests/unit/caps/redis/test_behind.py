"""Decisions that Redis is behind with are brought over before anything is answered."""

from __future__ import annotations

import pytest

from guardrails.decide.holdings import Settlement
from guardrails.errors import CapsMoved, DependencyError
from redis_stores import real_now
from unit.caps.redis.making import (
    BUDGET,
    OWN,
    Cap,
    decision,
    end,
    holding,
    insert,
    pending,
    refusal,
    reservation,
    reserve,
    used,
)


def test_decisions_that_wait_are_brought_over_before_anything_is_answered(either):
    at = real_now()
    rows = [decision(number, at, OWN, BUDGET, is_caps_pending=True) for number in range(5)]
    insert(either, *rows, decision(5, at, OWN, state="failed", is_caps_pending=True))
    assert used(either, at, OWN, BUDGET) == [5, 5]
    assert pending(either) == []


def test_decisions_that_wait_are_brought_over_before_anything_is_taken(either):
    at = real_now()
    insert(either, *(decision(number, at, OWN, is_caps_pending=True) for number in range(3)))
    assert refusal(either, reservation(3, at, OWN)) is CapsMoved


def test_where_too_many_wait_the_unit_brings_over_its_share_and_answers_nothing(stores):
    at = real_now()
    insert(stores, *(decision(number, at, OWN, is_caps_pending=True) for number in range(1_100)))

    def work(session):
        with pytest.raises(DependencyError, match="are catching up") as caught:
            session.caps.read([OWN.query(at)], at)
        return caught.value.dependency

    assert stores.do(work) == "caps"
    assert len(pending(stores)) == 100
    assert used(stores, at, OWN) == [1_100]


def test_the_share_of_a_unit_is_counted_in_slots_however_often_it_asks(stores):
    at = real_now()
    caps = [Cap(f"cap-{number}", limit=9_999) for number in range(15)]
    insert(stores, *(decision(number, at, *caps, is_caps_pending=True) for number in range(200)))

    def work(session):
        for _ in range(3):
            with pytest.raises(DependencyError, match="are catching up"):
                session.caps.read([caps[0].query(at)], at)

    stores.do(work)
    assert len(pending(stores)) == 200 - 2 * (1_000 // 15)


def test_what_a_unit_freed_is_brought_over_by_upkeep_before_anybody_asks(stores):
    at = real_now()
    reserve(stores, reservation(1, at, OWN))
    insert(stores, decision(1, at, OWN))
    end(stores, holding(1, at, OWN))
    assert pending(stores) == ["d-1"]
    stores.mend()
    assert pending(stores) == []


def test_more_freed_slots_than_any_unit_brings_over_keep_nobody_waiting_for_long(stores):
    at = real_now()
    caps = [Cap(f"cap-{number}", limit=9_999) for number in range(15)]
    insert(stores, *(decision(number, at, *caps) for number in range(300)))
    held = [holding(number, at, *caps) for number in range(300)]
    stores.do(lambda session: session.caps.settle([Settlement(before=each, after=None) for each in held]))
    with pytest.raises(DependencyError, match="are catching up"):
        used(stores, at, OWN)
    stores.mend()
    assert pending(stores) == []
    assert used(stores, at, OWN) == [0]


def test_what_a_dead_process_left_waiting_is_brought_over_by_the_upkeep_of_whoever_asks(redis, open_stores):
    at = real_now()
    first, second = open_stores(redis), open_stores(redis)
    first.mend()
    second.mend()
    insert(first, *(decision(number, at, OWN, is_caps_pending=True) for number in range(1_100)))
    with pytest.raises(DependencyError, match="are catching up"):
        used(second, at, OWN)
    second.mend()
    assert pending(second) == []


def test_while_the_caps_are_incomplete_what_waits_is_left_to_whoever_builds_them(redis, open_stores):
    first, second = open_stores(redis), open_stores(redis)
    first.rebuild.step()
    second.gateway.needs_care, second.gateway.is_behind = False, True
    assert not second.rebuild.step()
    assert second.gateway.needs_care


def test_what_waits_is_brought_over_while_nobody_asks(stores):
    at = real_now()
    insert(stores, *(decision(number, at, OWN, is_caps_pending=True) for number in range(1_100)))
    stores.gateway.needs_care = True
    assert stores.mend() == 2
    assert pending(stores) == []


def test_many_outcomes_are_told_in_calls_that_keep_redis_for_a_moment_only(redis, stores):
    at = real_now()
    reserve(stores, reservation(1, at, BUDGET))  # so that the script is known there
    settlements = [Settlement(before=None, after=holding(number, at, OWN, lease=None)) for number in range(2_500)]
    with redis.connect() as client:
        client.config_resetstat()
        stores.do(lambda session: session.caps.settle(settlements))
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 10
    assert used(stores, at, OWN) == [2_500]


@pytest.mark.parametrize("was_held", [True, False])
def test_an_outcome_that_redis_can_not_be_told_waits_for_it(redis, stores, was_held):
    at = real_now()
    before = holding(1, at, OWN) if was_held else None
    sent = holding(1, at, OWN, lease=None, sent_at=at)
    insert(stores, decision(1, at, OWN, state="sent", sent_at=at))
    redis.kill()
    try:
        stores.do(lambda session: session.caps.settle([Settlement(before=before, after=sent)]))
    finally:
        redis.ensure_running()
    assert pending(stores) == ["d-1"]
