"""What tests start ends with them, however they end: SIGKILL of pytest, a crash, a test that forgot.

Every process that a run starts inherits a mark in its environment, and so do those that these start. A process that
outlives the run by a moment reads a pipe that only the run holds; once that ends, it kills whoever still bears the mark
and removes the directories that it was told of. A signal at the parent's death (Linux's `PR_SET_PDEATHSIG`) would not
do: it follows the thread that started the process, and leaves the process's own children alone.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path

MARK = "STARTED_BY_TEST_RUN"


class Reaper:
    """The process that outlives the run, as the run sees it."""

    # A server that writes its title over its environment (PostgreSQL, Redis) hides the mark: it is watched by its id.
    # Again until nobody is found, or for ten seconds: who forks while the others are killed leaves one more.
    _PROGRAM = """
import shutil, sys, time
import psutil
name, mark = sys.argv[1:]
pids, directories = set(), set()
for line in sys.stdin:
    word, _, value = line.rstrip("\\n").partition(" ")
    known = pids if word in ("watch", "forget") else directories
    (known.add if word in ("watch", "keep") else known.discard)(value)

def bears_the_mark(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(name) == mark
    except (psutil.Error, OSError):
        return False

def family(pid):
    try:
        main = psutil.Process(int(pid))
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []

watched = [process for pid in pids for process in family(pid)]
for _ in range(100):
    doomed = watched + [process for process in psutil.process_iter() if bears_the_mark(process)]
    if not doomed:
        break
    for process in doomed:
        try:
            process.kill()
        except psutil.Error:
            pass
    watched = []
    time.sleep(0.1)  # what is killed writes no more
for directory in directories:
    shutil.rmtree(directory, ignore_errors=True)
"""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex
        # Without the mark of a run around this one: that one's reaper leaves this one to do its own work.
        unmarked = {name: value for name, value in os.environ.items() if name != MARK}  # noqa: TID251 - see `MARK`
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._PROGRAM, MARK, mark],
            stdin=subprocess.PIPE,
            text=True,
            env=unmarked,
            start_new_session=True,  # Ctrl-C is for the tests, not for it
        )
        os.environ[MARK] = mark  # noqa: TID251 - what is started from here on inherits it

    def watch(self, pid: int) -> None:
        """Kill this process in the end, and those that it has started."""
        self._tell(f"watch {pid}")

    def forget(self, pid: int) -> None:
        """It has ended, and its id may be another's."""
        self._tell(f"forget {pid}")

    def keep(self, directory: Path) -> None:
        """Remove the directory in the end, where nobody did before."""
        self._tell(f"keep {directory}")

    def removed(self, directory: Path) -> None:
        """Somebody did."""
        self._tell(f"removed {directory}")

    def close(self) -> None:
        """Have it do its work, and wait until it has."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


@cache
def reaper() -> Reaper:
    """The one of this process, started when first asked for: before anything that it shall end."""
    started = Reaper()
    atexit.register(started.close)
    return started
