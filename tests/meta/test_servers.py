"""The servers that tests start end with the tests, however these end, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from servers import wait_until

STARTER = """
import sys
sys.path.insert(0, sys.argv[1])
from servers import start_postgresql, start_redis
with start_postgresql() as postgresql, start_redis() as redis:
    redis.pause()
    for server in (postgresql, redis):
        print(server._process.pid, server.directory, flush=True)
    sys.stdin.readline()
"""


def test_servers_end_with_a_process_that_is_killed_and_their_directories_are_removed():
    tests = str(Path(__file__).parents[1])
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, tests], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    started = [starter.stdout.readline().split() for _ in range(2)]
    assert all(psutil.pid_exists(int(pid)) and Path(directory).is_dir() for pid, directory in started)
    starter.kill()
    starter.communicate()
    wait_until(lambda: not any(map(is_running, started)), lambda: f"{started} are still there")


def is_running(server: tuple[str, str]) -> bool:
    pid, directory = server
    try:
        is_zombie = psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        is_zombie = True
    return Path(directory).exists() or not is_zombie
