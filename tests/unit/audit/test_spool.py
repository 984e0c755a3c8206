"""The spool: what is acknowledged stays, whoever else writes, drains, crashes or runs out of room."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from guardrails.audit import FileSpool, MemorySpool, line_files
from guardrails.audit.line_files import opened
from guardrails.audit.spool import HAND_OVER_BYTES


def entry(candidate_id, rest="") -> bytes:
    return b'{"decision":{"candidate_id":"%s"},"rest":"%s"}' % (candidate_id.encode(), rest.encode())


def entries(*candidate_ids, rest="") -> dict[str, bytes]:
    return {each: entry(each, rest) for each in candidate_ids}


class Log:
    """Where entries go; `fail` and `unreadable` say how that ends."""

    def __init__(self):
        self.taken = []
        self.fail = False
        self.unreadable = ()

    def take(self, lines):
        if self.fail:
            raise ConnectionError("the log is out of reach")
        self.taken.extend(lines)
        return self.unreadable


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spool.jsonl"


@pytest.fixture(params=["file", "memory"])
def spool(request, path):
    return FileSpool(path) if request.param == "file" else MemorySpool()


# --- keeping ---------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("torn", [b'{"b', b'{"b":2}', b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", b'{"a":1}\n'])
def test_a_torn_last_line_is_not_read_and_gives_way_to_the_next_entry(path, whole, torn):
    path.parent.mkdir()
    path.write_bytes(whole + torn)
    spool = FileSpool(path)
    assert list(spool.read()) == whole.splitlines()
    spool.append(entries("c"))
    assert path.read_bytes() == whole + entry("c") + b"\n"


def test_others_can_not_read_it(path):
    FileSpool(path).append(entries("a"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_that_can_not_be_written_is_an_error(path):
    path.parent.write_bytes(b"a file where the directory should be")
    with pytest.raises(OSError, match="File exists"):
        FileSpool(path).append(entries("a"))


@contextmanager
def bounded(path, size):
    """No file below `path` can grow beyond `size` bytes, all together: a disk of its own or, unless root, a limit."""
    mounted = os.geteuid() == 0 and not subprocess.call(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if mounted:
            subprocess.run(["umount", "--lazy", path], check=True)


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


# --- one answer a candidate ------------------------------------------------------------------------------------------


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


# --- the way back ----------------------------------------------------------------------------------------------------


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


# --- files that come and go ------------------------------------------------------------------------------------------


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


def test_who_waits_for_the_lock_of_a_file_that_is_removed_writes_into_the_next_one(path, monkeypatch):
    monkeypatch.setattr(line_files, "LOCK_SECONDS", 60)
    spool = FileSpool(path)
    spool.append(entries("a"))
    with opened(path):
        writer = threading.Thread(target=spool.append, args=(entries("b"),))
        writer.start()
        waiting_for(path)
        path.unlink()
    writer.join()
    assert list(spool.read()) == [entry("b")]


def waiting_for(path):
    """Returns once somebody else in this process has the file open, whose lock this test has."""
    wanted, descriptors = path.stat(), Path("/proc/self/fd")
    while sum(is_same(descriptor, wanted) for descriptor in descriptors.iterdir()) < 2:
        time.sleep(0.001)


def is_same(descriptor, wanted):
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        return os.path.samestat(descriptor.stat(), wanted)
    return False


FORKED = """
import os, signal, sys, time
from pathlib import Path
from guardrails.audit.line_files import opened
from guardrails.audit.spool import HAND_OVER_BYTES
path = Path(sys.argv[1])
with opened(path, os.O_CREAT):
    child = os.fork()
    if child == 0:
        time.sleep(600)
with opened(path):
    print("free")
os.kill(child, signal.SIGKILL)
"""


def test_a_child_that_was_forked_meanwhile_holds_no_lock(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, tmp_path / "lines"], capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"free\n"


WRITER = """
import sys
from pathlib import Path
from guardrails.audit.spool import FileSpool
spool = FileSpool(Path(sys.argv[1]))
for number in range(50):
    ids = [f"{sys.argv[2]}-{number}", f"shared-{number}"]
    spool.append({each: b'{"decision":{"candidate_id":"%s"},"by":"%s"}' % (each.encode(), sys.argv[2].encode())
                  for each in ids})
"""
READER = """
import sys, time
from pathlib import Path
from guardrails.audit.spool import FileSpool
spool = FileSpool(Path(sys.argv[1]))
def take(lines):
    with Path(sys.argv[2]).open("ab") as log:  # one drains at a time
        log.write(b"".join(line + b"\\n" for line in lines))
    return ()
while not Path(sys.argv[3]).exists() or not spool.is_empty:
    if not spool.hand_over(take, 7):
        time.sleep(0.001)
"""


def test_processes_share_a_spool_and_every_entry_gets_into_the_log_once(path, tmp_path):
    log, done = tmp_path / "log", tmp_path / "done"
    path.parent.mkdir()
    readers = [subprocess.Popen([sys.executable, "-c", READER, path, log, done]) for _ in range(2)]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    done.touch()
    assert [reader.wait() for reader in readers] == [0, 0]
    lines = log.read_bytes().splitlines()
    for writer in range(3):
        own = [b'{"decision":{"candidate_id":"%d-%d"},"by":"%d"}' % (writer, number, writer) for number in range(50)]
        assert [line for line in lines if b'":"%d-' % writer in line] == own
    assert len(lines) == len(set(lines))


KILLED = """
import os, random, signal, sqlite3, sys, time
from pathlib import Path
from guardrails.audit.spool import FileSpool

path, log, acknowledged = (Path(argument) for argument in sys.argv[1:4])
chance = random.Random(sys.argv[4])

def entry(candidate_id):
    return b'{"decision":{"candidate_id":"%s"},"rest":"%s"}' % (candidate_id.encode(), b"x" * chance.randrange(2000))

def write(life):
    spool, number = FileSpool(path), 0
    with acknowledged.open("ab", buffering=0) as file:
        while True:
            ids = [f"{life}-{number + place}" for place in range(3)]
            spool.append({each: entry(each) for each in ids})
            file.write("".join(f"{each}\\n" for each in ids).encode())
            number += 3

def take(lines):
    with sqlite3.connect(log) as database:  # one transaction: all that are not known, or none
        database.execute("PRAGMA synchronous = OFF")
        database.executemany("INSERT OR IGNORE INTO log (line) VALUES (?)", [(line,) for line in lines])
    database.close()
    return ()

def drain(life):
    spool = FileSpool(path)
    while True:
        spool.hand_over(take, 4)

with sqlite3.connect(log) as database:
    database.execute("CREATE TABLE log (place INTEGER PRIMARY KEY, line BLOB NOT NULL UNIQUE)")
database.close()
for life in range(60):
    children = []
    for work in (write, drain):
        child = os.fork()
        if child == 0:
            work(life)
        children.append(child)
    time.sleep(chance.random() * 0.02)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
while FileSpool(path).hand_over(take, 100):
    pass
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_whoever_is_killed_what_was_acknowledged_gets_into_the_log_once_and_in_order(path, tmp_path, seed):
    path.parent.mkdir()
    log, acknowledged = tmp_path / "log", tmp_path / "acknowledged"
    subprocess.run([sys.executable, "-c", KILLED, path, log, acknowledged, seed], check=True, timeout=300)
    database = sqlite3.connect(log)
    ids = [line.split(b'"')[5].decode() for (line,) in database.execute("SELECT line FROM log ORDER BY place")]
    database.close()
    told = acknowledged.read_text().splitlines()
    assert len(ids) == len(set(ids))
    assert len(told) > 100
    assert [each for each in ids if each in set(told)] == told
    assert FileSpool(path).is_empty


def test_processes_answer_a_candidate_once(path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = list(FileSpool(path).read())
    assert sum(b"shared-" in line for line in lines) == 50


def test_a_lock_that_somebody_else_has_is_waited_for(path, monkeypatch):
    monkeypatch.setattr(line_files, "LOCK_SECONDS", 60)
    spool = FileSpool(path)
    spool.append(entries("a"))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=spool.append, args=(entries("b"),))
        writer.start()
        waiting_for(path)
        assert path.read_bytes() == entry("a") + b"\n"
    writer.join()
    assert list(spool.read()) == [entry("a"), entry("b")]


def test_who_never_lets_go_of_the_lock_is_not_waited_for_for_ever(path, log, monkeypatch):
    monkeypatch.setattr(line_files, "LOCK_SECONDS", 0.01)
    spool = FileSpool(path)
    spool.append(entries("a"))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for wait in (
            lambda: spool.answered(["a"]),
            lambda: spool.append(entries("b")),
            lambda: spool.hand_over(log.take, 10),
        ):
            with pytest.raises(TimeoutError, match="somebody else"):
                wait()
    assert list(spool.read()) == [entry("a")]
    assert (spool.hand_over(log.take, 10), log.taken) == (1, [entry("a")])
