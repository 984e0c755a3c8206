"""What is kept, whose it is, and what sweeping lets go of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from guardrails.core.needs import Take, Usage
from held_caps import DAY, LAST, RESERVED, TALLIED, TEN, TICK, holding, reserve, sent, settle, tally, usage
from stores import instant

keeps_counts = pytest.mark.parametrize(
    "do", ["memory", "sqlite", "postgresql"], indirect=True
)  # Redis forgets by itself


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
