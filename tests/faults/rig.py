"""A service under load to which faults are done, and what is left of the promises afterwards.

    with open_stores("postgresql", directory) as stores, Rig(directory, stores) as rig:
        rig.suffer(workers_killed, times=20)
        row = rig.verdict()

A fault is done to the running service at a chance moment; then the rig waits until a candidate of the monetized lane
is decided normally again, which needs every store. At the end everything that was answered is looked up in the audit
trail, and every cap is counted anew from it.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil

from faults.load import Answered, Load
from faults.stores import Stores
from service import Service
from trail import Cap, Recount, countdown, day, read_entries, recount, rolling

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 2
WORKERS = 2

CAPS = {
    "two-an-hour": Cap(2, rolling(3600)),
    "three-a-day-on-a-channel": Cap(3, day),
    "one-of-a-sponsor": Cap(1, countdown(16 * 3600)),
    "money-of-a-recipient:EUR": Cap(250, day),
    "money-of-a-campaign:EUR": Cap(3000, day),
    "campaign-budget": Cap(40, lambda counted_at, at: counted_at.strftime("%Y%m") == at.strftime("%Y%m")),
}
"""As in policies.yaml; instants in UTC."""


@dataclass
class Row:
    """One line of the table: what was counted while a fault was done to a service."""

    fault: str
    store: str
    times: int = 0
    answered: int = 0
    degraded: int = 0
    refused: int = 0
    """Requests that were told 503, and asked again."""

    lost: int = 0
    overshoot: int = 0
    leaked: int = 0
    recoveries: list[float] = field(default_factory=list)
    """Seconds from each fault to the first normal decision after it."""


class Rig:
    """A service with some workers over given stores, and the load on it."""

    def __init__(self, directory: Path, stores: Stores, *, seed: int = 0) -> None:
        self.stores = stores
        self.chance = random.Random(seed)
        self._directory = directory
        self._starts = 0
        self._row = Row("", stores.name)
        self.start_service()
        self.load = Load(lambda: self.service.port, seed=seed)

    def __enter__(self) -> Self:
        self.load.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.load.__exit__()
        self.service.stop()

    # --- faults

    def suffer(self, fault: Callable[[Rig], None], *, times: int) -> None:
        """Do a fault so many times, each time at a chance moment of a service that answers normally."""
        self._row.fault = fault.__name__.replace("_", " ")
        self.until(lambda: self.load.normal_since(0.0), "the service never answered")
        for _ in range(times):
            time.sleep(self.chance.uniform(0.0, 0.25))
            at = time.monotonic()
            fault(self)
            self._row.times += 1
            over_at = time.monotonic()
            back = self.until(lambda over_at=over_at: self.load.normal_since(over_at), "no normal answer afterwards")
            self._row.recoveries.append(back.at - at)

    def kill_workers(self) -> None:
        """SIGKILL to all workers."""
        for worker in self._workers():
            _kill(worker)

    def kill_a_worker(self) -> None:
        """SIGKILL to one of those there are, be it as it is born."""
        _kill(self.chance.choice(self.until(self._workers, "no worker was born")))

    def kill_service(self) -> None:
        """SIGKILL to all of it."""
        workers = self._workers()
        self.service.process.kill()
        for worker in workers:
            _kill(worker)
        self.service.process.wait()

    def start_service(self) -> None:
        """Start it, as a supervisor does."""
        self._starts += 1
        directory = self._directory / f"start-{self._starts}"
        directory.mkdir(parents=True)
        env = {
            "GUARDRAILS_DATABASE_URL": self.stores.database_url,
            "GUARDRAILS_STATE_DIRECTORY": str(self.stores.state_directory),
            "GUARDRAILS_LEASE": f"{LEASE_SECONDS}s",
            "GUARDRAILS_WORKERS": str(WORKERS),
            "GUARDRAILS_LOG_LEVEL": "warning",
        }
        caps = {} if self.stores.caps_url is None else {"GUARDRAILS_CAPS_URL": self.stores.caps_url}
        self.service = Service(directory, policies=HERE / "policies.yaml", env=env | caps)

    def _workers(self) -> list[psutil.Process]:
        """The processes that serve."""
        return [
            child
            for child in psutil.Process(self.service.process.pid).children()
            if "spawn_main" in " ".join(_command(child))
        ]

    # --- verdict

    def verdict(self) -> Row:
        """Stop the load, let the service come to rest, and count what is wrong: the row, with nothing asserted."""
        self.load.__exit__()
        assert self.load.problems == []
        self.until(self._is_drained, "the spool was never drained")
        time.sleep(LEASE_SECONDS)  # the last leases end
        told = recount(read_entries(self.stores.database_url), CAPS)
        row = self._row
        row.answered = len(self.load.answered)
        row.degraded = sum(not answer.is_normal for answer in self.load.answered)
        row.refused = len(self.load.refused)
        row.lost = len([answer for answer in self.load.answered if not _is_recorded(answer, told)])
        row.overshoot = len(told.overshoots)
        row.leaked = sum(self._is_leaked(recipient, told) for recipient in self._last_recipients())
        return row

    def _is_drained(self) -> bool:
        return not any(path.stat().st_size for path in self.stores.state_directory.glob("audit-spool*.jsonl"))

    def _last_recipients(self) -> list[str]:
        """Those who were asked for last: the ones that an interrupted reservation would be found with."""
        recipients: dict[str, None] = {}
        for answer in reversed(self.load.answered):
            recipients[answer.recipient] = None
            if len(recipients) == 200:
                break
        return list(recipients)

    def _is_leaked(self, recipient: str, told: Recount) -> bool:
        """Whether the service still counts, for a recipient, anything that the log says is over."""
        # A cluster's node may still be on its way back, where it was not that of the first normal decision.
        usage = self.until(lambda: self._usage(recipient), f"the usage of {recipient} is not told")
        now = datetime.now(UTC)  # noqa: TID251 - the log is of this very moment
        for cap in usage["caps"]:
            key = json.dumps(list(cap["key"].values()), separators=(",", ":"))
            name = cap["policy"] if cap["currency"] is None else f"{cap['policy']}:{cap['currency']}"
            if name in CAPS and cap["used"] > told.used(name, key, CAPS[name].within, now):
                return True
        return False

    def _usage(self, recipient: str) -> dict[str, Any] | None:
        usage = self.service.send("GET", f"/v1/recipients/{quote(recipient, safe='')}/usage")
        assert usage.status in (200, 503), usage.body
        return usage.json() if usage.status == 200 else None

    def until(self, condition: Callable[[], Any], otherwise: str) -> Any:
        """Wait for a condition to be true, and return what it gave."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (given := condition()):
            ended = self.service.process.poll()
            assert ended is None, f"the service ended, with {ended}; it says: {self.service.log[-3000:]}"
            assert time.monotonic() < deadline, f"{otherwise}; the service says: {self.service.log[-3000:]}"
            time.sleep(0.01)
        return given


def _is_recorded(answer: Answered, told: Recount) -> bool:
    entry = told.decisions.get(answer.decision["decision_id"])
    return entry is not None and entry["decision"] == answer.decision


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
        process.wait(PATIENCE_SECONDS)
    except psutil.NoSuchProcess:
        pass  # it went by itself meanwhile


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
