from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from guardrails.core.cap_rule import LISTED_TIMES
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from redis_stores import open_redis_stores
from stores import instant, open_stores, run, sqlite_url

NOW = instant(12)
LEASE = instant(13)
LONG_AGO = instant(0)
TEN = instant(10)
TICK = timedelta(microseconds=1)
EVENING = instant(20)
LAST = datetime.max.replace(tzinfo=TEN.tzinfo)
MINUTE, DAY = 60, 86_400

IN_A_DATABASE = ["memory", "sqlite", "postgresql"]
IN_REDIS = {"redis": "redis_server", "redis_cluster": "redis_cluster"}
keeps_counts = pytest.mark.parametrize("do", IN_A_DATABASE, indirect=True)  # Redis forgets by itself


@pytest.fixture(params=[*IN_A_DATABASE, *IN_REDIS])
def do(request, tmp_path) -> Iterator[Callable[[Callable[[Any], Any]], Any]]:
    """Do something with a session of its own, and wait until it is durable."""
    sqlite = sqlite_url(tmp_path / "guardrails.db")
    if request.param in IN_REDIS:
        server = request.getfixturevalue(IN_REDIS[request.param])
        server.flush()
        with open_redis_stores(sqlite, server.url, uses_server_time=False, clock=lambda: NOW) as stores:
            stores.mend()
            yield stores.do
        return
    urls = {
        "memory": lambda: "memory:",
        "sqlite": lambda: sqlite,
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }
    transactor = open_stores(urls[request.param]())
    yield partial(run, transactor)
    transactor.close()


def holding(number: int, *takes: Take, at=TEN, lease_until=LEASE) -> Holding:
    return Holding(decision_id=f"d-{number}", takes=takes, at=at, lease_until=lease_until)


def reserve(do, *holdings: Holding, now=TEN) -> None:
    do(lambda session: session.caps.reserve([Reservation(holding=each) for each in holdings], now))


def settle(do, *moves: tuple[Holding | None, Holding | None]) -> None:
    do(lambda session: session.caps.settle([Settlement(before=before, after=after) for before, after in moves]))


def sent(held: Holding, at=TEN) -> Holding:
    return replace(held, lease_until=None, sent_at=at)


def delivered(held: Holding, at=TEN) -> Holding:
    return replace(held, lease_until=None, sent_at=held.sent_at or at, delivered_at=at)


def ask(do, query: UsageQuery, now=NOW) -> Usage:
    return do(lambda session: session.caps.read([query], now))[query]


def usage(do, *, cap="cap", key="k", since=LONG_AGO, newest=10, by="counted_at", owner="r-1", now=NOW) -> Usage:
    return ask(do, UsageQuery(cap, key, since, newest, by, owner), now)


def tally(do, *, cap="cap", key="k", since=LONG_AGO, split=EVENING, now=NOW) -> tuple[int, int]:
    answer = ask(do, UsageQuery(cap, key, since, 0, split=split), now)
    assert answer == Usage(older=answer.older, later=answer.later, split=split)
    return answer.older, answer.later


RESERVED = Take("cap", "k", owner="r-1")
SENT = Take("cap", "k", "sent", owner="r-1")
DELIVERED = Take("cap", "k", "delivered", owner="r-1")
COUNTDOWN = Take("cap", "k", "reserved", 60 * MINUTE, owner="r-1")
TALLIED = Take("cap", "k", keep_seconds=DAY, is_tallied=True)
TALLIED_SENT = Take("cap", "k", "sent", keep_seconds=DAY, is_tallied=True)


# --- slots


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


def crowd(count: int, *takes: Take) -> list[Holding]:
    return [holding(number, *takes, at=TEN + number * TICK) for number in range(count)]


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


# --- tallied keys


def test_a_tallied_key_answers_with_how_many_count_before_the_split_and_from_it_on(do):
    hours = (9, 10, 10, 20, 21)
    reserve(do, *(holding(number, TALLIED, at=instant(hour)) for number, hour in enumerate(hours)))
    assert tally(do) == (3, 2)
    assert tally(do, since=TEN) == (2, 2)
    assert tally(do, since=TEN, split=TEN) == (0, 4)
    assert tally(do, since=instant(22), split=instant(23)) == (0, 0)


def test_on_a_tallied_key_every_send_is_counted_however_many_there_are(do):
    reserve(do, *crowd(LISTED_TIMES + 200, TALLIED))
    assert tally(do) == (LISTED_TIMES + 200, 0)


def test_of_a_quarter_of_an_hour_that_is_asked_for_in_part_no_send_is_missed(do):
    early, late = instant(10, 14, 59, 999_999), instant(10, 15)
    reserve(do, holding(1, TALLIED, at=early), holding(2, TALLIED, at=late))
    for since in (TEN, early, early + TICK, late, late + TICK, instant(10, 30)):
        for split in (early, late, late + TICK, instant(10, 30)):
            older, later = tally(do, since=since, split=split)
            assert sum(since <= at < split for at in (early, late)) <= older <= 2
            assert sum(split <= at for at in (early, late)) <= later <= 2
    assert tally(do, since=TEN, split=late) == (1, 1)
    assert tally(do, since=late) == (1, 0)


def test_tallied_keys_are_kept_apart(do):
    reserve(
        do, holding(1, TALLIED), holding(2, replace(TALLIED, key="k2"), replace(TALLIED, cap="cap2"), at=instant(21))
    )
    assert [tally(do), tally(do, key="k2"), tally(do, cap="cap2")] == [(1, 0), (0, 1), (0, 1)]
    assert tally(do, cap="cap2", key="k2") == (0, 0)


@pytest.mark.parametrize(("now", "expected"), [(LEASE - TICK, (1, 1)), (LEASE, (0, 0)), (instant(14), (0, 0))])
def test_on_a_tallied_key_too_a_reservation_counts_until_its_lease_ends(do, now, expected):
    reserve(do, holding(1, TALLIED), holding(2, TALLIED, at=instant(20)))
    assert expected == tally(do, now=now)


def test_an_ended_lease_takes_off_only_what_was_counted_in_the_span(do):
    reserve(do, holding(1, TALLIED, at=TEN), holding(2, TALLIED, at=instant(11)), holding(3, TALLIED, at=instant(21)))
    late = holding(4, TALLIED, at=instant(11), lease_until=instant(23))
    reserve(do, late)
    assert tally(do, since=instant(11), now=LEASE) == (1, 0)
    assert tally(do, since=TEN, split=instant(11), now=LEASE) == (0, 1)


def test_a_send_on_a_tallied_key_outlives_its_lease(do):
    held = holding(1, TALLIED)
    reserve(do, held)
    settle(do, (held, sent(held)))
    assert tally(do) == tally(do, now=instant(23)) == (1, 0)
    settle(do, (sent(held), delivered(sent(held))))
    assert tally(do) == tally(do, now=instant(23)) == (1, 0)


@pytest.mark.parametrize("life", [lambda held: held, sent])
def test_what_is_released_is_taken_off_a_tallied_key(do, life):
    held = holding(1, TALLIED)
    reserve(do, held, holding(2, TALLIED))
    settle(do, (held, life(held)))
    settle(do, (life(held), None))
    assert tally(do) == (1, 0)
    assert tally(do, now=instant(14)) == (0, 0)
    settle(do, (None, sent(held)))
    assert tally(do) == (2, 0)
    assert tally(do, now=instant(14)) == (1, 0)


def test_a_send_moves_between_the_quarters_of_a_tallied_key(do):
    held = holding(1, TALLIED_SENT)
    reserve(do, held)
    assert tally(do) == (0, 0)
    settle(do, (held, sent(held, instant(11))))
    assert tally(do, since=instant(11)) == (1, 0)
    settle(do, (sent(held, instant(11)), sent(held, TEN)))
    assert tally(do, since=instant(11)) == (0, 0)
    assert tally(do) == (1, 0)


def test_decisions_of_one_unit_add_up_on_a_tallied_key(do):
    crowded = crowd(50, TALLIED, replace(TALLIED, key="k2"))
    reserve(do, *crowded)
    settle(do, *((held, None) for held in crowded[:20]), *((held, sent(held)) for held in crowded[20:30]))
    assert tally(do) == tally(do, key="k2") == (30, 0)
    assert tally(do, now=instant(14)) == (10, 0)


def test_settlements_of_one_decision_add_up_on_a_tallied_key(do):
    held = holding(1, TALLIED)
    settle(do, (None, held), (held, sent(held)), (sent(held), None), (None, held))
    assert tally(do) == (1, 0)
    assert tally(do, now=LEASE) == (0, 0)
    settle(do, (held, None), (None, held), (held, sent(held)))
    assert tally(do, now=LEASE) == (1, 0)


# --- keys that sum amounts


MOST = 10**14 + 1


def spent(amount: int, **changes: Any) -> Take:
    return replace(TALLIED, cap="spent", amount_minor=amount, **changes)


def total(do, *, key="k", since=LONG_AGO, split=EVENING, owner=None, now=NOW) -> tuple[int, int]:
    query = UsageQuery("spent", key, since, 0, owner=owner, split=split, sums=True)
    answer = ask(do, query, now)
    assert answer == Usage(older=answer.older, later=answer.later, split=split)
    return answer.older, answer.later


def test_a_key_that_sums_amounts_answers_with_how_much_was_taken_before_the_split_and_from_it_on(do):
    amounts = ((9, 250), (10, 1), (10, 999), (20, 40), (21, 2))
    reserve(do, *(holding(n, spent(amount), at=instant(hour)) for n, (hour, amount) in enumerate(amounts)))
    assert total(do) == (1250, 42)
    assert total(do, since=TEN) == (1000, 42)
    assert total(do, since=TEN, split=TEN) == (0, 1042)
    assert total(do, since=instant(22), split=instant(23)) == (0, 0)
    assert total(do, key="k2") == (0, 0)


def test_amounts_are_summed_over_days_and_weeks_and_to_the_last_minor_unit(do):
    month = [holding(n, spent(MOST + n), at=TEN + timedelta(days=n, minutes=7 * n)) for n in range(40)]
    reserve(do, *month)
    for first, beyond in ((0, 40), (3, 4), (3, 5), (1, 31), (39, 40), (20, 20)):
        since, split = TEN + timedelta(days=first), TEN + timedelta(days=beyond)
        older, later = (sum(MOST + n for n in days) for days in (range(first, beyond), range(beyond, 40)))
        assert total(do, since=since, split=split) == (older, later)


def test_of_a_quarter_of_an_hour_that_is_asked_for_in_part_no_amount_is_missed(do):
    early, late = instant(10, 14, 59, 999_999), instant(10, 15)
    reserve(do, holding(1, spent(3), at=early), holding(2, spent(40), at=late))
    assert total(do, since=TEN, split=late) == (3, 40)
    assert total(do, since=instant(10, 5), split=instant(10, 5)) == (3, 43)
    assert total(do, since=late, split=late + TICK) == (40, 40)


@pytest.mark.parametrize(("now", "expected"), [(LEASE - TICK, (7, 11)), (LEASE, (0, 0)), (instant(14), (0, 0))])
def test_an_amount_that_is_reserved_counts_until_its_lease_ends(do, now, expected):
    reserve(do, holding(1, spent(7)), holding(2, spent(11), at=instant(20)))
    assert expected == total(do, now=now)


def test_an_ended_lease_takes_off_its_own_amount(do):
    late = holding(2, spent(300), at=instant(11), lease_until=instant(23))
    reserve(do, holding(1, spent(20), at=instant(11)), late, holding(3, spent(1), at=TEN))
    assert total(do) == (321, 0)
    assert total(do, now=LEASE) == (300, 0)
    assert total(do, since=TEN, split=instant(11), now=LEASE) == (0, 300)


@pytest.mark.parametrize("life", [lambda held: held, sent, delivered])
def test_what_is_released_gives_its_amount_back(do, life):
    held = holding(1, spent(250), spent(250, key="k2"))
    reserve(do, held, holding(2, spent(40)))
    settle(do, (held, life(held)))
    assert total(do) == (290, 0)
    settle(do, (life(held), None))
    assert total(do) == (40, 0)
    assert total(do, key="k2") == total(do, now=instant(14)) == (0, 0)
    settle(do, (None, sent(held)))
    assert (total(do), total(do, now=instant(14))) == ((290, 0), (250, 0))


def test_an_amount_moves_with_its_send_and_is_there_once_however_often_it_is_told(do):
    held = holding(1, spent(250, count_on="sent"))
    reserve(do, held)
    assert total(do) == (0, 0)
    settle(do, (held, sent(held, instant(11))))
    assert total(do, since=instant(11)) == (250, 0)
    settle(do, (sent(held, instant(11)), sent(held, TEN)))
    assert (total(do, since=instant(11)), total(do)) == ((0, 0), (250, 0))
    settle(do, (sent(held, TEN), sent(held, TEN)), (sent(held, TEN), None), (None, sent(held, TEN)))
    assert total(do) == (250, 0)


def test_amounts_of_one_unit_add_up(do):
    crowded = [holding(n, spent(n + 1), at=TEN + n * TICK) for n in range(50)]
    reserve(do, *crowded)
    settle(do, *((held, None) for held in crowded[:20]), *((held, sent(held)) for held in crowded[20:30]))
    assert total(do) == (sum(range(21, 51)), 0)
    assert total(do, now=instant(14)) == (sum(range(21, 31)), 0)


def test_of_a_unit_that_failed_no_amount_is_kept(do):
    held = holding(1, spent(250))
    reserve(do, held)

    def work(session):
        session.caps.settle([Settlement(before=held, after=None)])
        session.caps.reserve([Reservation(holding=holding(2, spent(40)))], TEN)
        raise RuntimeError("the unit fails")

    with pytest.raises(RuntimeError):
        do(work)
    assert (total(do), total(do, now=LEASE)) == ((250, 0), (0, 0))


def test_what_fits_to_the_last_minor_unit_is_taken(do):
    query = UsageQuery("spent", "k", LONG_AGO, 0, split=EVENING, sums=True)
    reserve(do, holding(1, spent(750)))
    check = CapCheck(query, LONG_AGO, EVENING, 1000 - 250 + 1)
    last = Reservation(holding=holding(2, spent(250)), checks=(check,))
    do(lambda session: session.caps.reserve([last], TEN))
    assert total(do) == (1000, 0)


def test_a_recipients_own_sums_are_found_among_the_caps_that_are_named(do):
    def keys(owner):
        return list(do(lambda session: session.caps.keys_of(owner, ["spent", "other"])))

    own = [spent(5, key=as_key(owner, "c"), owner=owner) for owner in ("r-1", "r-10", 'r"')]
    held = [holding(number, take) for number, take in enumerate(own)]
    reserve(do, *held, holding(9, RESERVED, spent(5, key=as_key("c"))))
    assert keys("r-1") == [("cap", "k"), ("spent", as_key("r-1", "c"))]
    assert keys("r-10") == [("spent", as_key("r-10", "c"))]
    assert keys('r"') == [("spent", as_key('r"', "c"))]
    assert keys("r") == []
    assert total(do, key=as_key("r-1", "c"), owner="r-1") == (5, 0)
    settle(do, (held[0], None))
    assert keys("r-1") == [("cap", "k")]


def as_key(*values: str) -> str:
    return msgspec.json.encode(values).decode()


# --- what is kept


def keys_of(do, owner="r-1") -> list[tuple[str, str]]:
    return sorted(do(lambda session: session.caps.keys_of(owner)))


def sweep(do, now, most=100) -> int:
    return do(lambda session: session.caps.sweep(now, most))


def test_the_keys_of_a_recipient_are_those_that_hold_something_of_theirs(do):
    assert keys_of(do) == []
    held = holding(1, RESERVED, Take("cap", "k2", owner="r-1"), Take("cap", "shared"), replace(TALLIED, key="all"))
    reserve(do, held, holding(2, RESERVED, at=instant(11)), holding(3, Take("cap2", "k", owner="r-2")))
    assert keys_of(do) == [("cap", "k"), ("cap", "k2")]
    assert keys_of(do, "r-2") == [("cap2", "k")]
    settle(do, (held, None))
    assert keys_of(do) == [("cap", "k")]


@keeps_counts
def test_quarters_are_kept_until_no_question_can_ask_for_them(do):
    reserve(do, holding(1, TALLIED, at=instant(10, 7)))
    last = instant(10, 15) + timedelta(days=1)
    assert sweep(do, last - TICK) == 0
    assert tally(do) == (1, 0)
    assert sweep(do, last) == 1
    assert sweep(do, last) == 0
    assert tally(do) == (0, 0)


@keeps_counts
def test_a_quarter_that_nothing_counts_in_any_more_is_not_kept(do):
    held, other = holding(1, TALLIED), holding(2, TALLIED, at=instant(11))
    reserve(do, held, other)
    settle(do, (held, None))
    assert sweep(do, LAST) == 1, "of the other"
    settle(do, (None, sent(held)))
    assert tally(do) == (1, 0)
    assert sweep(do, LAST) == 1


@keeps_counts
@pytest.mark.parametrize("seconds", [(0, DAY), (DAY, 0)])
@pytest.mark.parametrize("is_one_unit", [True, False])
def test_a_quarter_is_kept_for_the_longest_of_its_sends(do, seconds, is_one_unit):
    held = [holding(number, replace(TALLIED, keep_seconds=keep)) for number, keep in enumerate(seconds)]
    for together in [held] if is_one_unit else [[each] for each in held]:
        reserve(do, *together)
    assert sweep(do, instant(10, 15) + timedelta(days=1) - TICK) == 0
    assert sweep(do, instant(10, 15) + timedelta(days=1)) == 1


@keeps_counts
def test_sweeping_removes_no_more_than_it_may_and_the_oldest_first(do):
    reserve(do, *(holding(number, TALLIED, at=instant(10, 15 * number)) for number in (2, 0, 3, 1)))
    much_later = instant(12) + timedelta(days=1)
    assert sweep(do, much_later, most=0) == 0
    assert sweep(do, much_later, most=3) == 3
    assert tally(do, since=instant(10, 45)) == (1, 0)
    assert sweep(do, much_later, most=3) == 1


def test_sweeping_leaves_slots_alone(do):
    reserve(do, holding(1, RESERVED))
    assert sweep(do, LAST) == 0
    assert Usage(0, (TEN,)) == usage(do)


@keeps_counts
def test_what_was_swept_can_be_taken_off_no_more(do):
    held, other = holding(1, TALLIED), holding(2, TALLIED)
    reserve(do, held)
    settle(do, (held, sent(held)))
    assert sweep(do, instant(10, 15) + timedelta(days=1)) == 1
    settle(do, (sent(held), None))
    assert sweep(do, LAST) == 0
    reserve(do, other)
    assert tally(do) == (1, 0)


@keeps_counts
def test_nothing_that_counts_hides_behind_what_was_taken_off_after_sweeping(do):
    held, again = holding(1, TALLIED), holding(2, TALLIED)
    reserve(do, held)
    settle(do, (held, sent(held)))
    assert sweep(do, instant(10, 15) + timedelta(days=1)) == 1
    settle(do, (None, sent(again)))
    settle(do, (sent(held), None), (sent(again), None))
    settle(do, (None, sent(again)))
    assert tally(do) == (1, 0)
