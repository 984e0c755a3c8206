"""The spool: entries stay in the order they came, and what is spooled for a candidate is its answer."""

from __future__ import annotations

import pytest

from guardrails.audit import FileSpool
from spooling import entries, entry


def test_entries_are_read_in_the_order_they_came(spool):
    assert list(spool.read()) == []
    spool.append(entries("b", "a"))
    spool.append(entries("c"))
    assert list(spool.read()) == [entry("b"), entry("a"), entry("c")]


def test_an_entry_is_one_line(spool):
    with pytest.raises(ValueError, match="one line"):
        spool.append({"a": b"{}", "b": b'{"a":\n1}'})
    assert list(spool.read()) == []


def test_it_is_empty_until_something_is_in_it(spool):
    assert spool.is_empty
    assert spool.append({}) == {}
    assert spool.is_empty
    spool.append(entries("a"))
    assert not spool.is_empty


def test_where_there_is_no_directory_it_is_empty(path):
    path.parent.write_bytes(b"a file where the directory should be")
    assert FileSpool(path).is_empty


def test_entries_outlive_the_spool(path):
    FileSpool(path).append(entries("a"))
    FileSpool(path).append(entries("b"))
    assert path.read_bytes() == entry("a") + b"\n" + entry("b") + b"\n"


def test_others_can_not_read_it(path):
    FileSpool(path).append(entries("a"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_candidate_keeps_its_first_entry(spool):
    spool.append(entries("a"))
    assert spool.append(entries("a", "b", rest="later")) == entries("a")
    assert spool.answered(["a", "b", "c"]) == {"a": entry("a"), "b": entry("b", "later")}
    assert spool.append(entries("a", rest="once more")) == entries("a")
    assert list(spool.read()) == [entry("a"), entry("b", "later")]


def test_it_holds_nothing_before_the_first_entry(spool):
    assert spool.answered(["a"]) == {}


def test_what_another_process_spooled_is_known(path):
    one, other = FileSpool(path), FileSpool(path)
    one.append(entries("a"))
    assert other.append(entries("a", "b", rest="other")) == entries("a")
    assert one.answered(["b"]) == entries("b", rest="other")
    one.append(entries("c"))
    assert other.answered(["a", "c"]) == entries("a", "c")


def test_lines_that_are_no_entries_belong_to_nobody(path):
    path.parent.mkdir()
    lines = [b"{}", b"", b'{"decision":{"candidate_id":"\xff"}}', b"[" * 10_000, entry("a")]
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert FileSpool(path).answered(["a", ""]) == entries("a")


def test_only_the_newest_are_known_so_that_memory_is_bounded(path):
    line = len(entry("00")) + 1
    spool = FileSpool(path, reach_bytes=3 * line)
    ids = [f"{number:02}" for number in range(10)]
    for each in ids:
        spool.append(entries(each))
    assert spool.answered(ids) == entries("07", "08", "09")
    assert FileSpool(path, reach_bytes=3 * line).answered(ids) == entries("07", "08", "09")
    assert FileSpool(path, reach_bytes=3 * line - 1).answered(ids) == entries("08", "09")
    assert FileSpool(path, reach_bytes=10 * line).answered(ids) == entries(*ids)
    assert FileSpool(path, reach_bytes=1).answered(ids) == {}


def test_who_fell_far_behind_reads_only_what_is_within_reach(path):
    line = len(entry("00")) + 1
    behind, ahead = (FileSpool(path, reach_bytes=3 * line) for _ in range(2))
    behind.append(entries("00"))
    ahead.append(entries(*(f"{number:02}" for number in range(1, 10))))
    assert behind.answered(["00", "06", "07", "09"]) == entries("07", "09")
