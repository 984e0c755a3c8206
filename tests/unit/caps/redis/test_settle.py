"""What becomes of decisions, in Redis: freed or moved once that is committed, kept at once."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.core.needs import Usage
from guardrails.decide.holdings import Reservation, Settlement
from redis_stores import real_now
from servers import wait_until
from unit.caps.redis.making import (
    BUDGET,
    HOUR,
    OWN,
    BrokenUnitError,
    Cap,
    decision,
    end,
    holding,
    insert,
    pending,
    reservation,
    reserve,
    used,
)


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
