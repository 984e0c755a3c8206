from __future__ import annotations

import pytest


def append(do, *entries: bytes) -> None:
    do(lambda session: session.audit.append(entries))


def next_index(do) -> int:
    return do(lambda session: session.audit.next_index())


def read(do, start: int, stop: int) -> list[tuple[int, bytes]]:
    return do(lambda session: list(session.audit.read(start, stop)))


def test_the_first_index_is_zero(do):
    assert next_index(do) == 0


def test_indexes_have_no_gap(do):
    append(do, b"a", b"b")
    append(do)
    append(do, b"c")
    assert next_index(do) == 3
    assert read(do, 0, 10) == [(0, b"a"), (1, b"b"), (2, b"c")]


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(1, 3, [1, 2]), (0, 0, []), (3, 1, []), (4, 9, [4]), (5, 9, []), (-3, 1, [0])],
)
def test_a_range_is_half_open_and_ends_with_the_log(do, start, stop, expected):
    append(do, *(b"%d" % number for number in range(5)))
    assert [(number, b"%d" % number) for number in expected] == read(do, start, stop)


def test_a_unit_sees_its_own_entries(do):
    def work(session):
        before = session.audit.next_index()
        session.audit.append([b"a"])
        between = session.audit.next_index()
        session.audit.append([b"b", b"c"])
        return before, between, session.audit.next_index(), list(session.audit.read(0, 9))

    assert do(work) == (0, 1, 3, [(0, b"a"), (1, b"b"), (2, b"c")])


def test_entries_come_back_byte_for_byte(do):
    append(do, bytes(range(256)), b"")
    assert [(0, bytes(range(256))), (1, b"")] == read(do, 0, 9)


def test_an_index_that_a_failed_unit_used_is_given_again(do):
    def fail(session):
        session.audit.append([b"lost"])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(fail)
    append(do, b"kept")
    assert read(do, 0, 9) == [(0, b"kept")]
