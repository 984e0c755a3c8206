from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.caps.redis.plans import Placement, add_placement
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.errors import CapsMoved, DependencyError
from redis_stores import real_now
from servers import wait_until
from unit.caps.redis.making import BUDGET, HOUR, OWN, Cap, decision, holding, reservation, used

MICROSECOND = timedelta(microseconds=1)


class BrokenUnitError(Exception):
    """What makes a unit fail."""


def reserve(stores, *reservations: Reservation) -> None:
    at = reservations[0].holding.at
    stores.do(lambda session: session.caps.reserve(reservations, at))


def refusal(stores, *reservations: Reservation) -> type[Exception] | None:
    """What a store that asks once would hear; the transactor asks several times."""

    def work(session):
        try:
            session.caps.reserve(reservations, reservations[0].holding.at)
        except CapsMoved as error:
            return type(error)
        return None

    return stores.do(work)


def insert(stores, *decisions) -> None:
    stores.do(lambda session: session.decisions.insert(decisions))


def end(stores, before: Holding, after: Holding | None = None) -> None:
    """As an outcome that frees: the caps are told, and the row changes."""

    def work(session):
        session.caps.settle([Settlement(before=before, after=after)])
        row = session.decisions.by_id([before.decision_id])[before.decision_id]
        session.decisions.update([msgspec.structs.replace(row, state="failed")])

    stores.do(work)


def pending(stores) -> list[str]:
    return [row.decision_id for row in stores.do(lambda session: session.decisions.caps_pending(10_000))]


# --- check all, take all


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
        add_placement(calls, Placement.of_reservation(reservation(number + 3, now, budget)))
        add_placement(calls, Placement.in_place_of([ended[number]], kept[number]))
    for number in (5, 6):
        add_placement(calls, Placement.of_reservation(reservation(number, now, budget)))
    assert {expected} == {reply.status for reply in stores.gateway.run(calls, epoch.servers, now=now).values()}


def test_under_a_given_clock_time_may_go_back(redis, open_stores):
    stores = open_stores(redis, uses_server_time=False)
    stores.mend()
    at = real_now() - timedelta(days=1000)
    reserve(stores, reservation(1, at, OWN), reservation(2, at, OWN, lease=3 * HOUR))
    for later, expected in [(timedelta(0), 2), (HOUR, 1), (3 * HOUR, 0), (HOUR - MICROSECOND, 2)]:
        assert [expected] == used(stores, at + later, OWN)
    needed = (real_now() + timedelta(seconds=86_400 + 3600)).timestamp() * 1000  # and not since three years ago
    kept = keys_with_expiry(redis)
    assert len(kept) == 3
    assert kept == {key: pytest.approx(needed, abs=60_000) for key in kept}


# --- what is kept, and for how long


def keys_with_expiry(redis) -> dict[str, int]:
    """Milliseconds since 1970 until which each key is kept."""
    with redis.connect() as client:
        seconds, micros = client.time()
        now = seconds * 1000 + micros // 1000
        return {key.split(":", 3)[3]: now + client.pttl(key) for key in client.keys("*") if "marker" not in key}


def test_keys_end_an_hour_after_the_caps_need_them_no_more(redis, stores):
    at = real_now()
    reserve(stores, reservation(1, at + HOUR, OWN, BUDGET), reservation(2, at, Cap(keep_seconds=60, limit=9)))
    kept = keys_with_expiry(redis)
    needed_until = (at + HOUR + timedelta(seconds=86_400 + 3600)).timestamp() * 1000
    assert len(kept) == 5
    assert kept == {key: pytest.approx(needed_until, abs=5_000) for key in kept}


def test_a_window_that_was_shorter_for_a_while_finds_what_the_longer_one_counted(redis, stores):
    at = real_now()
    longer, shorter = Cap(keep_seconds=7 * 86_400, limit=9), Cap(keep_seconds=60, limit=9)
    sent = holding(1, at - 48 * HOUR, longer, lease=None, sent_at=at - 48 * HOUR)
    stores.do(lambda session: session.caps.settle([Settlement(before=None, after=sent)]))
    before = keys_with_expiry(redis)
    reserve(stores, reservation(2, at - 47 * HOUR, shorter, lease=72 * HOUR))
    held = holding(2, at - 47 * HOUR, shorter, lease=72 * HOUR)
    stores.do(lambda session: session.caps.settle([Settlement(before=held, after=None)]))
    after = keys_with_expiry(redis)
    assert {key: after[key] for key in before} == {key: pytest.approx(before[key], abs=1_000) for key in before}
    week = UsageQuery(OWN.id, OWN.key, at - 168 * HOUR, 1000, owner=OWN.owner)
    answers = stores.do(lambda session: session.caps.read([week], at))
    assert len(answers[week].times) == 1
    assert stores.do(lambda session: session.caps.keys_of("u-1")) == [("cap", '["u-1"]')]


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
    reserve(stores, reservation(1, at - 3 * HOUR, gone, lease=24 * HOUR))
    reserve(stores, reservation(2, at, OWN))
    with redis.connect() as client:
        (index,) = client.keys("*:index:*")
        assert client.zrange(index, 0, -1) == ['3:cap:["u-1"]']


# --- what becomes of decisions


def test_a_send_outlives_its_lease(either):
    at = real_now()
    held = holding(1, at - HOUR, OWN, lease=HOUR)
    reserve(either, Reservation(holding=held))
    sent = msgspec.structs.replace(held, lease_until=None, sent_at=at)
    either.do(lambda session: session.caps.settle([Settlement(before=held, after=sent)]))
    assert used(either, real_now(), OWN) == [1]
    assert pending(either) == []


def test_the_same_settlement_again_changes_nothing(either):
    at = real_now()
    held = holding(1, at, OWN, Cap("other", count_on="sent"), lease=None, sent_at=at)
    for _ in range(3):
        either.do(lambda session: session.caps.settle([Settlement(before=None, after=held)]))
    assert used(either, at, OWN, Cap("other")) == [1, 1]


def test_what_is_settled_does_not_depend_on_what_was_there_before(either):
    at = real_now()
    held = holding(1, at, OWN, lease=None)
    either.do(lambda session: session.caps.settle([Settlement(before=holding(1, at, OWN), after=held)]))
    assert used(either, at, OWN) == [1]


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_slot_that_no_lease_ends_is_there_once_that_is_committed(either, was_sent):
    at = real_now()
    delivered_only = Cap(count_on="delivered")
    insert(either, decision(1, at, delivered_only, state="sent" if was_sent else "expired"))
    before = holding(1, at, delivered_only, lease=None, sent_at=at) if was_sent else None
    after = holding(1, at, delivered_only, lease=None, sent_at=at, delivered_at=at)

    def work(session):
        session.caps.settle([Settlement(before=before, after=after)])
        row = session.decisions.by_id(["d-1"])["d-1"]
        session.decisions.update([msgspec.structs.replace(row, state="sent", sent_at=at, delivered_at=at)])
        return session.caps.read([delivered_only.query(at)], at)[delivered_only.query(at)].times

    assert either.do(work) == (), "a process that dies here leaves nothing"
    assert used(either, at, delivered_only) == [1]


def test_slots_are_freed_once_that_is_committed(either):
    at = real_now()
    reserve(either, reservation(1, at, OWN, BUDGET))
    insert(either, decision(1, at, OWN, BUDGET))
    end(either, holding(1, at, OWN, BUDGET))
    assert pending(either) == ["d-1"], "not before"
    assert used(either, at, OWN, BUDGET) == [0, 0]
    assert pending(either) == []


def test_slots_are_not_freed_where_the_unit_is_not_committed(either):
    at = real_now()
    reserve(either, reservation(1, at, OWN))
    insert(either, decision(1, at, OWN))

    def work(session):
        session.caps.settle([Settlement(before=holding(1, at, OWN), after=None)])
        raise BrokenUnitError

    with pytest.raises(BrokenUnitError):
        either.do(work)
    assert pending(either) == []
    assert used(either, at, OWN) == [1]


def test_a_slot_is_moved_once_that_is_committed(either):
    at = real_now()
    cap = Cap(count_on="sent")
    later = holding(1, at, cap, lease=None, sent_at=at)
    earlier = msgspec.structs.replace(later, sent_at=at - HOUR)
    insert(either, decision(1, at, cap, state="sent", sent_at=at))
    either.do(lambda session: session.caps.settle([Settlement(before=None, after=later)]))

    def work(session):
        session.caps.settle([Settlement(before=later, after=earlier)])
        row = session.decisions.by_id(["d-1"])["d-1"]
        session.decisions.update([msgspec.structs.replace(row, sent_at=at - HOUR)])

    either.do(work)
    query = cap.query(at)
    assert Usage(0, (at - HOUR,)) == either.do(lambda session: session.caps.read([query], at))[query]


def test_several_settlements_of_one_decision_end_as_the_last_one_says(either):
    at = real_now()
    insert(either, decision(1, at, OWN, state="sent", sent_at=at))
    held = holding(1, at, OWN)
    sent = msgspec.structs.replace(held, lease_until=None, sent_at=at)
    steps = [
        Settlement(before=held, after=sent),
        Settlement(before=sent, after=None),
        Settlement(before=None, after=sent),
    ]
    either.do(lambda session: session.caps.settle(steps))
    assert used(either, real_now() + 2 * HOUR, OWN) == [1]
    either.do(lambda session: (session.caps.settle(steps[:2]), session.caps.settle(steps[2:])))
    assert used(either, real_now() + 2 * HOUR, OWN) == [1]


def test_what_a_forgotten_decision_held_is_freed_with_it(either):
    at = real_now()
    reserve(either, reservation(1, at, OWN))
    insert(either, decision(1, at, OWN))

    def work(session):
        session.caps.settle([Settlement(before=holding(1, at, OWN), after=None)])
        session.decisions.remove(["d-1"])

    either.do(work)
    assert used(either, at, OWN) == [0]


def test_a_settlement_of_nothing_is_fine(stores):
    stores.do(lambda session: session.caps.settle([]))
    stores.do(lambda session: session.caps.settle([Settlement(before=None, after=None)]))
    stores.do(lambda session: session.caps.reserve([], real_now()))
    assert stores.do(lambda session: session.caps.read([], real_now())) == {}


# --- units that fail


def test_what_a_unit_took_is_taken_back_where_it_is_not_committed(either):
    at = real_now()

    def work(session):
        session.caps.reserve([reservation(1, at, OWN, BUDGET)], at)
        session.caps.reserve([reservation(2, at, OWN)], at)
        raise BrokenUnitError

    with pytest.raises(BrokenUnitError):
        either.do(work)
    assert used(either, at, OWN, BUDGET) == [0, 0]


def test_what_a_unit_took_stays_where_it_is_committed(either):
    at = real_now()
    reserve(either, reservation(1, at, OWN, BUDGET))
    assert used(either, at, OWN, BUDGET) == [1, 1]


def test_what_a_unit_settled_is_as_it_was_where_it_is_not_committed(either):
    at = real_now()
    held = holding(1, at - HOUR + timedelta(seconds=1), OWN, lease=HOUR)
    sent = msgspec.structs.replace(held, lease_until=None, sent_at=at)
    reserve(either, Reservation(holding=held))

    def work(session):
        session.caps.settle([Settlement(before=held, after=sent)])
        session.caps.settle([Settlement(before=sent, after=msgspec.structs.replace(sent, delivered_at=at))])
        raise BrokenUnitError

    with pytest.raises(BrokenUnitError):
        either.do(work)
    wait_until(lambda: used(either, real_now(), OWN) == [0], lambda: "it outlives its lease")


def test_listeners_are_gone_with_their_unit(stores):
    at = real_now()
    reserve(stores, reservation(1, at, OWN))

    def work(session):
        raise BrokenUnitError

    with pytest.raises(BrokenUnitError):
        stores.do(work)
    assert used(stores, at, OWN) == [1]


# --- catching up


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


def test_an_outcome_that_redis_can_not_be_told_waits_for_it(redis, stores):
    at = real_now()
    held = holding(1, at, OWN, lease=None, sent_at=at)
    insert(stores, decision(1, at, OWN, state="sent", sent_at=at))
    redis.kill()
    try:
        stores.do(lambda session: session.caps.settle([Settlement(before=None, after=held)]))
    finally:
        redis.ensure_running()
    assert pending(stores) == ["d-1"]
