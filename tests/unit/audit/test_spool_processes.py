"""Processes that share a spool, and are stopped or killed: every entry gets into the log once."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
import threading

import pytest

from guardrails.audit import FileSpool, line_files
from guardrails.audit.line_files import opened
from spooling import entries, entry, waiting_for


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


FORKED = """
import os, signal, sys, time
from pathlib import Path
from guardrails.audit.line_files import opened
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
