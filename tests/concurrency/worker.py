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
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from guardrails.bootstrap import Application, open_application
from guardrails.core.candidate import Campaign, Candidate, Content, Recipient, Spend
from guardrails.settings import Settings

NOON = datetime(2026, 12, 2, 12, tzinfo=UTC)
RECIPIENTS = 20
CAMPAIGNS = "abcdefghi"
COSTS = (999, 250, 1)
"""Minor units, by turns: the small ones fill what the large ones leave, to the last."""
SHARED_BY_TWO = 50
REQUEST_SIZES = (1, 1, 2, 1, 1, 10)
"""How many candidates a thread asks for at once, request after request."""


def candidate(number: int) -> Candidate:
    recipient = number // len(CAMPAIGNS) % RECIPIENTS
    return Candidate(
        id=f"c-{number}",
        lane="monetized",
        channel="push",
        recipient=Recipient(id=f"r-{recipient}", timezone="Europe/Berlin"),
        content=Content(class_="sponsored"),
        campaign=Campaign(id=CAMPAIGNS[number % len(CAMPAIGNS)]),
        spend=Spend(amount_minor=COSTS[number // len(CAMPAIGNS) % len(COSTS)], currency="EUR"),
    )


def share_of(process: int, processes: int, decisions: int) -> list[int]:
    """The numbers that a process asks for: its own, and of the shared ones those of the process before."""
    before = (process - 1) % processes
    return [
        number
        for number in range(decisions)
        if number % processes == process or (number % processes == before and number % SHARED_BY_TWO == before)
    ]


def settings_for(database_url: str, caps_url: str | None, state_directory: Path) -> Settings:
    return Settings(
        policies=Path(__file__).with_name("policies.yaml"),
        database_url=database_url,
        caps_url=caps_url,
        state_directory=state_directory,
        lease_seconds=3600,
        deadline_ms=60_000,  # eight processes on two cores: slow is not out of reach here
    )


def ticking() -> Callable[[], datetime]:
    """A clock that is a microsecond later each time, from one noon on."""
    ticks = itertools.count()
    return lambda: NOON + timedelta(microseconds=next(ticks))


def ask_all(application: Application, numbers: Sequence[int], threads: int) -> dict[str, str]:
    """Ask for all candidates from so many threads; candidate id to a digest of what was answered."""
    answered: dict[str, str] = {}
    workers = [
        threading.Thread(target=_ask, args=(application, numbers[thread::threads], answered))
        for thread in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answered


def _ask(application: Application, numbers: Sequence[int], answered: dict[str, str]) -> None:
    waiting = iter(numbers)
    for size in itertools.cycle(REQUEST_SIZES):
        request = [candidate(number) for number in itertools.islice(waiting, size)]
        if not request:
            return
        for answer in application.decider.decide(request):
            if isinstance(answer, Exception):
                raise answer
            answered[answer.decision.candidate_id] = hashlib.sha256(answer.body).hexdigest()


def main(told: dict[str, Any]) -> None:
    share = share_of(told["process"], told["processes"], told["decisions"])
    settings = settings_for(told["database_url"], told["caps_url"], Path(told["state_directory"]))
    with closing(open_application(settings, clock=ticking())) as application:
        answered = ask_all(application, share, told["threads"])
    Path(told["out"]).write_text(json.dumps(answered), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
