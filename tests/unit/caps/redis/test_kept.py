"""What Redis keeps: at most what the caps still need, and as long as they do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.caps.redis import CapsRebuild
from guardrails.caps.redis.keeps import APART, LATE, SLACK, OutgrownError
from guardrails.core.needs import UsageQuery
from guardrails.decide.decider import ONE_TIME
from guardrails.decide.holdings import Reservation, Settlement
from guardrails.errors import DependencyError
from redis_stores import real_now, server_now
from unit.caps.redis.making import (
    BUDGET,
    DAY,
    HOUR,
    MICROSECOND,
    OWN,
    Cap,
    decision,
    end,
    epoch,
    holding,
    insert,
    keys_with_expiry,
    reservation,
    reserve,
    used,
)


def test_keys_end_some_slack_after_the_caps_need_them_no_more(redis, stores):
    at = real_now()
    reserve(stores, reservation(1, at + HOUR, OWN, BUDGET), reservation(2, at, Cap(keep_seconds=60, limit=9)))
    kept = keys_with_expiry(redis)
    needed_until = (at + HOUR + DAY + SLACK).timestamp() * 1000
    assert len(kept) == 5
    assert kept == {key: pytest.approx(needed_until, abs=5_000) for key in kept}


def held_slots(redis) -> dict[str, set[str]]:
    """The decisions that have a slot under each key of a cap."""
    with redis.connect() as client:
        return {key.split(":slots:")[1]: set(client.zrange(key, 0, -1)) for key in client.keys("*:slots:*")}


def send(stores, number: int, hours: float, *caps: Cap) -> None:
    """A decision whose send took place so many hours ago."""
    at = real_now() - timedelta(hours=hours)
    insert(stores, decision(number, at, *caps, state="sent", sent_at=at))
    sent = holding(number, at, *caps, lease=None, sent_at=at)
    stores.do(lambda session: session.caps.settle([Settlement(before=None, after=sent)]))
    used(stores, real_now(), Cap("none"))  # which brings it over


WEEKLY = Cap("weekly", keep_seconds=7 * 86_400, limit=9)
HOURLY = Cap("hourly", keep_seconds=3600, limit=9)
GROWN = Cap("hourly", limit=9)
"""The same cap, once its window was edited to a day."""
AGES = [200, 168.5, 100, 26, 24.5, 10, 2.5, 1.5, 0.5]
NEEDED = {"weekly": 168.5, "cap": 24.5, "hourly": 1.5}
"""The oldest of them that is needed, with the slack of an hour and two minutes."""


def test_redis_holds_what_the_caps_still_need_and_no_more(redis, stores):
    for number, hours in enumerate(AGES):
        send(stores, number, hours, WEEKLY, OWN, HOURLY, BUDGET)
    needed = {
        name: {f"d-{number}" for number, hours in enumerate(AGES) if hours <= oldest}
        for name, oldest in {
            '3:u-1:6:weekly:["u-1"]': NEEDED["weekly"],
            '3:u-1:3:cap:["u-1"]': NEEDED["cap"],
            '3:u-1:6:hourly:["u-1"]': NEEDED["hourly"],
            "0::6:budget:[]": NEEDED["cap"],
        }.items()
    }
    assert held_slots(redis) == needed
    redis.flush()
    stores.gateway.needs_care = True
    stores.mend()
    assert held_slots(redis) == needed, "whether it was told of them one by one or has been filled again"


def test_a_window_that_was_shorter_for_a_while_finds_what_the_longer_one_counted(redis, stores):
    longer, shorter = Cap(keep_seconds=7 * 86_400, limit=9), Cap(keep_seconds=60, limit=9)
    send(stores, 1, 48, longer)
    before = keys_with_expiry(redis)
    send(stores, 2, 47, shorter)
    end(stores, holding(2, real_now() - 47 * HOUR, shorter, lease=None))
    week = UsageQuery(OWN.id, OWN.key, real_now() - 168 * HOUR, 1000, owner=OWN.owner)
    answers = stores.do(lambda session: session.caps.read([week], real_now()))
    assert len(answers[week].times) == 1
    after = keys_with_expiry(redis)
    assert {key: after[key] for key in before} == {key: pytest.approx(before[key], abs=60_000) for key in before}
    assert stores.do(lambda session: session.caps.keys_of("u-1")) == [("cap", '["u-1"]')]


# --- windows that grow


@pytest.mark.parametrize("learned", ["told", "rebuilt"])
def test_a_window_that_has_grown_is_answered_once_redis_was_filled_for_it(redis, stores, learned):
    send(stores, 1, 5, HOURLY)
    send(stores, 2, 0.2, HOURLY)
    if learned == "rebuilt":
        redis.flush()
        stores.gateway.needs_care = True
        stores.mend()
    with pytest.raises(OutgrownError, match="the window of `hourly` has grown"):
        used(stores, real_now(), GROWN)
    stores.mend()
    assert used(stores, real_now(), GROWN) == [2]
    assert not stores.gateway.needs_care


def test_a_window_that_an_edit_makes_longer_is_filled_for_before_anybody_asks(stores):
    send(stores, 1, 5, HOURLY)
    send(stores, 2, 0.2, HOURLY)
    needs = {"hourly": 3600, "new": 60}
    rebuild = CapsRebuild(stores.transactor, stores.gateway, clock=real_now, new_id=str, needs=lambda: needs)
    before = epoch(stores)
    while rebuild.step():
        pass
    assert epoch(stores) == before, "it is kept for long enough"
    needs = {"hourly": GROWN.keep_seconds, "new": 60}
    while rebuild.step():
        pass
    assert used(stores, real_now(), GROWN) == [2]
    assert rebuild.pop_filled().decisions == 2
    stores.transactor.close()
    assert not rebuild.step(), "nobody is asked while nothing changes"


def test_a_window_that_has_grown_is_filled_for_once_whether_it_is_asked_about_or_taken_from(stores):
    send(stores, 1, 5, HOURLY)
    with pytest.raises(OutgrownError):
        used(stores, real_now(), GROWN)
    stores.mend()
    reserve(stores, reservation(2, real_now(), GROWN))
    assert used(stores, real_now(), GROWN) == [2]


def test_a_window_that_has_grown_is_not_taken_from_before_redis_was_filled_for_it(stores):
    send(stores, 1, 5, HOURLY)
    asked = Reservation(holding=holding(2, real_now(), GROWN))
    with pytest.raises(OutgrownError):
        reserve(stores, asked)
    stores.mend()
    assert used(stores, real_now(), GROWN) == [1]
    reserve(stores, asked)
    assert used(stores, real_now(), GROWN) == [2]


def test_a_key_that_ended_is_there_again_for_a_window_that_has_grown(redis, stores):
    send(stores, 1, 5, HOURLY)
    assert held_slots(redis) == {}
    with pytest.raises(OutgrownError):
        used(stores, real_now(), GROWN)
    stores.mend()
    assert used(stores, real_now(), GROWN) == [1]


def test_a_cap_that_is_new_holds_nobody_up(stores):
    send(stores, 1, 0.2, HOURLY)
    reserve(stores, reservation(2, real_now(), WEEKLY, OWN))
    assert used(stores, real_now(), WEEKLY, OWN) == [1, 1]
    assert not stores.gateway.needs_care


def test_what_is_wanted_is_taken_up_by_the_next_who_asks_where_its_process_is_gone(redis, open_stores):
    first, second = open_stores(redis), open_stores(redis)
    first.mend()
    second.mend()
    send(first, 1, 5, HOURLY)
    with pytest.raises(OutgrownError):
        used(first, real_now(), GROWN)
    second.mend()
    with pytest.raises(OutgrownError):
        used(second, real_now(), GROWN)
    second.mend()
    assert used(second, real_now(), GROWN) == [1]


def test_a_shorter_window_leaves_a_cap_as_it_is(stores):
    send(stores, 1, 5, GROWN)
    reserve(stores, Reservation(holding=holding(2, real_now(), HOURLY)))
    assert used(stores, real_now(), GROWN) == [2]


# --- the keys of a recipient


def test_keys_of_a_recipient_are_those_with_slots_that_count(either):
    at = real_now()
    first, second, third = (Cap(cap, key, "u-1") for cap, key in [("b", "k"), ("a", "z"), ("a", "k")])
    reserve(either, reservation(1, at, first, second, BUDGET), reservation(2, at, Cap("a", "k", "u-2")))
    reserve(either, reservation(3, at - HOUR, third, lease=HOUR))
    assert either.do(lambda session: session.caps.keys_of("u-1")) == [("a", "z"), ("b", "k")]
    assert either.do(lambda session: session.caps.keys_of("u-2")) == [("a", "k")]
    assert either.do(lambda session: session.caps.keys_of("nobody")) == []


def test_the_index_of_a_recipient_forgets_keys_that_are_needed_no_more(redis, stores):
    at = real_now()
    gone = Cap("gone", keep_seconds=60)
    long_ago = reservation(1, at - 3 * HOUR, gone, lease=24 * HOUR)
    stores.do(lambda session: session.caps.reserve([long_ago], at))
    reserve(stores, reservation(2, at, OWN))
    with redis.connect() as client:
        (index,) = client.keys("*:index:*")
        assert client.zrange(index, 0, -1) == ['3:cap:["u-1"]']


def test_under_a_given_clock_time_may_go_back(redis, open_stores):
    stores = open_stores(redis, uses_server_time=False)
    stores.mend()
    at = real_now() - timedelta(days=1000)
    reserve(stores, reservation(1, at, OWN), reservation(2, at, OWN, lease=3 * HOUR))
    for later, expected in [(timedelta(0), 2), (HOUR, 1), (3 * HOUR, 0), (HOUR - MICROSECOND, 2)]:
        assert [expected] == used(stores, at + later, OWN)
    needed = (real_now() + DAY + SLACK).timestamp() * 1000  # and not since three years ago
    kept = keys_with_expiry(redis)
    assert len(kept) == 3
    assert kept == {key: pytest.approx(needed, abs=60_000) for key in kept}


# --- clocks that differ


def test_whoever_asks_by_a_clock_that_is_far_behind_is_refused_and_never_told_too_little(redis, stores):
    send(stores, 1, 24.9, OWN)
    behind = server_now(redis) - APART
    assert used(stores, behind + timedelta(minutes=1), OWN) == [1]
    with pytest.raises(DependencyError, match="is far ahead of this machine's") as refused:
        used(stores, behind, OWN)
    assert refused.value.dependency == "caps"
    with pytest.raises(DependencyError, match="is far ahead"):
        reserve(stores, reservation(2, behind, OWN))
    assert used(stores, behind + timedelta(minutes=1), OWN) == [1]
    assert not stores.gateway.needs_care, "to fill the caps again would mend nothing"


def test_whoever_asks_by_a_clock_that_is_ahead_is_answered(stores):
    send(stores, 1, 0.5, OWN)
    assert used(stores, real_now() + 3 * HOUR, OWN) == [1]


def test_the_slack_is_enough_for_clocks_that_differ_and_for_questions_that_waited():
    assert timedelta(0) < ONE_TIME <= LATE == SLACK - APART
