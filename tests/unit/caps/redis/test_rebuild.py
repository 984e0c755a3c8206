from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.caps.moving import Filled
from guardrails.caps.redis import CapsRebuild, RedisGateway, rebuild
from guardrails.caps.redis.epochs import CapEpoch
from guardrails.errors import DependencyError
from redis_stores import PATIENT_SECONDS, real_now
from stores import open_stores as open_sql_stores
from stores import sqlite_url
from unit.caps.redis.making import BUDGET, HOUR, OWN, Cap, decide, decision, epoch, report_failed, used

CLAIM = rebuild.CLAIM


class Clock:
    def __init__(self, now=None) -> None:
        self.now = now or real_now()

    def __call__(self):
        return self.now


# --- when


def test_the_caps_of_an_empty_database_are_complete_at_once(redis, open_stores):
    stores = open_stores(redis)
    assert epoch(stores) == CapEpoch()
    assert stores.mend() < 6
    assert epoch(stores).is_complete
    assert epoch(stores).servers == stores.gateway.survey()
    assert used(stores, real_now(), OWN) == [0]


def test_before_they_are_complete_the_caps_are_out_of_reach(redis, open_stores):
    stores = open_stores(redis)
    with pytest.raises(DependencyError, match="live in the database; leave out --caps") as caught:
        used(stores, real_now(), OWN)
    assert caught.value.dependency == "caps"
    assert stores.rebuild.step()
    with pytest.raises(DependencyError, match="are being rebuilt"):
        used(stores, real_now(), OWN)


def test_with_what_they_were_filled_is_told_once(redis, stores):
    assert stores.rebuild.pop_filled() == Filled("redis", 0, 0, pytest.approx(0, abs=60))
    at = real_now()
    rows = [decision(number, at, OWN, BUDGET) for number in range(601)]
    stores.do(lambda session: session.decisions.insert([*rows, decision(999, at, OWN, state="expired")]))
    stores.gateway.needs_care = True
    stores.mend()
    assert stores.rebuild.pop_filled() is None, "nothing was wanting"
    redis.flush()
    stores.gateway.needs_care = True
    stores.mend()
    assert stores.rebuild.pop_filled() == Filled("redis", 601, 1202, pytest.approx(0, abs=60))
    assert stores.rebuild.pop_filled() is None


def test_nothing_is_done_while_nothing_is_wanting(stores):
    before = epoch(stores)
    stores.transactor.close()  # it is not even asked
    assert [stores.rebuild.step() for _ in range(3)] == [False] * 3
    assert before.is_complete


def test_a_process_that_starts_later_finds_them_complete(redis, stores, open_stores):
    before = epoch(stores)
    later = open_stores(redis)
    later.mend()
    assert epoch(later) == before
    assert not later.gateway.needs_care


@pytest.mark.parametrize("loss", ["flush", "restart"])
def test_what_redis_lost_is_rebuilt_from_the_decisions(redis, stores, loss):
    for number in range(3):
        decide(stores, number, OWN, BUDGET)
    report_failed(stores, 0)
    before = epoch(stores)
    getattr(redis, loss)()
    decide(stores, 3, OWN)
    stores.mend_patiently()
    assert used(stores, real_now(), OWN, BUDGET) == [3, 2]
    assert epoch(stores).name != before.name


def test_every_process_trusts_what_one_has_rebuilt(redis, stores, open_stores):
    other = open_stores(redis)
    other.mend()
    decide(stores, 1, OWN)
    redis.restart()
    with pytest.raises(DependencyError):
        used(other, real_now(), OWN)
    stores.gateway.needs_care = True
    stores.mend_patiently()
    assert used(other, real_now(), OWN) == [1]
    other.mend()
    assert not other.gateway.needs_care


def test_more_decisions_than_fit_a_page_are_all_copied(redis, stores):
    at = real_now()
    rows = [decision(number, at, Cap(f"cap-{number % 3}", limit=9999)) for number in range(1_203)]
    stores.do(lambda session: session.decisions.insert(rows))
    redis.flush()
    stores.gateway.needs_care = True
    assert stores.mend() == 5
    assert used(stores, at, *(Cap(f"cap-{number}") for number in range(3))) == [401] * 3


def test_only_what_is_still_needed_is_copied(redis, stores):
    at = real_now()
    rows = [
        decision(1, at - 30 * HOUR, OWN, state="sent"),
        decision(3, at, OWN, state="expired"),
        decision(4, at, state="none"),
    ]
    stores.do(lambda session: session.decisions.insert(rows))
    redis.flush()
    stores.gateway.needs_care = True
    stores.mend()
    with redis.connect() as client:
        assert [key for key in client.keys("*") if "marker" not in key] == []


@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_builder_whose_clock_is_wrong_copies_what_is_needed_by_that_of_redis(redis, stores, open_stores, minutes):
    at = real_now()
    lease = timedelta(minutes=10)
    stores.do(lambda session: session.decisions.insert([decision(1, at, OWN, lease=lease)]))
    redis.flush()
    open_stores(redis, clock=Clock(at + timedelta(minutes=minutes))).mend()
    assert used(stores, at, OWN) == [1]


# --- while it runs


def test_what_changes_while_it_runs_is_brought_over_before_anything_is_answered(redis, stores):
    for number in range(4):
        decide(stores, number, Cap("other", limit=9))
    redis.flush()
    stores.gateway.needs_care = True
    number = 10
    while stores.rebuild.step():
        decide(stores, number, Cap("other", limit=9))
        report_failed(stores, number - 10) if number < 14 else None
        number += 1
        if not epoch(stores).is_complete:
            with pytest.raises(DependencyError):
                used(stores, real_now(), OWN)
    assert number > 12
    decided, ended = 4 + (number - 10), min(4, number - 10)
    assert used(stores, real_now(), Cap("other")) == [decided - ended]
    assert not stores.do(lambda session: session.decisions.caps_pending(100))


def test_more_changes_than_a_unit_brings_over_are_brought_over_in_several(redis, stores):
    redis.flush()
    stores.gateway.needs_care = True
    while stores.rebuild.step() and epoch(stores).building is None:
        pass
    at = real_now()
    rows = [decision(number, at, OWN, is_caps_pending=True) for number in range(1_100)]
    stores.do(lambda session: session.decisions.insert(rows))
    stores.mend()
    assert used(stores, at, OWN) == [1_100]


@pytest.mark.parametrize("number", [300, 700, 3_000])
def test_it_ends_however_many_decisions_change_between_its_steps(redis, stores, number):
    redis.flush()
    stores.gateway.needs_care = True
    at = real_now()
    decided = 0
    while stores.rebuild.step():
        rows = [decision(decided + each, at, OWN, is_caps_pending=True) for each in range(number)]
        stores.do(lambda session, rows=rows: session.decisions.insert(rows))
        decided += number
        assert decided <= 12 * number
    stores.mend()
    assert used(stores, at, OWN) == [decided]


def test_decisions_that_hold_nothing_are_not_even_looked_at(redis, stores):
    at = real_now()
    rows = [decision(number, at, state="none", takes=()) for number in range(1_200)]
    stores.do(lambda session: session.decisions.insert([*rows, decision(9_999, at, OWN)]))
    redis.flush()
    stores.gateway.needs_care = True
    assert stores.mend() == 3
    assert used(stores, at, OWN) == [1]


def test_what_a_later_page_says_of_a_window_is_so_for_the_pages_before(redis, stores):
    at = real_now() - 5 * HOUR
    shorter, longer = Cap(keep_seconds=3600, limit=9999), Cap(limit=9999)
    rows = [decision(number, at, shorter, state="sent", sent_at=at) for number in range(600)]
    last = decision(999, at, longer, state="sent", sent_at=at)
    stores.do(lambda session: session.decisions.insert([*rows, last]))
    redis.flush()
    stores.gateway.needs_care = True
    stores.mend()
    assert used(stores, real_now(), longer) == [601]


def test_what_is_decided_while_it_runs_by_a_longer_window_is_so_for_all(redis, stores):
    at = real_now() - 5 * HOUR
    shorter, longer = Cap(keep_seconds=3600, limit=9999), Cap(limit=9999)
    stores.do(lambda session: session.decisions.insert([decision(1, at, shorter, state="sent", sent_at=at)]))
    redis.flush()
    stores.gateway.needs_care = True
    for _ in range(3):
        stores.rebuild.step()
    stores.do(lambda session: session.decisions.insert([decision(2, real_now(), longer, is_caps_pending=True)]))
    stores.mend()
    assert used(stores, real_now(), longer) == [2]


def test_a_redis_that_is_lost_again_while_it_runs_is_rebuilt_from_the_start(redis, open_stores):
    stores = open_stores(redis, clock=Clock())  # time stands still: nobody waits for a claim to run out
    at = real_now()
    rows = [decision(number, at, OWN) for number in range(1_100)]
    stores.do(lambda session: session.decisions.insert(rows))
    for steps in range(1, 9):
        redis.flush()
        stores.gateway.needs_care = True
        for _ in range(steps):
            stores.rebuild.step()
    redis.restart()
    stores.gateway.needs_care = True
    stores.mend_patiently()
    assert used(stores, at, OWN) == [1_100]


def test_a_redis_that_goes_away_for_a_while_is_gone_on_with(redis, stores):
    at = real_now()
    rows = [decision(number, at, OWN) for number in range(1_100)]
    stores.do(lambda session: session.decisions.insert(rows))
    redis.flush()
    stores.gateway.needs_care = True
    while stores.rebuild.step() and epoch(stores).building is None:
        pass
    name = epoch(stores).building
    stores.rebuild.step()
    stores.rebuild.step()
    with redis.connect() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(DependencyError):
            stores.rebuild.step()
        client.config_set("maxmemory", 0)
    stores.mend()
    assert epoch(stores).name == name
    assert used(stores, at, OWN) == [1_100]


# --- by one at a time


def test_one_builds_while_the_others_wait(redis, open_stores):
    first, second = open_stores(redis), open_stores(redis)
    assert first.rebuild.step()
    assert not second.rebuild.step()
    name = epoch(first).building
    first.mend()
    assert epoch(second).name == name
    second.mend()
    assert not second.gateway.needs_care


def test_what_a_dead_builder_left_is_taken_over_by_another_who_builds_anew(redis, stores, open_stores):
    decide(stores, 1, OWN)
    clock = Clock()
    redis.flush()
    first, second = (open_stores(redis, clock=clock) for _ in range(2))
    first.rebuild.step()
    first.rebuild.step()
    abandoned = epoch(first).building
    clock.now += CLAIM - timedelta(microseconds=1)
    assert not second.rebuild.step()
    clock.now += timedelta(microseconds=1)
    assert second.rebuild.step()
    taken_over = epoch(first).building
    assert taken_over != abandoned
    assert first.rebuild.step(), "it sees that it was given up, and looks again"
    assert not first.rebuild.step()
    second.mend()
    assert epoch(first).name == taken_over
    assert used(second, real_now(), OWN) == [1]
    first.mend()
    assert epoch(first).name == taken_over


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_builder_whose_claim_ran_out_finishes_nothing(redis, open_stores, steps):
    clock = Clock()
    first, second = (open_stores(redis, clock=clock) for _ in range(2))
    for _ in range(steps):
        first.rebuild.step()
    clock.now += CLAIM
    assert second.rebuild.step()
    first.rebuild.step()
    assert not epoch(first).is_complete
    second.mend()
    assert epoch(first).is_complete


def test_a_step_holds_others_off_anew(redis, open_stores):
    clock = Clock()
    stores = open_stores(redis, clock=clock)
    stores.rebuild.step()
    stores.rebuild.step()
    clock.now += CLAIM / 2
    stores.rebuild.step()
    assert epoch(stores).building_until == clock.now + CLAIM


# --- faults of others


def test_a_database_that_is_out_of_reach_is_told_of(stores):
    stores.gateway.needs_care = True
    stores.transactor.close()
    with pytest.raises(DependencyError) as caught:
        stores.rebuild.step()
    assert caught.value.dependency == "database"
    assert stores.gateway.needs_care


def test_caps_that_are_not_in_redis_are_no_work_of_it(redis, tmp_path):
    transactor = open_sql_stores(sqlite_url(tmp_path / "sql.db"))
    gateway = RedisGateway(redis.url, deadline_seconds=PATIENT_SECONDS)
    with pytest.raises(TypeError):
        CapsRebuild(transactor, gateway, clock=real_now, new_id=str).step()
    transactor.close()


def test_what_was_held_before_the_caps_lived_in_redis_is_there_from_the_start(redis, tmp_path, open_stores):
    at = real_now()
    transactor = open_sql_stores(sqlite_url(tmp_path / "guardrails.db"))
    transactor.call(lambda session, _: [session.decisions.insert([decision(1, at, OWN)])], None)
    transactor.close()
    stores = open_stores(redis)
    stores.mend()
    assert used(stores, at, OWN) == [1]
