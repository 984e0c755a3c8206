"""Keys that sum amounts: how much was spent, by quarters of an hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.core.needs import CapCheck, UsageQuery
from guardrails.decide.holdings import Reservation, Settlement
from held_caps import (
    EVENING,
    LEASE,
    LONG_AGO,
    RESERVED,
    TEN,
    TICK,
    as_key,
    delivered,
    holding,
    reserve,
    sent,
    settle,
    spent,
    total,
)
from stores import instant

MOST = 10**14 + 1


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
