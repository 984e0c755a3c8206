"""How a process ends whose calls still wait: what was accepted is finished, and what hangs holds up nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import list_store

BEGIN = r"""
import atexit, sys, threading
from list_store import Hang, ListStore, write

store = ListStore()
transactor = store.transactor()

def call(handler, item):
    sys.stdout.write(transactor.call(handler, item) + "\n")

call(write, "main")
"""


def output(script: str) -> list[str]:
    """What the script prints, as a process with the tests' modules at hand; it ends well, and by itself."""
    command, tests = [sys.executable, "-c", BEGIN + script], Path(list_store.__file__).parent
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_calls_of_threads_that_live_on_are_finished():
    script = """
def write_late(session, items):
    threading.main_thread().join()
    return write(session, items)

for number in range(3):
    threading.Thread(target=call, args=(write_late, number)).start()
"""
    assert sorted(output(script)) == ["wrote 0", "wrote 1", "wrote 2", "wrote main"]


def test_a_call_at_the_very_end_is_served():
    assert output("atexit.register(call, write, 'last')") == ["wrote main", "wrote last"]


def test_a_unit_that_hangs_does_not_keep_the_process():
    script = """
hang = Hang(hears_interrupts=False)
threading.Thread(target=transactor.call, args=(hang, "hangs"), kwargs={"timeout_seconds": 600}, daemon=True).start()
hang.reached.wait()
"""
    assert output(script) == ["wrote main"]
