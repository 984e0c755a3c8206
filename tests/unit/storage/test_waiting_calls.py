from __future__ import annotations

from itertools import groupby

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
        taken.append([call.item for call in waiting.take()])
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
    assert [call.item for call in waiting.take()] == ["small"]
    waiting.append(a_call("late"))
    assert units(waiting) == [["big 0"], ["late"], ["big 1"], ["big 2"]]


def test_a_call_that_is_small_enough_is_small():
    waiting = line(("big", SMALL_SIZE_MAX + 1), ("small", SMALL_SIZE_MAX))
    assert units(waiting) == [["small"], ["big"]]


def test_after_a_quiet_time_small_calls_are_first():
    waiting = line(("small", 1))
    waiting.take()
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
    assert waiting.take() == [calls[2]]
    waiting.discard(calls[2])
    assert not waiting


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
        unit = waiting.take()
        ((kind, _),) = groupby(unit, key=is_small)
        assert len(unit) == 1 or sum(call.size for call in unit) <= UNIT_SIZE_MAX
        for each in (True, False):
            passed_over[each] = passed_over[each] + 1 if each in in_line and each != kind else 0
            assert passed_over[each] <= 1
        taken += unit
    for kind in (True, False):
        items = [call.item for call in taken if is_small(call) == kind]
        assert items == sorted(items)
    assert sorted(call.item for call in taken) == list(range(sum(map(len, arrivals))))


def is_small(call: Call) -> bool:
    return call.size <= SMALL_SIZE_MAX
