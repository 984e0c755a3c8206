"""How much waits in a spool: to be told at any time, whoever fills it and whoever drains it."""

from __future__ import annotations

import os

import pytest

from guardrails.audit import FileSpool, backlog, line_files
from guardrails.decide.spool import Backlog
from spooling import Log, entries


def size_of(names, *, newline):
    return sum(len(line) + newline for line in entries(*names).values())


def test_it_grows_with_what_comes_and_shrinks_with_what_is_drained(spool, log):
    newline = isinstance(spool, FileSpool)
    assert spool.backlog() == (0, 0)
    spool.append(entries("a", "b", "c"))
    assert spool.backlog() == (3, size_of("abc", newline=newline))
    spool.append(entries("d"))
    assert spool.backlog().entries == 4
    spool.hand_over(log.take, 3)
    assert spool.backlog().entries == 1
    spool.append(entries("e"))
    assert spool.backlog().entries == 2
    spool.hand_over(log.take, 9)
    assert spool.backlog() == (0, 0)


def test_what_the_log_did_not_take_still_waits(spool, log):
    spool.append(entries("a", "b"))
    log.fail = True
    with pytest.raises(ConnectionError):
        spool.hand_over(log.take, 9)
    assert spool.backlog().entries == 2


def test_every_process_tells_the_same_whenever_it_looks_for_the_first_time(path, log):
    writer, drainer, early = FileSpool(path), FileSpool(path), FileSpool(path)
    writer.append(entries("a", "b", "c", "d"))
    assert early.backlog().entries == 4
    drainer.hand_over(log.take, 3)
    assert [spool.backlog().entries for spool in (writer, drainer, early, FileSpool(path))] == [1] * 4


def test_a_spool_that_was_emptied_and_filled_anew_is_another_one(path, log):
    spool = FileSpool(path)
    spool.append(entries("a", "b", "c"))
    spool.backlog()
    FileSpool(path).hand_over(log.take, 9)
    FileSpool(path).append(entries("d", "e", rest="longer" * 100))
    assert spool.backlog().entries == 2


def test_a_file_that_shrank_is_counted_anew(path):
    spool = FileSpool(path)
    spool.append(entries("a", "b", "c"))
    assert spool.backlog().entries == 3
    os.truncate(path, path.stat().st_size - 5)
    assert spool.backlog() == Backlog(2, path.stat().st_size)


def test_half_a_line_is_no_entry_and_what_can_not_be_read_waits_until_it_is_put_aside(path):
    spool, log = FileSpool(path), Log()
    spool.append(entries("a", "b"))
    with path.open("ab") as file:
        file.write(b'{"torn":')
    assert spool.backlog() == (2, path.stat().st_size)
    log.unreadable = (0,)
    path.with_name(path.name + ".rejected").mkdir()  # so that nothing can be put aside
    spool.hand_over(log.take, 2)
    assert spool.backlog().entries == 2
    path.with_name(path.name + ".rejected").rmdir()
    spool.hand_over(log.take, 2)
    assert spool.backlog().entries == 0


@pytest.mark.parametrize(("size", "left"), [(0, 0), (5, 0), (size_of("a", newline=True) + 5, 1)])
def test_a_file_that_is_cut_while_it_is_looked_at_is_looked_at_to_its_end(path, monkeypatch, size, left):
    spool = FileSpool(path)
    spool.append(entries("a", "b"))

    def cut_once_its_end_is_known(file):
        end = line_files.end_of_lines(file)
        os.truncate(path, size)
        return end

    monkeypatch.setattr(backlog, "end_of_lines", cut_once_its_end_is_known)
    assert spool.backlog() == Backlog(left, size)
    monkeypatch.undo()
    assert spool.backlog() == Backlog(left, size), "and so it is by whoever looks next"
