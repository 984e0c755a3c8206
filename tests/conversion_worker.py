"""One process of the load: its threads all do the same one thing to the same token or session, at the same time.

    python conversion_worker.py '{"url": "sqlite:///...", "keys": "...", "token": "...", "threads": 8, ...}'

Prints `ready`, waits for a line, and prints what each thread was told: `new`, `again`, or a code.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError
from guardrails.offers.conversion_service import Changed, Conversions
from guardrails.offers.conversions import ConversionRequest, StepReport
from guardrails.signing import SigningKeys, Tokens
from guardrails.stores import open_stores

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60.0


def outcomes(act: Callable[[], Changed], threads: int) -> list[str]:
    """What each of so many threads was told, that begin together."""
    told: list[str] = []
    barrier = threading.Barrier(threads)

    def once() -> None:
        barrier.wait(PATIENCE_SECONDS)
        try:
            told.append("new" if act().is_new else "again")
        except CandidateError as refusal:
            told.append(str(refusal.code))

    workers = [threading.Thread(target=once) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return told


def service(transactor: Transactor, keys: SigningKeys) -> Conversions:
    """The service; the sessions that nobody named have ids of their own."""
    tokens = Tokens(keys)
    numbers = iter(range(10**9))
    name = f"{id(transactor)}-{threading.get_native_id()}"
    return Conversions(transactor, tokens=lambda: tokens, new_id=lambda: f"{name}-{next(numbers)}")


def action(conversions: Conversions, what: dict[str, Any]) -> Callable[[], Changed]:
    """What each thread does."""
    if "step" in what:
        return lambda: conversions.step(what["id"], StepReport(what["step"], what.get("number")), now=NOON)
    return lambda: conversions.open(ConversionRequest(what["token"], "r-1", what.get("id")), now=NOON)


def main(told: dict[str, Any]) -> None:
    transactor = open_stores(told["url"], deadline=timedelta(seconds=PATIENCE_SECONDS))
    keys = SigningKeys.open(Path(told["keys"]), now=NOON)
    conversions = service(transactor, keys)
    print("ready", flush=True)  # noqa: T201 - it is asked for
    for line in sys.stdin:
        print(json.dumps(outcomes(action(conversions, json.loads(line)), told["threads"])), flush=True)  # noqa: T201
    transactor.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
