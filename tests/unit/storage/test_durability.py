"""What was acknowledged survives SIGKILL of the process and of the server, at whatever moment it comes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stores import open_stores, run, sqlite_url

ROUNDS = 10

WRITER = """
import sys, threading, time
sys.path.insert(0, sys.argv[2])
from stores import instant, open_stores, stored_decision
from guardrails.core.needs import Take
from guardrails.decide.holdings import Holding, Reservation
from guardrails.errors import DependencyError

transactor = open_stores(sys.argv[1])
out = threading.Lock()

def decide(session, numbers):
    session.decisions.insert([stored_decision(number) for number in numbers])
    takes = (Take("cap", "k", owner="r"), Take("campaign", "k", is_tallied=True))
    session.caps.reserve([
        Reservation(holding=Holding(decision_id=f"d-{number}", takes=takes, at=instant(10), lease_until=instant(11)))
        for number in numbers
    ], instant(10))
    session.audit.append([b"%d" % number for number in numbers])
    return numbers

def work(thread):
    for number in range(int(sys.argv[3]) + thread, 10**9, 4):
        try:
            transactor.call(decide, number)
        except DependencyError:
            time.sleep(0.02)  # what is refused at once is not asked as fast as it can be: the server is to come back
            continue
        with out:
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()

for thread in range(4):
    threading.Thread(target=work, args=(thread,)).start()
"""


class Writer:
    """A process that writes decisions, and tells the number of each once it is durable."""

    def __init__(self, url: str, first: int) -> None:
        tests = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, tests, str(first)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def wait_for(self, acknowledgements: int) -> None:
        self.lines += [self.process.stdout.readline() for _ in range(acknowledgements)]

    def kill(self) -> list[int]:
        """Kill it; returns all that it acknowledged until it died."""
        self.process.send_signal(signal.SIGKILL)
        rest, errors = self.process.communicate()
        assert (self.process.returncode, errors) == (-signal.SIGKILL, "")
        text = "".join(self.lines) + rest
        return [int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "guardrails.db")
    return request.getfixturevalue("postgres_url")


def assert_all_there(url: str, acknowledged: list[int]) -> None:
    """Every acknowledged decision is there with its entry and its slots, and none is there in part."""
    transactor = open_stores(url)
    entries, decided, slots = run(transactor, everything)
    transactor.close()
    assert len(acknowledged) >= ROUNDS
    assert set(acknowledged) <= set(entries)
    assert len(decided) == len(entries) == len(set(entries))
    assert slots == sorted(decision.decision_id for decision in decided.values())


def everything(session) -> tuple:
    """In one unit: one of the killed process may just have been committed."""
    entries = [int(entry) for _, entry in session.audit.read(0, 10**6)]
    decided = session.decisions.by_candidate([f"c-{number}" for number in entries])
    return entries, decided, slot_owners(session.audit._connection)


def slot_owners(connection) -> list[str]:
    return sorted(connection.exec_driver_sql("SELECT decision_id FROM cap_slots").scalars())


def test_every_acknowledged_decision_is_there_after_its_process_was_killed(url):
    chance = random.Random(7)
    acknowledged: list[int] = []
    for round_ in range(ROUNDS):
        writer = Writer(url, (round_ + 1) * 1_000_000)
        writer.wait_for(chance.randrange(1, 60))
        acknowledged += writer.kill()
    assert_all_there(url, acknowledged)


def test_a_file_is_sound_after_its_process_was_killed(tmp_path):
    url = sqlite_url(tmp_path / "guardrails.db")
    writer = Writer(url, 0)
    writer.wait_for(20)
    writer.kill()
    transactor = open_stores(url)
    check = run(transactor, lambda session: session.audit._connection.exec_driver_sql("PRAGMA integrity_check").all())
    transactor.close()
    assert check == [("ok",)]


def test_every_acknowledged_decision_is_there_after_the_server_was_killed(postgres_server, postgres_url):
    chance = random.Random(7)
    writer = Writer(postgres_url, 1_000_000)
    for _ in range(ROUNDS):
        writer.wait_for(chance.randrange(1, 60))  # which it does again after each kill, by itself
        postgres_server.kill()
        postgres_server.start()
    writer.wait_for(1)
    assert_all_there(postgres_url, writer.kill())
