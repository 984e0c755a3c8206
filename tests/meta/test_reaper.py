"""What tests start ends with them, however they end, and leaves nothing behind: see tests/reaper.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from servers import wait_until

TESTS = Path(__file__).parents[1]

STARTER = """
from servers import start_postgresql, start_redis
with start_postgresql() as postgresql, start_redis() as redis:
    redis.pause()
    for server in (postgresql, redis):
        print(server._process.pid, server.directory, flush=True)
    sys.stdin.readline()
"""

A_TEST = """
import subprocess, sys, threading, time

CHILD = '''
import pathlib, os, subprocess, sys, time
program = "import pathlib, os, time; pathlib.Path(str(os.getpid())).touch(); time.sleep(600)"
for is_leader in (False, True):
    subprocess.Popen([sys.executable, "-c", program], start_new_session=is_leader)
pathlib.Path(str(os.getpid())).touch()
time.sleep(600)
'''

def test_that_starts_what_would_outlive_it():
    thread = threading.Thread(target=lambda: subprocess.Popen([sys.executable, "-c", CHILD]))
    thread.start()
    thread.join()  # a process lives on where the thread that started it does not
    time.sleep(600)
"""


def test_what_a_test_started_ends_when_pytest_is_killed_and_so_does_what_that_started(tmp_path):
    (tmp_path / "test_started.py").write_text(A_TEST, encoding="utf-8")
    run = _python("-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "test_started.py", cwd=tmp_path)
    wait_until(lambda: len(_numbers(tmp_path)) == 3, lambda: f"only {_numbers(tmp_path)} were started")
    started = _numbers(tmp_path)
    assert all(map(_runs, started))
    run.kill()
    wait_until(lambda: not any(map(_runs, started)), lambda: f"{started} are still there")
    run.communicate()


def test_servers_end_with_a_process_that_is_killed_and_their_directories_are_removed():
    starter = _python("-c", "import sys\n" + STARTER)
    started = [starter.stdout.readline().split() for _ in range(2)]
    assert all(_runs(int(pid)) and Path(directory).is_dir() for pid, directory in started)
    starter.kill()
    wait_until(
        lambda: not any(_runs(int(pid)) or Path(directory).exists() for pid, directory in started),
        lambda: f"{started} are still there",
    )
    starter.communicate()


def _numbers(directory: Path) -> list[int]:
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal())


def _python(*arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(TESTS), *sys.path])
    environ = {**os.environ, "PYTHONPATH": path}  # noqa: TID251 - a child sees what its parent does
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *arguments], cwd=cwd, env=environ, text=True, **pipes)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
