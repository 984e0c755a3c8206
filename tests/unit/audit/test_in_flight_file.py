"""Candidates in flight across processes: one decides a candidate at a time, and whoever ends lets go of all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from guardrails.audit import FileSpool, in_flight_file
from guardrails.audit.in_flight_file import InFlightFile
from spooling import waiting_for


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "in-flight"


@pytest.fixture
def file(path):
    return InFlightFile(path)


DESCRIPTORS = Path("/proc/self/fd")
UNKNOWN_COMMAND = 0x7777
"""What the kernel refuses as it does a lock that it doesn't know."""

HOLDER = """
import sys, time
from pathlib import Path
from guardrails.audit.in_flight_file import InFlightFile
with InFlightFile(Path(sys.argv[1])).alone(sys.argv[2:], timeout_seconds=60):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(path):
    """Starts processes that hold candidates until they are told to end."""
    started = []

    def start(*candidate_ids):
        command = [sys.executable, "-c", HOLDER, path, *candidate_ids]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def assert_held(file, *candidate_ids):
    with pytest.raises(TimeoutError, match="somebody else"), file.alone(candidate_ids, timeout_seconds=0):
        pass


def assert_free(file, *candidate_ids):
    with file.alone(candidate_ids, timeout_seconds=0):
        pass


def test_another_process_waits_for_all_that_it_asks_for_and_keeps_none_meanwhile(file, hold):
    holder = hold("a", "b")
    assert_held(file, "z", "b")
    assert_free(file, "z", "c")
    holder.communicate("")
    assert_free(file, "a", "b")


def test_a_process_that_is_killed_holds_nothing(file, hold):
    holder = hold("a")
    holder.send_signal(signal.SIGSTOP)
    assert_held(file, "a")
    holder.kill()
    holder.wait()
    assert_free(file, "a")


def test_it_holds_against_the_threads_of_the_process_too(file, path):
    with file.alone(["a"], timeout_seconds=0):
        assert_held(InFlightFile(path), "a")
        assert_held(file, "a")
    assert_free(file, "a")


def test_who_waits_goes_on_once_it_is_free(file, path):
    done = []

    def wait():
        with file.alone(["a"], timeout_seconds=60):
            done.append("a")

    with file.alone(["a"], timeout_seconds=0):
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiting_for(path)
        assert done == []
    waiter.join()
    assert done == ["a"]


def test_the_same_candidate_twice_in_a_request_is_no_other(file):
    assert_free(file, "a", "a", "\ud800")


def test_an_error_lets_go(file):
    with pytest.raises(ZeroDivisionError), file.alone(["a"], timeout_seconds=0):
        raise ZeroDivisionError
    assert_free(file, "a")


FORKED = """
import os, signal, sys, time
from pathlib import Path
from guardrails.audit.in_flight_file import InFlightFile
file = InFlightFile(Path(sys.argv[1]))
with file.alone(["a"], timeout_seconds=0):
    child = os.fork()
    if child == 0:
        time.sleep(600)
with file.alone(["a"], timeout_seconds=0):
    print("free")
os.kill(child, signal.SIGKILL)
"""


def test_a_child_that_was_forked_meanwhile_holds_nothing(path):
    done = subprocess.run([sys.executable, "-c", FORKED, path], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"free\n"


def test_where_the_system_has_no_such_locks_nobody_waits(file, monkeypatch):
    monkeypatch.setattr(in_flight_file, "_SET_LOCK", None)
    with file.alone(["a"], timeout_seconds=0):
        assert_free(file, "a")


def test_where_the_disk_has_no_such_locks_that_is_an_error_and_nothing_stays_open(file, monkeypatch):
    assert_free(file, "a")
    is_open = len([*DESCRIPTORS.iterdir()])
    monkeypatch.setattr(in_flight_file, "_SET_LOCK", UNKNOWN_COMMAND)
    for _ in range(3):
        with pytest.raises(OSError, match="Invalid argument"), file.alone(["a"], timeout_seconds=0):
            pass
    assert len([*DESCRIPTORS.iterdir()]) == is_open


def test_a_place_that_takes_no_file_is_an_error(file, path):
    path.parent.write_bytes(b"a file where the directory should be")
    with pytest.raises(NotADirectoryError), file.alone(["a"], timeout_seconds=0):
        pass


def test_the_spool_has_such_a_file_beside_it(path):
    with FileSpool(path).alone(["a"], timeout_seconds=0):
        assert_held(InFlightFile(Path(f"{path}.in-flight")), "a")
        assert FileSpool(path).is_empty
