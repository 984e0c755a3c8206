"""What was acknowledged survives SIGKILL, at whatever moment it comes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from stores import open_stores, run, sqlite_url

ROUNDS = 20

WRITER = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from stores import instant, open_stores, stored_decision
from guardrails.core.needs import Take
from guardrails.decide.ports import Reservation

transactor = open_stores(sys.argv[1])
out = threading.Lock()

def decide(session, numbers):
    session.decisions.insert([stored_decision(number) for number in numbers])
    session.caps.reserve([
        Reservation(decision_id=f"d-{number}", takes=(Take("cap", "k"),), at=instant(10), lease_until=instant(11))
        for number in numbers
    ])
    session.audit.append([b"%d" % number for number in numbers])
    return numbers

def work(thread):
    for number in range(int(sys.argv[3]) + thread, 10**9, 4):
        transactor.call(decide, number)
        with out:
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()

for thread in range(4):
    threading.Thread(target=work, args=(thread,)).start()
"""


def test_every_acknowledged_decision_is_there_after_a_kill(tmp_path):
    url = sqlite_url(tmp_path / "guardrails.db")
    chance = random.Random(7)
    acknowledged: list[int] = []
    for round_ in range(ROUNDS):
        first = (round_ + 1) * 1_000_000
        acknowledged += killed_after(chance.randrange(1, 60), url, first)
    transactor = open_stores(url)
    entries = run(transactor, lambda session: [int(entry) for _, entry in session.audit.read(0, 10**6)])
    found = run(transactor, lambda session: session.decisions.by_candidate([f"c-{number}" for number in entries]))
    check = run(
        transactor, lambda session: session.audit._connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    )
    transactor.close()
    assert set(acknowledged) <= set(entries)
    assert len(acknowledged) >= ROUNDS
    assert len(found) == len(entries) == len(set(entries))
    assert check == "ok"


def killed_after(acknowledgements: int, url: str, first: int) -> list[int]:
    """Start a writer and kill it once it acknowledged so many; returns all that it acknowledged until it died."""
    tests = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(tests), str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = [process.stdout.readline() for _ in range(acknowledgements)]
    process.send_signal(signal.SIGKILL)
    rest, errors = process.communicate()
    assert (process.returncode, errors) == (-signal.SIGKILL, "")
    text = "".join(lines) + rest
    return [int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
