"""Disks that are full, refuse, or lost a part: what was acknowledged stays, and what was not leaves nothing behind."""

from __future__ import annotations

import itertools
import os

import pytest

from disks import as_nobody, bounded
from guardrails.audit import FileSpool
from spooling import entries, entry


@pytest.mark.parametrize("torn", [b'{"b', b'{"b":2}', b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", b'{"a":1}\n'])
def test_a_torn_last_line_is_not_read_and_gives_way_to_the_next_entry(path, whole, torn):
    path.parent.mkdir()
    path.write_bytes(whole + torn)
    spool = FileSpool(path)
    assert list(spool.read()) == whole.splitlines()
    spool.append(entries("c"))
    assert path.read_bytes() == whole + entry("c") + b"\n"


def test_a_place_that_can_not_be_written_is_an_error(path):
    path.parent.write_bytes(b"a file where the directory should be")
    with pytest.raises(OSError, match="File exists"):
        FileSpool(path).append(entries("a"))


def test_a_file_that_may_not_be_read_is_an_error_and_not_an_empty_spool(log):
    with as_nobody() as directory:
        spool = FileSpool(directory / "spool.jsonl")
        spool.append(entries("a"))
        (directory / "spool.jsonl").chmod(0)
        for refused in (
            lambda: spool.append(entries("b")),
            lambda: spool.answered(["a"]),
            lambda: spool.hand_over(log.take, 10),
        ):
            with pytest.raises(PermissionError):
                refused()
        (directory / "spool.jsonl").chmod(0o600)
        assert (spool.hand_over(log.take, 10), log.taken) == (1, [entry("a")])


def test_a_directory_that_may_not_be_entered_is_an_error_and_not_an_empty_spool():
    with as_nobody() as directory:
        spool = FileSpool(directory / "spool.jsonl")
        spool.append(entries("a"))
        directory.chmod(0)
        with pytest.raises(PermissionError):
            bool(spool.is_empty)


def test_what_does_not_fit_on_the_disk_leaves_nothing_behind(path, log):
    path.parent.mkdir()
    with bounded(path.parent, 16_384):
        spool = FileSpool(path)
        spool.append(entries("a"))
        with pytest.raises(OSError, match=r"File too large|No space left on device"):
            spool.append(entries("b", "c", rest="x" * 10_000))
        assert (list(spool.read()), spool.answered(["a", "b", "c"])) == ([entry("a")], entries("a"))
        spool.append(entries("b"))
        assert list(spool.read()) == [entry("a"), entry("b")]


def filled(spool):
    """How many entries fit on the disk."""
    for number in itertools.count():
        try:
            spool.append(entries(str(number), rest="x" * 100))
        except OSError:
            break
    return number


def test_a_full_disk_can_be_drained(path, log):
    path.parent.mkdir()
    with bounded(path.parent, 16_384):
        spool = FileSpool(path)
        number = filled(spool)
        assert (spool.hand_over(log.take, 10), spool.hand_over(log.take, 1000)) == (10, number - 10)
        assert log.taken == [entry(str(each), "x" * 100) for each in range(number)]
        assert spool.is_empty
        spool.append(entries("again"))
        assert list(spool.read()) == [entry("again")]


def test_a_disk_that_takes_no_marks_does_not_hold_up_the_others(path, log, monkeypatch):
    spool = FileSpool(path)
    spool.append(entries("a", "b"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                spool.hand_over(log.take, 1)
    assert log.taken == [entry("a"), entry("b")]
    assert spool.hand_over(log.take, 1) == 0
    assert not path.exists()
