"""A load on a running service that never gives up: candidates and outcomes over HTTP, and all that was answered.

Each thread asks for one candidate at a time and asks again, with the same body, until it is answered: by then the
service may have been killed and started again. What an allow became is reported for most, and left to its lease for
the rest, as senders do.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

THREADS = 6
RECIPIENTS = 12
GENERATION_SECONDS = 0.4
"""So long the same few recipients and one campaign are asked for; then come new ones, whose caps are free."""

PAUSE_SECONDS = 0.02
"""How long a thread waits that was not answered as it should be: senders go easy on a service in trouble."""

REPORT_WITHIN_SECONDS = 1.0
"""A sender that could not report in this time lets the lease run out."""


@dataclass(frozen=True)
class Answered:
    """One answer, and when it came (monotonic seconds)."""

    candidate_id: str
    recipient: str
    is_monetized: bool
    asked_at: float
    at: float
    body: bytes
    decision: dict[str, Any]

    @property
    def is_normal(self) -> bool:
        """Whether the stores were there for it."""
        return not self.decision["degraded"]


class Load:
    """Threads that keep asking. `answered`, `refused` (instants) and `problems` grow while it runs."""

    def __init__(self, port: Callable[[], int], *, seed: int = 0, threads: int = THREADS) -> None:
        self._port = port
        self._seed = seed
        self._stopped = threading.Event()
        self.answered: list[Answered] = []
        self.reported: dict[str, str] = {}
        self.refused: list[float] = []
        self.problems: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"load-{number}", daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)

    def normal_since(self, instant: float) -> Answered | None:
        """The first answer of the monetized lane, asked for after `instant`, for which the stores were there."""
        answered = self.answered
        first = len(answered)
        while first > 0 and answered[first - 1].at >= instant:
            first -= 1
        later = (each for each in answered[first:] if each.asked_at >= instant and each.is_monetized)
        return next((each for each in later if each.is_normal), None)

    def _run(self, number: int) -> None:
        rng = random.Random(f"{self._seed}-{number}")
        connection = _Connection(self._port)
        asked = 0
        while not self._stopped.is_set():
            asked += 1
            candidate = _candidate(f"{self._seed}-{number}-{asked}", rng)
            answer = self._ask(connection, candidate)
            if answer is not None and not answer.is_normal:
                time.sleep(PAUSE_SECONDS)
            elif answer is not None and answer.decision["effect"] == "allow":
                self._report(connection, answer, rng)
        connection.close()

    def _ask(self, connection: _Connection, candidate: dict[str, Any]) -> Answered | None:
        """Ask until there is an answer; None where the load was stopped before."""
        while not self._stopped.is_set():
            asked_at = time.monotonic()
            status, body = connection.post("/v1/decisions", candidate)
            if status == 200:
                answer = Answered(
                    candidate["id"],
                    candidate["recipient"]["id"],
                    candidate["lane"] == "monetized",
                    asked_at,
                    time.monotonic(),
                    body,
                    json.loads(body),
                )
                self.answered.append(answer)
                return answer
            if status == 503:
                self.refused.append(time.monotonic())
            elif status != 0:
                self.problems.append(f"{status} {body[:300]!r}")
                return None
            time.sleep(PAUSE_SECONDS)
        return None

    def _report(self, connection: _Connection, answer: Answered, rng: random.Random) -> None:
        outcome = rng.choices(["sent", "delivered", "failed", None], [5, 2, 1, 2])[0]
        decision_id = answer.decision["decision_id"]
        while outcome is not None and time.monotonic() < answer.at + REPORT_WITHIN_SECONDS:
            status, body = connection.post(f"/v1/decisions/{decision_id}/outcome", {"outcome": outcome})
            if status == 200:
                self.reported[decision_id] = outcome
                return
            if status not in (0, 503):
                self.problems.append(f"outcome {outcome}: {status} {body[:300]!r}")
                return
            time.sleep(PAUSE_SECONDS)


def _candidate(candidate_id: str, rng: random.Random) -> dict[str, Any]:
    generation = int(time.monotonic() / GENERATION_SECONDS)
    is_monetized = rng.random() < 0.9
    return {
        "id": candidate_id,
        "lane": "monetized" if is_monetized else "transactional",
        "channel": rng.choice(["push", "email"]),
        "recipient": {"id": f"r-{generation}-{rng.randrange(RECIPIENTS)}"},
        "content": {"class": "sponsored" if is_monetized else "transactional"},
        "campaign": {"id": f"k-{generation // 2}"},
        "sponsor": {"id": rng.choice(["acme", "zozo"])},
        "spend": {"amount_minor": rng.choice([1, 90, 170]), "currency": "EUR"},
    }


class _Connection:
    """A connection that is made again whenever it is lost."""

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, value: object) -> tuple[int, bytes]:
        """Status and body; status 0 where there was no answer."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=10)
            self._connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, b""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
