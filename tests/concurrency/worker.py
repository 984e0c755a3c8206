"""One process of the load: opens the application over shared stores and asks for its share of the candidates.

    python worker.py '{"process": 0, "processes": 8, "threads": 8, "decisions": 50000, ...}'

Every fiftieth candidate is asked for by two processes, at about the same time. Writes a digest of each answer.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from guardrails.bootstrap import Application, open_application
from guardrails.core.candidate import Campaign, Candidate, Content, Recipient
from guardrails.settings import Settings

NOON = datetime(2026, 12, 2, 12, tzinfo=UTC)
RECIPIENTS = 20
CAMPAIGNS = "abcdefg"
SHARED_BY_TWO = 50


def candidate(number: int) -> Candidate:
    recipient = number // len(CAMPAIGNS) % RECIPIENTS
    return Candidate(
        id=f"c-{number}",
        lane="monetized",
        channel="push",
        recipient=Recipient(id=f"r-{recipient}", timezone="Europe/Berlin"),
        content=Content(class_="sponsored"),
        campaign=Campaign(id=CAMPAIGNS[number % len(CAMPAIGNS)]),
    )


def share_of(process: int, processes: int, decisions: int) -> list[int]:
    """The numbers that a process asks for: its own, and of the shared ones those of the process before."""
    before = (process - 1) % processes
    return [
        number
        for number in range(decisions)
        if number % processes == process or (number % processes == before and number % SHARED_BY_TWO == before)
    ]


def run(share: list[int], threads: int, settings: Settings) -> dict[str, str]:
    """Ask for `share` from `threads` threads; candidate id to a digest of what was answered."""
    ticks = itertools.count()
    application = open_application(settings, clock=lambda: NOON + timedelta(microseconds=next(ticks)))
    application.make_ready()
    answered: dict[str, str] = {}
    workers = [
        threading.Thread(target=_ask, args=(application, share[thread::threads], answered)) for thread in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    application.close()
    return answered


def _ask(application: Application, numbers: list[int], answered: dict[str, str]) -> None:
    for number in numbers:
        (answer,) = application.decider.decide([candidate(number)])
        if isinstance(answer, Exception):
            raise answer
        answered[answer.decision.candidate_id] = hashlib.sha256(answer.body).hexdigest()


def main(told: dict[str, Any]) -> None:
    share = share_of(told["process"], told["processes"], told["decisions"])
    settings = Settings(
        policies=Path(told["policies"]),
        database_url=told["database_url"],
        caps_url=told["caps_url"],
        state_directory=Path(told["state_directory"]),
        lease_seconds=3600,
        deadline_ms=60_000,  # eight processes on two cores: slow is not out of reach here
    )
    answered = run(share, told["threads"], settings)
    Path(told["out"]).write_text(json.dumps(answered), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
