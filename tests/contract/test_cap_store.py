from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.core.needs import Take, Usage, UsageQuery
from guardrails.decide.ports import Reservation
from stores import instant

NOW = instant(12)
LEASE = instant(13)
LONG_AGO = instant(0)
TEN = instant(10)


def reserve(do, number: int, *takes: Take, at=TEN, lease_until=LEASE) -> None:
    reservation = Reservation(decision_id=f"d-{number}", takes=takes, at=at, lease_until=lease_until)
    do(lambda session: session.caps.reserve([reservation]))


def usage(do, *, cap="cap", key="k", since=LONG_AGO, newest=10, by="counted_at", now=NOW) -> Usage:
    query = UsageQuery(cap, key, since, newest, by)
    return do(lambda session: session.caps.read([query], now))[query]


def commit(do, number: int, outcome: str, at) -> None:
    do(lambda session: session.caps.commit(f"d-{number}", outcome, at))


def release(do, number: int) -> None:
    do(lambda session: session.caps.release(f"d-{number}"))


RESERVED = Take("cap", "k")
SENT = Take("cap", "k", "sent")
DELIVERED = Take("cap", "k", "delivered")
COUNTDOWN = Take("cap", "k", "reserved", 3600)


def test_nothing_is_used_at_first(do):
    assert Usage() == usage(do)


def test_a_reservation_counts_like_a_send_at_its_planned_instant(do):
    reserve(do, 1, RESERVED, at=instant(18))
    assert Usage(0, (instant(18),)) == usage(do)


@pytest.mark.parametrize(("now", "expected"), [(LEASE - timedelta(microseconds=1), 1), (LEASE, 0), (instant(14), 0)])
def test_a_reservation_stops_to_count_at_the_instant_its_lease_ends(do, now, expected):
    reserve(do, 1, RESERVED)
    assert expected == len(usage(do, now=now).times)


def test_a_send_outlives_its_lease_and_keeps_its_planned_instant(do):
    reserve(do, 1, RESERVED, at=instant(10))
    commit(do, 1, "sent", instant(10, 5))
    assert Usage(0, (instant(10),)) == usage(do, now=instant(23))


def test_a_send_reported_after_its_lease_counts_again(do):
    reserve(do, 1, RESERVED)
    assert Usage() == usage(do, now=instant(14))
    commit(do, 1, "sent", instant(14))
    assert Usage(0, (instant(10),)) == usage(do, now=instant(14))


def test_a_released_reservation_is_free_again(do):
    reserve(do, 1, RESERVED, Take("other", "k"))
    reserve(do, 2, RESERVED, at=instant(11))
    release(do, 1)
    assert Usage(0, (instant(11),)) == usage(do)
    assert Usage() == usage(do, cap="other")


def test_a_send_that_failed_is_free_again(do):
    reserve(do, 1, RESERVED)
    commit(do, 1, "sent", instant(10))
    release(do, 1)
    assert Usage() == usage(do)


@pytest.mark.parametrize(
    ("take", "outcome", "expected"),
    [
        (SENT, None, ()),
        (SENT, "sent", (instant(11),)),
        (SENT, "delivered", (instant(11),)),
        (DELIVERED, None, ()),
        (DELIVERED, "sent", ()),
        (DELIVERED, "delivered", (instant(11),)),
        (RESERVED, None, (instant(10),)),
        (RESERVED, "sent", (instant(10),)),
        (RESERVED, "delivered", (instant(10),)),
    ],
)
def test_a_slot_counts_from_the_moment_its_cap_names(do, take, outcome, expected):
    reserve(do, 1, take)
    if outcome:
        commit(do, 1, outcome, instant(11))
    assert Usage(0, expected) == usage(do)


@pytest.mark.parametrize("order", [("sent", "delivered"), ("delivered", "sent")])
@pytest.mark.parametrize(
    ("take", "expected"), [(SENT, instant(11)), (DELIVERED, instant(11, 30)), (RESERVED, instant(10))]
)
def test_reports_may_arrive_in_any_order(do, take, expected, order):
    reserve(do, 1, take)
    for outcome in order:
        commit(do, 1, outcome, instant(11) if outcome == "sent" else instant(11, 30))
    assert Usage(0, (expected,)) == usage(do)


def test_a_repeated_report_changes_nothing(do):
    reserve(do, 1, SENT)
    commit(do, 1, "sent", instant(11))
    commit(do, 1, "sent", instant(11, 59))
    assert Usage(0, (instant(11),)) == usage(do)


def test_since_is_included(do):
    reserve(do, 1, RESERVED, at=instant(10))
    assert len(usage(do, since=instant(10)).times) == 1
    assert len(usage(do, since=instant(10, 0, 0, 1)).times) == 0


def test_a_countdown_answers_with_its_end_where_that_is_not_before_since(do):
    reserve(do, 1, COUNTDOWN, at=instant(10))
    assert usage(do, by="until", since=instant(11)) == Usage(0, (instant(11),))
    assert usage(do, by="until", since=instant(11, 0, 0, 1)) == Usage()


def test_a_countdown_runs_from_the_outcome_that_it_counts_on(do):
    reserve(do, 1, Take("cap", "k", "sent", 3600))
    assert Usage() == usage(do, by="until")
    commit(do, 1, "sent", instant(11, 30))
    assert Usage(0, (instant(12, 30),)) == usage(do, by="until")


def test_a_countdown_of_a_reserved_slot_is_not_moved_by_the_send(do):
    reserve(do, 1, COUNTDOWN, at=instant(10))
    commit(do, 1, "sent", instant(10, 30))
    assert Usage(0, (instant(11),)) == usage(do, by="until")


def test_slots_without_a_countdown_never_answer_for_one(do):
    reserve(do, 1, RESERVED)
    assert Usage() == usage(do, by="until")


def test_a_countdown_beyond_the_end_of_time_ends_with_it(do):
    last = instant(10).max.replace(tzinfo=instant(10).tzinfo)
    reserve(do, 1, COUNTDOWN, at=last)
    reserve(do, 2, Take("late", "k", "sent", 3600))
    commit(do, 2, "sent", last)
    assert Usage(0, (last,)) == usage(do, by="until")
    assert Usage(0, (last,)) == usage(do, by="until", cap="late")


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (0, Usage(3)),
        (1, Usage(2, (instant(11),))),
        (2, Usage(1, (instant(10), instant(11)))),
        (3, Usage(0, (instant(9), instant(10), instant(11)))),
        (4, Usage(0, (instant(9), instant(10), instant(11)))),
    ],
)
@pytest.mark.parametrize("by", ["counted_at", "until"])
def test_the_newest_are_listed_ascending_and_the_older_counted(do, newest, expected, by):
    for number, hour in enumerate((10, 11, 9)):
        reserve(do, number, Take("cap", "k", "reserved", 0), at=instant(hour))
    assert expected == usage(do, newest=newest, by=by)


def test_caps_and_keys_are_kept_apart(do):
    reserve(do, 1, RESERVED, Take("cap", "k2"), Take("cap2", "k"), at=instant(10))
    reserve(do, 2, Take("cap2", "k"), at=instant(11))
    assert Usage(0, (instant(10),)) == usage(do)
    assert Usage(0, (instant(10),)) == usage(do, key="k2")
    assert Usage(0, (instant(10), instant(11))) == usage(do, cap="cap2")
    assert Usage() == usage(do, cap="cap2", key="k2")


def test_two_takes_of_the_same_key_are_two_slots(do):
    reserve(do, 1, RESERVED, RESERVED)
    assert Usage(0, (instant(10), instant(10))) == usage(do)
    release(do, 1)
    assert Usage() == usage(do)


def test_many_questions_of_all_kinds_are_answered_at_once(do):
    def fill(session):
        session.caps.reserve(
            [
                Reservation(
                    decision_id=f"d-{number}-{place}",
                    takes=(Take("cap", f"k-{number}", "reserved", 60),),
                    at=instant(10, place),
                    lease_until=LEASE,
                )
                for number in range(200)
                for place in range(number % 5)
            ]
        )

    do(fill)
    queries = [
        UsageQuery("cap", f"k-{number}", LONG_AGO, newest, by)
        for number in range(300)
        for newest in range(4)
        for by in ("counted_at", "until")
    ]
    answers = do(lambda session: session.caps.read(queries, NOW))
    for query in queries:
        number = int(query.key[2:])
        used = number % 5 if number < 200 else 0
        first = instant(10) if query.by == "counted_at" else instant(10, 1)
        times = [first + timedelta(minutes=place) for place in range(used)]
        older = max(0, used - query.newest)
        assert Usage(older, tuple(times[older:])) == answers[query], query


def test_nothing_to_reserve_is_fine(do):
    do(lambda session: session.caps.reserve([]))
    reserve(do, 1)
    assert Usage() == usage(do)


def test_outcomes_of_what_holds_nothing_change_nothing(do):
    commit(do, 1, "sent", instant(10))
    release(do, 1)
    assert Usage() == usage(do)


def test_a_unit_sees_its_own_slots(do):
    def work(session):
        reservation = Reservation(decision_id="d-1", takes=(RESERVED,), at=instant(10), lease_until=LEASE)
        session.caps.reserve([reservation])
        return session.caps.read([UsageQuery("cap", "k", LONG_AGO, 1)], NOW)

    assert [Usage(0, (instant(10),))] == list(do(work).values())
