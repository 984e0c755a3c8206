from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.storage.waiting_calls import SMALL_SIZE_MAX, Call, WaitingCalls

UNIT_SIZE_MAX = 100


def a_call(item: object, size: int = 1) -> Call:
    return Call(list, item, size=size, now=0.0, timeout_seconds=1.0)


def line(*calls: tuple[object, int]) -> WaitingCalls:
    waiting = WaitingCalls(unit_size_max=UNIT_SIZE_MAX)
    for item, size in calls:
        waiting.append(a_call(item, size))
    return waiting


def units(waiting: WaitingCalls) -> list[list[object]]:
    taken = []
    while waiting:
        taken.append([call.item for call in waiting.take(0.0)])
    return taken


def test_calls_are_taken_in_order_of_arrival():
    assert units(line((0, 1), (1, 2), (2, 1), (3, 3))) == [[0, 1, 2, 3]]


def test_a_unit_is_full_where_the_next_in_line_does_not_fit():
    assert units(line(("a", 60), ("b", 40), ("c", 70), ("d", 30))) == [["a", "b"], ["c", "d"]]
    assert units(line(("a", 61), ("b", 40), ("c", 39))) == [["a"], ["b", "c"]]


def test_a_call_bigger_than_a_unit_is_a_unit_by_itself():
    assert units(line(("huge", 1000), ("next", 20))) == [["huge"], ["next"]]


def test_small_and_big_calls_take_turns():
    waiting = line(*((f"big {number}", UNIT_SIZE_MAX) for number in range(3)), ("small", 1))
    assert [call.item for call in waiting.take(0.0)] == ["small"]
    waiting.append(a_call("late"))
    assert units(waiting) == [["big 0"], ["late"], ["big 1"], ["big 2"]]


def test_a_call_that_is_small_enough_is_small():
    waiting = line(("big", SMALL_SIZE_MAX + 1), ("small", SMALL_SIZE_MAX))
    assert units(waiting) == [["small"], ["big"]]


def test_after_a_quiet_time_small_calls_are_first():
    waiting = line(("small", 1))
    waiting.take(0.0)
    waiting.append(a_call("big", 50))
    waiting.append(a_call("small"))
    assert units(waiting) == [["small"], ["big"]]


def test_a_discarded_call_is_not_taken_and_one_that_was_taken_stays_so():
    waiting = WaitingCalls()
    calls = [a_call(number, size) for number, size in enumerate((1, 50, 1))]
    for call in calls:
        waiting.append(call)
    for call in calls[:2]:
        waiting.discard(call)
    assert len(waiting) == 1
    assert waiting.take(0.0) == [calls[2]]
    waiting.discard(calls[2])
    assert not waiting


def paced(seconds_per_size: float) -> WaitingCalls:
    waiting = WaitingCalls()
    waiting.learn([a_call("earlier", 10)], seconds_per_size * 10)
    return waiting


def items(calls: list[Call]) -> list[object]:
    return [call.item for call in calls]


def test_before_anything_is_known_a_unit_is_limited_by_size_alone():
    assert units(line(*((number, 1) for number in range(UNIT_SIZE_MAX + 1)))) == [[*range(UNIT_SIZE_MAX)], [100]]


def test_a_unit_takes_no_longer_than_half_of_what_its_first_call_has_left():
    waiting = paced(0.0625)
    for number in range(20):
        waiting.append(a_call(number))
    assert items(waiting.take(0.0)) == [*range(8)]
    assert items(waiting.take(0.5)) == [8, 9, 10, 11]


def test_a_unit_takes_no_longer_than_half_of_what_any_of_its_calls_has_left():
    waiting = paced(0.0625)
    for number in range(3):
        waiting.append(a_call(number))
    for number in (3, 4):
        waiting.append(Call(list, number, size=1, now=0.0, timeout_seconds=0.5))
    assert [items(waiting.take(0.0)) for _ in range(2)] == [[0, 1, 2, 3], [4]]


def test_one_call_is_taken_however_long_it_takes():
    waiting = paced(10.0)
    for number in range(2):
        waiting.append(a_call(number))
    assert items(waiting.take(0.0)) == [0]
    assert items(waiting.take(2.0)) == [1]  # even one that is given up: nobody would take it out otherwise


def test_late_calls_are_served_first_where_all_can_be_served():
    waiting = paced(0.01)
    for number in range(5):
        waiting.append(a_call(number))
    assert items(waiting.take(0.875)) == [*range(5)]


def test_where_not_all_can_be_served_late_calls_are_passed_over():
    waiting = paced(0.0625)
    for number in range(5):
        waiting.append(Call(list, number, size=1, now=number * 0.25, timeout_seconds=1.0))
    assert items(waiting.take(0.75)) == [1, 2, 3, 4]  # 1 has half of its time left
    assert len(waiting) == 1
    assert items(waiting.take(0.75)) == [0]


def test_where_all_are_late_they_are_taken_in_order():
    waiting = paced(0.0625)
    for number in range(5):
        waiting.append(a_call(number))
    assert [items(waiting.take(0.75)) for _ in range(3)] == [[0, 1], [2, 3], [4]]


def test_the_pace_follows_the_latest_units():
    waiting = paced(0.25)
    for _ in range(20):
        waiting.learn([a_call("a", 3), a_call("b", 5)], 8 * 0.0625)
    for number in range(20):
        waiting.append(a_call(number))
    assert len(waiting.take(0.0)) == 7  # a trace of the slower one is left


@pytest.mark.parametrize("callers", [60, 110, 128, 160, 400])
def test_more_callers_than_can_be_served_do_not_stop_those_who_can(callers):
    """Callers ask a store that does 500 a second, again and again: none is given up in a unit once that is known."""
    seconds_per_size, seconds_per_commit, timeout_seconds = 0.002, 0.005, 0.25
    waiting = WaitingCalls()
    now, served, late_in_unit = 0.0, 0, 0
    for _ in range(200):
        in_line = [*waiting._small]
        for call in in_line:
            if call.deadline <= now:
                waiting.discard(call)
        for _ in range(callers - len(waiting)):
            waiting.append(Call(list, None, size=1, now=now, timeout_seconds=timeout_seconds))
        unit = waiting.take(now)
        seconds = len(unit) * seconds_per_size
        waiting.learn(unit, seconds)
        now += seconds
        if any(call.deadline <= now for call in unit):
            late_in_unit += 1
        else:
            served += len(unit)
            now += seconds_per_commit
    assert late_in_unit <= 1  # the very first, before anything is known
    assert served / now > 0.8 / seconds_per_size


sizes = st.one_of(st.integers(1, SMALL_SIZE_MAX), st.integers(SMALL_SIZE_MAX + 1, 2 * UNIT_SIZE_MAX))


@given(arrivals=st.lists(st.lists(sizes, max_size=40), min_size=1, max_size=12))
def test_nobody_starves(arrivals):
    """Before each take some calls arrive: all are taken once, in order, and neither kind is passed over twice."""
    waiting = WaitingCalls(unit_size_max=UNIT_SIZE_MAX)
    numbers = iter(range(10_000))
    passed_over: dict[bool, int] = {True: 0, False: 0}  # how many units in a row a waiting kind was not in
    taken: list[Call] = []
    for batch in [*arrivals, *([[]] * 500)]:
        for size in batch:
            waiting.append(a_call(next(numbers), size))
        if not waiting:
            continue
        in_line = {is_small(call) for call in (*waiting._small, *waiting._big)}
        unit = waiting.take(0.0)
        ((kind, _),) = groupby(unit, key=is_small)
        assert len(unit) == 1 or sum(call.size for call in unit) <= UNIT_SIZE_MAX
        for each in (True, False):
            passed_over[each] = passed_over[each] + 1 if each in in_line and each != kind else 0
            assert passed_over[each] <= 1
        taken += unit
    for kind in (True, False):
        of_kind = items([call for call in taken if is_small(call) == kind])
        assert of_kind == sorted(of_kind)
    assert sorted(call.item for call in taken) == list(range(sum(map(len, arrivals))))


def is_small(call: Call) -> bool:
    return call.size <= SMALL_SIZE_MAX
