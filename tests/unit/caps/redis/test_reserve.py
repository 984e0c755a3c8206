"""Check all, take all, in one step; and leases that end by themselves."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.caps.redis.plans import Placement, add_placement
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation
from guardrails.errors import CapsMoved
from redis_stores import real_now
from servers import wait_until
from unit.caps.redis.making import (
    BUDGET,
    HOUR,
    MICROSECOND,
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


def test_slots_are_taken_up_to_the_limit_and_not_beyond(either):
    at = real_now()
    answers = [refusal(either, reservation(number, at, OWN)) for number in range(5)]
    assert [None, None, None, CapsMoved, CapsMoved] == answers
    assert used(either, at, OWN) == [3]


def test_a_refused_decision_takes_nothing_of_any_cap(either):
    at = real_now()
    full = Cap("full", "[]", None, limit=0)
    others = [Cap("own", '["u-1"]', "u-1"), BUDGET, Cap("other", "[1]", None)]
    for caps in ([full, *others], [*others, full], [others[0], full, *others[1:]]):
        assert refusal(either, reservation(1, at, *caps)) is CapsMoved
        assert used(either, at, full, *others) == [0, 0, 0, 0]


def test_one_that_is_refused_takes_back_all_that_come_with_it(either):
    at = real_now()
    assert refusal(either, *(reservation(number, at, OWN, BUDGET) for number in range(4))) is CapsMoved
    assert used(either, at, OWN, BUDGET) == [0, 0]


def test_decisions_made_together_see_those_before_them(either):
    at = real_now()
    assert refusal(either, *(reservation(number, at, OWN) for number in range(3))) is None
    assert refusal(either, *(reservation(number, at, OWN) for number in range(3, 5))) is CapsMoved


def test_a_check_counts_from_its_start_up_to_before_its_end(stores):
    at = real_now()
    reserve(stores, reservation(1, at, OWN))
    for start, end_, is_free in [
        (at, at + MICROSECOND, False),
        (at - HOUR, at, True),
        (at + MICROSECOND, at + HOUR, True),
    ]:
        check = CapCheck(OWN.query(at), start, end_, 1)
        answer = refusal(stores, Reservation(holding=holding(2, at), checks=(check,)))
        assert is_free is (answer is None)


def test_a_decision_that_takes_nothing_is_checked_all_the_same(stores):
    at = real_now()
    sent_only = Cap(count_on="sent", limit=1)
    reserve(stores, reservation(1, at, OWN))
    assert refusal(stores, reservation(2, at, sent_only)) is CapsMoved
    assert used(stores, at, OWN) == [1]


def test_ten_thousand_caps_on_one_decision_are_taken_at_once(stores):
    at = real_now()
    caps = [Cap(f"cap-{number}", '["u-1"]', "u-1") for number in range(10_000)]
    reserve(stores, reservation(1, at, *caps))
    assert len(stores.do(lambda session: session.caps.keys_of("u-1"))) == 10_000
    assert refusal(stores, reservation(2, at, *caps, Cap("full", limit=0))) is CapsMoved
    assert used(stores, at, caps[-1]) == [1]


ODD = ["{}", "}{g1}{", "a:b:c", "", " ", "\n\r\x7f", "ключ", "鍵🔑", "\U0010ffff", "*[x]?", '"\\']


@pytest.mark.parametrize("text", ODD)
def test_ids_may_hold_any_character(either, text):
    at = real_now()
    cap = Cap(f"cap{text}", f'["{text}"]', f"u{text}", limit=1)
    shared = Cap(f"budget{text}", text, None, limit=1)
    held = msgspec.structs.replace(holding(1, at, cap, shared), decision_id=f"d{text}")
    reserve(either, Reservation(holding=held, checks=(cap.check(at), shared.check(at))))
    assert refusal(either, reservation(2, at, cap)) is CapsMoved
    assert used(either, at, cap, shared) == [1, 1]
    assert [(cap.id, cap.key)] == either.do(lambda session: session.caps.keys_of(cap.owner))
    insert(either, decision(1, at, cap, shared, decision_id=f"d{text}"))
    end(either, held)
    assert used(either, at, cap, shared) == [0, 0]


def test_instants_beyond_what_a_double_holds_exactly_still_count(stores):
    at = real_now()
    forever = at.max.replace(tzinfo=at.tzinfo)
    take = Take("cap", "k", countdown_seconds=10**9, owner="u-1")
    reserve(stores, Reservation(holding=Holding(decision_id="d-1", takes=(take,), at=forever, lease_until=forever)))
    query = UsageQuery("cap", "k", at, 10, "until", "u-1")
    assert Usage(0, (forever,)) == stores.do(lambda session: session.caps.read([query], at))[query]


# --- leases


def test_a_lease_that_has_ended_frees_its_slots_by_itself(either):
    at = real_now() - HOUR
    reserve(either, reservation(1, at, OWN, BUDGET, lease=HOUR), reservation(2, at, OWN, lease=2 * HOUR))
    assert used(either, real_now(), OWN, BUDGET) == [1, 0]


def test_a_lease_ends_only_once_both_clocks_say_so(stores):
    at = real_now()
    reserve(stores, reservation(1, at, OWN))
    assert used(stores, at + 2 * HOUR, OWN) == [1], "the server's clock does not say so yet"
    past = at - HOUR
    reserve(stores, reservation(2, past, OWN, lease=HOUR))
    assert used(stores, at - timedelta(minutes=5), OWN) == [2], "the decision is older than the end of the lease"
    assert used(stores, real_now(), OWN) == [1]
    assert used(stores, at - timedelta(minutes=5), OWN) == [2], "it may have had to wait, so the lease is remembered"


def test_slots_are_forgotten_some_time_after_their_lease_has_ended(redis, stores):
    at = real_now() - HOUR
    reserve(stores, *(reservation(number, at, BUDGET, lease=timedelta(minutes=1)) for number in range(3)))
    assert used(stores, real_now(), BUDGET) == [0]
    with redis.connect() as client:
        assert [key for key in client.keys("*") if "marker" not in key] == []


def test_more_slots_are_forgotten_at_once_than_lua_can_unpack(stores):
    at = real_now() - HOUR
    cap = Cap("budget", "[]", None, limit=100_000)
    many = [reservation(number, at, cap, lease=timedelta(minutes=1)) for number in range(9_000)]
    reserve(stores, *(msgspec.structs.replace(each, checks=()) for each in many))
    assert used(stores, real_now(), cap) == [0]


def test_a_lease_that_has_ended_makes_room(stores):
    at = real_now()
    for number in range(3):
        reserve(stores, reservation(number, at - HOUR, OWN, lease=HOUR))
    assert refusal(stores, reservation(3, real_now(), OWN)) is None


def test_many_reservations_and_questions_are_told_in_calls_of_a_bounded_size(redis, stores):
    at = real_now()
    caps = [Cap(f"cap-{number % 10}", f"[{number}]", f"u-{number}", limit=1) for number in range(600)]
    used(stores, at, OWN)
    with redis.connect() as client:
        client.config_resetstat()
        reserve(stores, *(reservation(number, at, cap) for number, cap in enumerate(caps)))
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
        assert used(stores, at, *caps) == [1] * 600
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 6


def test_of_a_key_that_many_ask_about_redis_is_asked_once(redis, stores):
    at = real_now()
    reserve(stores, *(reservation(number, at, Cap("budget", "[]", None, limit=9)) for number in range(5)))
    queries = [BUDGET.query(at + number * MICROSECOND) for number in range(100)]
    with redis.connect() as client:
        client.config_resetstat()
        answers = stores.do(lambda session: session.caps.read(queries, at))
        assert client.info("commandstats")["cmdstat_zrevrangebyscore"]["calls"] == 1
    assert {len(answers[query].times) for query in queries} == {5}


def test_where_a_later_call_refuses_what_the_earlier_ones_took_is_taken_back(either):
    at = real_now()
    caps = [Cap("cap", f"[{number}]", f"u-{number}") for number in range(600)]
    refused = reservation(600, at, Cap("full", limit=0))
    asked = [reservation(number, at, cap) for number, cap in enumerate(caps)]
    assert refusal(either, *asked, refused) is CapsMoved
    assert used(either, at, *caps) == [0] * 600


@pytest.mark.parametrize(("limit", "expected"), [(4, "MOVED"), (5, "MOVED"), (6, "OK")])
def test_slots_that_outlive_their_lease_meanwhile_count_for_those_after_them(stores, limit, expected):
    budget = Cap("budget", "[]", None, limit=limit)
    ended = [holding(number, real_now() - HOUR, budget) for number in range(3)]
    reserve(stores, *(Reservation(holding=each) for each in ended))
    wait_until(lambda: used(stores, real_now(), budget) == [0], lambda: "the leases don't end")
    now = real_now()
    kept = [msgspec.structs.replace(each, lease_until=None, sent_at=now) for each in ended]
    epoch = stores.do(lambda session: session.caps.epochs.read())
    calls = stores.gateway.calls("place", epoch.name)
    for number in range(2):
        add_placement(calls, Placement.of_reservation(reservation(number + 3, now, budget)), epoch.keeps)
        add_placement(calls, Placement.in_place_of([ended[number]], kept[number]), epoch.keeps)
    for number in (5, 6):
        add_placement(calls, Placement.of_reservation(reservation(number, now, budget)), epoch.keeps)
    assert {expected} == {reply.status for reply in stores.gateway.run(calls, epoch.servers, now=now).values()}
