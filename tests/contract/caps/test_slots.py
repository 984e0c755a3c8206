"""Slots: each send by itself, at its own instant, for as long as a rule can ask for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from guardrails.core.cap_rule import LISTED_TIMES
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.decide.holdings import Reservation, Settlement
from held_caps import (
    COUNTDOWN,
    DELIVERED,
    EVENING,
    LAST,
    LEASE,
    LONG_AGO,
    MINUTE,
    NOW,
    RESERVED,
    SENT,
    TALLIED,
    TEN,
    TICK,
    crowd,
    delivered,
    holding,
    reserve,
    sent,
    settle,
    tally,
    usage,
)
from stores import instant


def test_nothing_is_used_at_first(do):
    assert Usage() == usage(do)
    assert Usage() == usage(do, newest=0)


def test_a_reservation_counts_like_a_send_at_its_planned_instant(do):
    reserve(do, holding(1, RESERVED, at=instant(18), lease_until=instant(18, 10)))
    assert Usage(0, (instant(18),)) == usage(do)


def test_instants_are_exact_to_the_microsecond(do):
    at = instant(11, 59, 59, 999_999)
    reserve(do, holding(1, RESERVED, at=at))
    assert Usage(0, (at,)) == usage(do, since=at)
    assert Usage() == usage(do, since=at + TICK)


@pytest.mark.parametrize(("now", "expected"), [(LEASE - TICK, 1), (LEASE, 0), (instant(14), 0)])
def test_a_reservation_stops_to_count_at_the_instant_its_lease_ends(do, now, expected):
    reserve(do, holding(1, RESERVED))
    assert expected == len(usage(do, now=now).times)


def test_a_send_outlives_its_lease_and_keeps_its_planned_instant(do):
    held = holding(1, RESERVED)
    reserve(do, held)
    settle(do, (held, sent(held, instant(10, 5))))
    assert Usage(0, (TEN,)) == usage(do, now=instant(23))


def test_a_send_reported_after_its_lease_counts_again(do):
    held = holding(1, RESERVED)
    reserve(do, held)
    assert Usage() == usage(do, now=instant(14))
    settle(do, (held, None))
    assert Usage() == usage(do)
    settle(do, (None, sent(held, instant(14))))
    assert Usage(0, (TEN,)) == usage(do, now=instant(14))


def test_a_released_reservation_is_free_again(do):
    held = holding(1, RESERVED, Take("other", "k", owner="r-1"))
    reserve(do, held, holding(2, RESERVED, at=instant(11)))
    settle(do, (held, None))
    assert Usage(0, (instant(11),)) == usage(do)
    assert Usage() == usage(do, cap="other")


def test_a_send_that_failed_is_free_again(do):
    held = holding(1, RESERVED)
    reserve(do, held)
    settle(do, (held, sent(held)))
    settle(do, (sent(held), None))
    assert Usage() == usage(do)


@pytest.mark.parametrize(
    ("take", "life", "expected"),
    [
        (SENT, None, ()),
        (SENT, sent, (instant(11),)),
        (SENT, delivered, (instant(11),)),
        (DELIVERED, None, ()),
        (DELIVERED, sent, ()),
        (DELIVERED, delivered, (instant(11),)),
        (RESERVED, None, (TEN,)),
        (RESERVED, sent, (TEN,)),
        (RESERVED, delivered, (TEN,)),
    ],
)
def test_a_slot_counts_from_the_moment_its_cap_names(do, take, life, expected):
    held = holding(1, take)
    reserve(do, held)
    if life:
        settle(do, (held, life(held, instant(11))))
    assert Usage(0, expected) == usage(do)


def test_a_send_that_turns_out_earlier_moves_its_slot(do):
    held = holding(1, SENT)
    reserve(do, held)
    settle(do, (held, sent(held, instant(11))))
    settle(do, (sent(held, instant(11)), sent(held, instant(10, 30))))
    assert Usage(0, (instant(10, 30),)) == usage(do)


@pytest.mark.parametrize("life", [sent, delivered, lambda held: None])
def test_the_same_settlement_again_changes_nothing_of_slots(do, life):
    held = holding(1, RESERVED, replace(SENT, cap="other"))
    reserve(do, held)
    settle(do, (held, life(held)))
    once = usage(do), usage(do, cap="other")
    settle(do, (held, life(held)))
    assert once == (usage(do), usage(do, cap="other"))


def test_settlements_of_one_decision_apply_in_their_order(do):
    held, other = holding(1, RESERVED), holding(2, RESERVED, at=instant(11))
    reserve(do, held, other)
    settle(do, (held, sent(held)), (sent(held), None), (other, None), (None, sent(other)))
    assert Usage(0, (instant(11),)) == usage(do, now=instant(14))
    settle(do, (sent(other), None), (None, sent(other)), (sent(other), None), (None, sent(held)), (sent(held), held))
    assert Usage(0, (TEN,)) == usage(do, now=instant(12))
    assert Usage() == usage(do, now=instant(14))


def test_a_countdown_answers_with_its_end_where_that_is_not_before_since(do):
    reserve(do, holding(1, COUNTDOWN))
    assert Usage(0, (instant(11),)) == usage(do, by="until", since=instant(11))
    assert Usage() == usage(do, by="until", since=instant(11) + TICK)


def test_a_countdown_runs_from_the_outcome_that_it_counts_on(do):
    held = holding(1, replace(SENT, countdown_seconds=60 * MINUTE))
    reserve(do, held)
    assert Usage() == usage(do, by="until")
    settle(do, (held, sent(held, instant(11, 30))))
    assert Usage(0, (instant(12, 30),)) == usage(do, by="until")


def test_a_countdown_of_a_reserved_slot_is_not_moved_by_the_send(do):
    held = holding(1, COUNTDOWN)
    reserve(do, held)
    settle(do, (held, sent(held, instant(10, 30))))
    assert Usage(0, (instant(11),)) == usage(do, by="until")


def test_a_countdown_beyond_the_end_of_time_ends_with_it(do):
    late = holding(2, replace(SENT, cap="late", countdown_seconds=60 * MINUTE))
    reserve(do, holding(1, COUNTDOWN, at=LAST, lease_until=LAST), late)
    settle(do, (late, sent(late, LAST)))
    assert Usage(0, (LAST,)) == usage(do, by="until")
    assert Usage(0, (LAST,)) == usage(do, by="until", cap="late")


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (0, Usage(3)),
        (1, Usage(2, (instant(11),))),
        (2, Usage(1, (TEN, instant(11)))),
        (3, Usage(0, (instant(9), TEN, instant(11)))),
        (4, Usage(0, (instant(9), TEN, instant(11)))),
    ],
)
@pytest.mark.parametrize("owner", ["r-1", None])
def test_the_newest_are_listed_ascending_and_the_older_counted(do, newest, expected, owner):
    take = replace(RESERVED, owner=owner)
    reserve(do, *(holding(number, take, at=instant(hour)) for number, hour in enumerate((10, 11, 9))))
    reserve(do, holding(9, take, at=instant(9, 30), lease_until=NOW))  # no longer
    assert expected == usage(do, newest=newest, owner=owner)


def test_of_a_recipients_key_every_older_send_is_counted(do):
    reserve(do, *crowd(LISTED_TIMES + 5, RESERVED))
    expected = tuple(TEN + number * TICK for number in range(LISTED_TIMES + 3, LISTED_TIMES + 5))
    assert Usage(LISTED_TIMES + 3, expected) == usage(do, newest=2)


def test_of_a_key_that_recipients_share_older_sends_are_counted_as_far_as_any_limit_goes(do):
    reserve(do, *crowd(LISTED_TIMES + 5, replace(RESERVED, owner=None)))
    assert usage(do, newest=2, owner=None).older >= LISTED_TIMES
    expected = tuple(TEN + number * TICK for number in range(5, LISTED_TIMES + 5))
    assert Usage(5, expected) == usage(do, newest=LISTED_TIMES, owner=None)


def test_owners_caps_and_keys_are_kept_apart(do):
    own = Take("cap", "k2", owner="r-1")
    reserve(do, holding(1, RESERVED, own, Take("cap2", "k", owner="r-1"), Take("cap", "k")))
    reserve(do, holding(2, Take("cap2", "k", owner="r-1"), at=instant(11)))
    reserve(do, holding(3, replace(RESERVED, owner="r-2"), at=instant(11)))
    assert Usage(0, (TEN,)) == usage(do)
    assert Usage(0, (TEN,)) == usage(do, key="k2")
    assert Usage(0, (TEN, instant(11))) == usage(do, cap="cap2")
    assert Usage() == usage(do, cap="cap2", key="k2")
    assert Usage(0, (instant(11),)) == usage(do, owner="r-2")
    assert Usage(0, (TEN,)) == usage(do, owner=None)


AWKWARD = [
    "ä",
    "a\u0308",
    "\U0001f389",
    "'; DROP TABLE cap_slots; --",
    '["a","b"]',
    "%s {0} :now ?",
    "\\",
    " ",
    "3",
    "\x7f",
]


def test_ids_may_hold_any_text(do):
    texts = [*AWKWARD, "x" * 500]
    takes = [Take(text, text, owner=text) for text in texts] + [Take(text, text, is_tallied=True) for text in texts]
    reserve(do, *(holding(number, take) for number, take in enumerate(takes)))
    for text in texts:
        assert Usage(0, (TEN,)) == usage(do, cap=text, key=text, owner=text)
        assert tally(do, cap=text, key=text) == (1, 0)
        assert [(text, text)] == do(lambda session, text=text: list(session.caps.keys_of(text)))


def test_many_questions_of_all_kinds_are_answered_at_once(do):
    def takes(number):
        own = Take("cap", f"k-{number}", owner=f"r-{number}")
        return own, replace(own, cap="countdown", countdown_seconds=MINUTE), Take("all", f"k-{number}", is_tallied=True)

    reserve(
        do,
        *(
            replace(holding(number, *takes(number), at=instant(10, place)), decision_id=f"d-{number}-{place}")
            for number in range(200)
            for place in range(number % 5)
        ),
    )
    queries = [
        UsageQuery(cap, f"k-{number}", LONG_AGO, newest, by, f"r-{number}")
        for number in range(300)
        for newest in range(4)
        for cap, by in (("cap", "counted_at"), ("countdown", "until"))
    ]
    tallies = [UsageQuery("all", f"k-{number}", LONG_AGO, 0, split=EVENING) for number in range(300)]
    answers = do(lambda session: session.caps.read(queries + tallies, NOW))
    assert set(answers) == set(queries + tallies)
    for query, answer in answers.items():
        number = int(query.key[2:])
        used = number % 5 if number < 200 else 0
        if query.split is not None:
            assert Usage(older=used, split=query.split) == answer, query
            continue
        first = TEN if query.by == "counted_at" else instant(10, 1)
        times = [first + timedelta(minutes=place) for place in range(used)]
        older = max(0, used - query.newest)
        assert Usage(older, tuple(times[older:])) == answer, query


@pytest.mark.parametrize("owner", ["r-1", None])
def test_questions_about_one_key_from_different_instants_are_each_answered_exactly(do, owner):
    reserve(do, *(holding(number, replace(RESERVED, owner=owner), at=instant(10, number)) for number in range(9)))
    queries = [
        UsageQuery("cap", "k", instant(10, minute) + late * TICK, newest, owner=owner)
        for minute in range(10)
        for late in (0, 1)
        for newest in (0, 1, 5, 20)
    ]
    answers = do(lambda session: session.caps.read(queries, NOW))
    for query in queries:
        times = tuple(at for number in range(9) if (at := instant(10, number)) >= query.since)
        older = max(0, len(times) - query.newest)
        assert Usage(older, times[older:]) == answers[query], query


def test_probing_changes_nothing(do):
    reserve(do, holding(1, RESERVED))
    for _ in range(2):
        do(lambda session: session.caps.probe())
    assert usage(do) == Usage(0, (TEN,))


def test_nothing_to_do_is_fine(do):
    reserve(do)
    settle(do)
    reserve(do, holding(1))
    settle(do, (None, None), (holding(1), sent(holding(1))))
    assert do(lambda session: session.caps.read([], NOW)) == {}
    assert Usage() == usage(do)


def test_dropping_what_is_not_held_changes_nothing(do):
    settle(do, (holding(1, RESERVED, TALLIED), None))
    assert Usage() == usage(do)
    assert tally(do) == (0, 0)


def test_what_rests_on_room_that_is_there_is_taken(do):
    own = UsageQuery("cap", "k", LONG_AGO, 10, owner="r-1")
    budget = UsageQuery("cap", "k", LONG_AGO, 0, split=EVENING)
    reserve(do, holding(1, RESERVED, TALLIED))
    checks = tuple(CapCheck(query, LONG_AGO, EVENING, 2) for query in (own, budget))
    second = Reservation(holding=holding(2, RESERVED, TALLIED, at=instant(11)), checks=checks)
    do(lambda session: session.caps.reserve([second], instant(11)))
    assert Usage(0, (TEN, instant(11))) == usage(do)
    assert tally(do) == (2, 0)


def test_a_unit_sees_its_own_slots(do):
    def work(session):
        session.caps.reserve([Reservation(holding=holding(1, RESERVED))], TEN)
        return session.caps.read([UsageQuery("cap", "k", LONG_AGO, 1, owner="r-1")], NOW)

    assert [Usage(0, (TEN,))] == list(do(work).values())


def test_of_a_unit_that_failed_nothing_is_kept(do):
    held, other = holding(1, RESERVED, TALLIED), holding(2, RESERVED, TALLIED, at=instant(11))
    reserve(do, held)

    def work(session):
        session.caps.settle([Settlement(before=held, after=None)])
        session.caps.reserve([Reservation(holding=other)], TEN)
        session.caps.settle([Settlement(before=other, after=sent(other)), Settlement(before=None, after=sent(held))])
        session.caps.settle([Settlement(before=sent(other), after=None), Settlement(before=sent(held), after=None)])
        session.caps.sweep(LAST, 10)
        raise RuntimeError("the unit fails")

    with pytest.raises(RuntimeError):
        do(work)
    assert Usage(0, (TEN,)) == usage(do)
    assert Usage() == usage(do, now=LEASE)
    assert tally(do) == (1, 0)
    assert tally(do, now=LEASE) == (0, 0)
