from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from guardrails.audit import FileSpool, MemorySpool


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spool.jsonl"


@pytest.fixture(params=["file", "memory"])
def spool(request, path):
    return FileSpool(path) if request.param == "file" else MemorySpool()


def test_entries_are_read_in_the_order_they_came(spool):
    assert list(spool.read()) == []
    spool.append(b'{"a":1}')
    spool.append(b'{"b":2}')
    assert list(spool.read()) == [b'{"a":1}', b'{"b":2}']


def test_an_entry_is_one_line(spool):
    with pytest.raises(ValueError, match="one line"):
        spool.append(b'{"a":\n1}')
    assert list(spool.read()) == []


def test_entries_outlive_the_spool(path):
    FileSpool(path).append(b"1")
    FileSpool(path).append(b"2")
    assert path.read_bytes() == b"1\n2\n"


@pytest.mark.parametrize("torn", [b'{"b', b'{"b":2}', b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", b'{"a":1}\n'])
def test_a_torn_last_line_is_not_read_and_gives_way_to_the_next_entry(path, whole, torn):
    path.parent.mkdir()
    path.write_bytes(whole + torn)
    spool = FileSpool(path)
    assert list(spool.read()) == whole.splitlines()
    spool.append(b'{"c":3}')
    assert path.read_bytes() == whole + b'{"c":3}\n'


def test_others_can_not_read_it(path):
    FileSpool(path).append(b"1")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_that_can_not_be_written_is_an_error(path):
    path.parent.write_bytes(b"a file where the directory should be")
    with pytest.raises(OSError, match="File exists"):
        FileSpool(path).append(b"1")


def test_an_entry_that_does_not_fit_leaves_nothing_behind(path):
    spool = FileSpool(path)
    spool.append(b"1")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            spool.append(b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"1\n"
    spool.append(b"2")
    assert list(spool.read()) == [b"1", b"2"]


WRITER = """
import sys
from pathlib import Path
from guardrails.audit.spool import FileSpool
spool = FileSpool(Path(sys.argv[1]))
for number in range(50):
    spool.append(b"%s-%d" % (sys.argv[2].encode(), number))
"""


def test_processes_share_a_spool_without_tearing_each_others_lines(path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    entries = list(FileSpool(path).read())
    assert sorted(entries) == sorted(b"%d-%d" % (writer, number) for writer in range(3) for number in range(50))
