"""Not one over, not one lost: 8 processes x 8 threads, 50,000 decisions on 20 recipients and shared budgets.

What was granted is counted from the audit trail afterwards, by a second reading of what a window is (`trail`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from concurrency.worker import NOON, ask_all, settings_for, ticking
from guardrails.bootstrap import Application, open_application
from guardrails.preferences import PreferenceRequest
from guardrails.settings import Settings
from trail import Cap, countdown, day, read_entries, recount, rolling

HERE = Path(__file__).parent
PROCESSES = 8
THREADS = 8
DECISIONS = 50_000
RECIPIENTS = 20
OWN_LIMIT = 12

HOUR = 3600
CAPS = {
    "rolling-thirty": Cap(30, rolling(HOUR)),
    "day-forty": Cap(40, day),
    "countdown-five": Cap(5, countdown(16 * HOUR)),
    "an-hour-apart": Cap(1, rolling(HOUR)),
    "budget-of-a-day": Cap(2500, day),
    "shared-rolling": Cap(900, rolling(HOUR)),
    "week-hundred": Cap(100, day),
    "budget-of-a-month": Cap(777, day),
    "own-twelve": Cap(OWN_LIMIT, rolling(HOUR)),
    "money:EUR": Cap(100_000, day),
}
"""All is asked for within a second of one noon, so a week and a month are that day."""

OF_EACH_RECIPIENT = {
    "rolling-thirty": 30,
    "day-forty": 40,
    "countdown-five": 5,
    "an-hour-apart": 1,
    "own-twelve": OWN_LIMIT,
}
SHARED = {"budget-of-a-day": 2500, "shared-rolling": 900, "budget-of-a-month": 777, "money:EUR": 100_000}


@pytest.mark.parametrize("store", ["sqlite", "postgresql", "postgresql and redis", "sqlite and a redis cluster"])
def test_granted_is_what_was_asked_for_or_the_limit_on_every_store(stores, tmp_path, store):
    database_url, caps_url = stores(store)
    settings = settings_for(database_url, caps_url, tmp_path)
    with closing(open_application(settings)) as application:
        application.make_ready()
        application.fill_caps()
        _choose(application)
    answered = _asked_by_processes(settings, tmp_path)
    _check(read_entries(database_url), answered)


def test_granted_is_what_was_asked_for_or_the_limit_in_memory(tmp_path):
    """Which no two processes share: all threads are in one."""
    settings = settings_for("memory:", None, tmp_path)
    with closing(open_application(settings, clock=ticking())) as application:
        _choose(application)
        answered = ask_all(application, range(DECISIONS), PROCESSES * THREADS)
        _check([json.loads(entry) for _, entry in application.audit.entries()], answered)


def _choose(application: Application) -> None:
    """Every recipient wants fewer than the policy of campaign `h` allows."""
    for recipient in range(RECIPIENTS):
        wanted = PreferenceRequest(limits={"own-twelve": OWN_LIMIT})
        application.preferences.set(f"r-{recipient}", wanted, now=NOON)


def _check(entries: list[dict[str, Any]], answered: Mapping[str, str]) -> None:
    assert len(entries) == DECISIONS
    assert {entry["decision"]["candidate_id"] for entry in entries} == answered.keys()
    told = recount(entries, CAPS)
    assert told.overshoots == []
    by_week = {key: count for (cap, key), count in told.granted.items() if cap == "week-hundred"}
    assert (sum(by_week.values()), max(by_week.values()) <= 100) == (777, True)
    assert _granted(told) == _wanted()
    assert {entry["decision"]["degraded"] for entry in entries} == {False}


def _asked_by_processes(settings: Settings, directory: Path) -> dict[str, str]:
    """Candidate id to the digest of its answer, which all who asked for it were given."""
    outs = [directory / f"answered-{number}.json" for number in range(PROCESSES)]
    workers = [
        subprocess.Popen([sys.executable, HERE / "worker.py", json.dumps(_told(settings, number, out))])
        for number, out in enumerate(outs)
    ]
    assert [worker.wait() for worker in workers] == [0] * PROCESSES
    answered: dict[str, str] = {}
    for out in outs:
        for candidate_id, digest in json.loads(out.read_text(encoding="utf-8")).items():
            assert answered.setdefault(candidate_id, digest) == digest
    return answered


def _told(settings: Settings, number: int, out: Path) -> dict[str, Any]:
    return {
        "process": number,
        "processes": PROCESSES,
        "threads": THREADS,
        "decisions": DECISIONS,
        "database_url": settings.database_url,
        "caps_url": settings.caps_url,
        "state_directory": str(settings.state_directory),
        "out": str(out),
    }


def _granted(told) -> Counter[str]:
    return Counter({f"{cap} {key}": count for (cap, key), count in told.granted.items() if cap != "week-hundred"})


def _wanted() -> Counter[str]:
    """min(asked, limit) for every key; more is asked of each than its limit."""
    wanted: Counter[str] = Counter()
    for cap, limit in OF_EACH_RECIPIENT.items():
        for recipient in range(RECIPIENTS):
            channel = ',"push"' if cap == "day-forty" else ""
            wanted[f'{cap} ["r-{recipient}"{channel}]'] = limit
    keys = {
        "budget-of-a-day": "[]",
        "shared-rolling": '["f"]',
        "budget-of-a-month": '["g"]',
        "money:EUR": '["i"]',
    }
    for cap, limit in SHARED.items():
        wanted[f"{cap} {keys[cap]}"] = limit
    return wanted
