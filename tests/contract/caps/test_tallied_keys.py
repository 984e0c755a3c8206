"""Tallied keys: how many sends there were, by quarters of an hour."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from guardrails.core.cap_rule import LISTED_TIMES
from held_caps import LEASE, TALLIED, TALLIED_SENT, TEN, TICK, crowd, delivered, holding, reserve, sent, settle, tally
from stores import instant


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
