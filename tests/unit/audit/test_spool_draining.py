"""The way back: entries are handed over in order, once each, and then gone; whatever happens to their file."""

from __future__ import annotations

import pytest

from guardrails.audit import FileSpool
from guardrails.audit.spool import HAND_OVER_BYTES
from spooling import entries, entry


def test_entries_are_handed_over_in_order_and_then_gone(spool, log):
    spool.append(entries("a", "b", "c"))
    spool.append(entries("d"))
    assert [spool.hand_over(log.take, 3) for _ in range(3)] == [3, 1, 0]
    assert log.taken == [entry(each) for each in "abcd"]
    assert (spool.is_empty, list(spool.read())) == (True, [])
    spool.append(entries("e"))
    assert (spool.hand_over(log.take, 3), log.taken[4:]) == (1, [entry("e")])


def test_where_the_log_is_out_of_reach_all_stay(spool, log):
    spool.append(entries("a", "b"))
    log.fail = True
    with pytest.raises(ConnectionError):
        spool.hand_over(log.take, 10)
    assert list(spool.read()) == [entry("a"), entry("b")]
    log.fail = False
    assert (spool.hand_over(log.take, 10), log.taken) == (2, [entry("a"), entry("b")])


def test_a_file_that_is_in_the_log_is_removed(path, log):
    spool = FileSpool(path)
    spool.append(entries("a"))
    spool.hand_over(log.take, 10)
    assert not path.exists()


def test_what_is_in_the_log_is_not_handed_over_again_after_a_restart(path, log):
    FileSpool(path).append(entries("a", "b", "c"))
    FileSpool(path).hand_over(log.take, 2)
    assert list(FileSpool(path).read()) == [entry("c")]
    FileSpool(path).hand_over(log.take, 2)
    assert log.taken == [entry("a"), entry("b"), entry("c")]
    assert not path.exists()


def test_what_is_in_the_log_still_answers_while_others_wait(path, log):
    spool = FileSpool(path)
    spool.append(entries("a", "b"))
    spool.hand_over(log.take, 1)
    for each in (spool, FileSpool(path)):
        assert each.answered(["a", "b"]) == entries("a", "b")


def test_a_file_of_which_all_is_in_the_log_is_removed_whoever_crashed_before_he_could(path, log):
    FileSpool(path).append(entries("a"))
    path.write_bytes(path.read_bytes().replace(b"{", b"#", 1))
    assert FileSpool(path).hand_over(log.take, 1) == 0
    assert (log.taken, path.exists()) == ([], False)


def test_what_was_never_acknowledged_is_not_handed_over(path, log):
    FileSpool(path).append(entries("a"))
    with path.open("ab") as file:
        file.write(b'{"torn')
    assert FileSpool(path).hand_over(log.take, 10) == 1
    assert (log.taken, path.exists()) == ([entry("a")], False)


def test_empty_lines_are_passed_over(path, log):
    path.parent.mkdir()
    path.write_bytes(b"\n" + entry("a") + b"\n\n" + entry("b") + b"\n\n")
    assert FileSpool(path).hand_over(log.take, 10) == 2
    assert (log.taken, path.exists()) == ([entry("a"), entry("b")], True)
    assert FileSpool(path).hand_over(log.take, 10) == 0
    assert not path.exists()


def test_what_can_not_be_read_is_put_aside_and_stops_nobody(spool, log, path):
    spool.append({"a": entry("a"), "b": b"nonsense", "c": entry("c")})
    log.unreadable = (1,)
    assert spool.hand_over(log.take, 10) == 3
    rejected = path.with_name("spool.jsonl.rejected").read_bytes() if path.parent.exists() else spool.rejected
    assert rejected in ([b"nonsense"], b"nonsense\n")
    assert spool.is_empty


def test_what_can_not_be_put_aside_stays_until_it_can(path, log):
    spool = FileSpool(path)
    spool.append({"a": entry("a"), "b": b"nonsense", "c": entry("c")})
    rejected = path.with_name("spool.jsonl.rejected")
    rejected.mkdir()
    log.unreadable = (1,)
    assert spool.hand_over(log.take, 10) == 3
    assert list(spool.read()) == [b"nonsense"]
    with pytest.raises(IsADirectoryError):  # nothing else is left to do
        spool.hand_over(log.take, 10)
    rejected.rmdir()
    assert spool.hand_over(log.take, 10) == 0
    assert (rejected.read_bytes(), path.exists(), len(log.taken)) == (b"nonsense\n", False, 3)


def test_what_another_process_put_aside_is_put_aside_once(path, log):
    spool = FileSpool(path)
    spool.append({"a": b"nonsense"})
    rejected = path.with_name("spool.jsonl.rejected")
    rejected.mkdir()
    log.unreadable = (0,)
    assert spool.hand_over(log.take, 10) == 1
    rejected.rmdir()
    writer = FileSpool(path)
    writer.append(entries("b"))
    assert writer.hand_over(log.take, 1) == 1
    log.unreadable = ()
    assert spool.hand_over(log.take, 10) == 1
    assert (rejected.read_bytes(), spool.is_empty) == (b"nonsense\n", True)


def test_what_could_not_be_put_aside_is_forgotten_with_its_file(path, log):
    spool = FileSpool(path)
    spool.append({"a": b"nonsense"})
    rejected = path.with_name("spool.jsonl.rejected")
    rejected.mkdir()
    log.unreadable = (0,)
    assert spool.hand_over(log.take, 10) == 1
    path.unlink()
    rejected.rmdir()
    spool.append(entries("b"))
    log.unreadable = ()
    assert spool.hand_over(log.take, 10) == 1
    assert (rejected.exists(), path.exists()) == (False, False)


def test_little_is_handed_over_at_a_time_where_entries_are_large(path, log):
    spool = FileSpool(path)
    spool.append(entries("a", "b", "c", rest="x" * (HAND_OVER_BYTES // 3)))
    spool.append(entries("d", rest="x" * HAND_OVER_BYTES))
    assert [spool.hand_over(log.take, 10) for _ in range(4)] == [2, 1, 1, 0]
    assert [line.split(b'"')[5] for line in log.taken] == [b"a", b"b", b"c", b"d"]


def test_only_one_hands_over_at_a_time(spool, path):
    other = FileSpool(path) if isinstance(spool, FileSpool) else spool
    spool.append(entries("a"))
    others = []

    def take(_lines):
        others.append(other.hand_over(lambda _: (), 10))
        return ()

    assert (spool.hand_over(take, 10), others) == (1, [0])


def test_entries_come_in_while_others_are_handed_over(spool, log):
    spool.append(entries("a"))

    def take(lines):
        spool.append(entries("b"))
        return log.take(lines)

    assert spool.hand_over(take, 10) == 1
    assert not spool.is_empty
    assert spool.hand_over(log.take, 10) == 1
    assert log.taken == [entry("a"), entry("b")]


def test_another_file_in_its_place_is_noticed(path, log):
    spool = FileSpool(path)
    spool.append(entries("a", "b"))
    spool.hand_over(log.take, 1)
    path.rename(path.with_name("moved-away"))
    assert spool.answered(["a", "b"]) == {}
    FileSpool(path).append(entries("c", "d", "e"))
    assert spool.answered(["a", "b", "c", "d", "e"]) == entries("c", "d", "e")
    assert (spool.hand_over(log.take, 10), log.taken[1:]) == (3, [entry("c"), entry("d"), entry("e")])
    assert list(FileSpool(path.with_name("moved-away")).read()) == [entry("b")]


def test_a_file_put_there_while_others_are_handed_over_stays(path, log):
    spool = FileSpool(path)
    spool.append(entries("a"))

    def take(lines):
        path.unlink()
        FileSpool(path).append(entries("b"))
        return log.take(lines)

    assert spool.hand_over(take, 10) == 1
    assert list(spool.read()) == [entry("b")]


def test_a_file_that_goes_before_it_is_opened_held_nothing_that_waits(path, log):
    spool = FileSpool(path)
    spool.append(entries("a"))
    path.unlink()
    assert spool._hand_over(log.take, 10) == 0
