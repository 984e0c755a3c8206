"""Several processes on one database: caps stay exact, the log stays gapless."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guardrails.core.needs import UsageQuery
from stores import instant, open_stores, run, sqlite_url

LIMIT = 20

TAKER = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from stores import instant, open_stores
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.holdings import Holding, Reservation

transactor = open_stores(sys.argv[1])
name = sys.argv[4]
query = UsageQuery("cap", "k", instant(0), 0, owner="r")

def take(session, numbers):
    used = session.caps.read([query], instant(11))[query].older
    for number in numbers:
        if used < int(sys.argv[3]):
            used += 1
            takes = (Take("cap", "k", owner="r"),)
            holding = Holding(decision_id=f"{name}-{number}", takes=takes, at=instant(10), lease_until=instant(12))
            session.caps.reserve([Reservation(holding=holding)], instant(10))
        session.audit.append([name.encode()])
    return numbers

def work(thread):
    for number in range(15):
        transactor.call(take, thread * 100 + number)

sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
threads = [threading.Thread(target=work, args=(thread,)) for thread in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
transactor.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "guardrails.db")
    return request.getfixturevalue("postgres_url")


def test_no_interleaving_of_processes_lets_one_more_through(url):
    tests = str(Path(__file__).parents[2])
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, url, tests, str(LIMIT), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for taker in takers:
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        taker.stdin.write("go\n")
        taker.stdin.flush()
    assert [taker.communicate() for taker in takers] == [("", "")] * 3
    transactor = open_stores(url)
    query = UsageQuery("cap", "k", instant(0), 0, owner="r")
    used = run(transactor, lambda session: session.caps.read([query], instant(11)))[query].older
    entries = run(transactor, lambda session: session.audit.read(0, 1000))
    transactor.close()
    assert used == LIMIT
    assert [index for index, _ in entries] == list(range(3 * 3 * 15))
    assert sorted(entry for _, entry in entries) == sorted([b"a", b"b", b"c"] * 45)
