"""A service under load whose parts are killed, and what is left of the promises afterwards.

    with Rig(directory, database_url=url) as rig:
        rig.fault("worker killed", rig.kill_workers, times=20)
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
from service import Service
from trail import Cap, Recount, countdown, day, read_entries, recount, rolling

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 3

CAPS = {
    "two-an-hour": Cap(2, rolling(3600)),
    "three-a-day-on-a-channel": Cap(3, day),
    "one-of-a-sponsor": Cap(1, countdown(16 * 3600)),
    "campaign-budget": Cap(40, lambda counted_at, at: counted_at.strftime("%Y%m") == at.strftime("%Y%m")),
}
"""As in policies.yaml; instants in UTC."""


@dataclass
class Row:
    """One line of the table."""

    fault: str
    store: str
    times: int = 0
    answered: int = 0
    degraded: int = 0
    lost: int = 0
    overshoot: int = 0
    leaked: int = 0
    recoveries: list[float] = field(default_factory=list)
    """Seconds from each fault to the first normal decision after it."""


class Rig:
    """A service with two workers over given stores, and the load on it."""

    def __init__(
        self, directory: Path, *, store: str, database_url: str, caps_url: str | None = None, seed: int = 0
    ) -> None:
        self._directory = directory
        self._database_url = database_url
        self._env = {
            "GUARDRAILS_DATABASE_URL": database_url,
            "GUARDRAILS_LEASE": f"{LEASE_SECONDS}s",
            "GUARDRAILS_WORKERS": "2",
            "GUARDRAILS_LOG_LEVEL": "warning",
            # A killed process measures nothing, and measuring slows every start.
            "COVERAGE_PROCESS_START": "",
            "COVERAGE_PROCESS_CONFIG": "",
            **({} if caps_url is None else {"GUARDRAILS_CAPS_URL": caps_url}),
        }
        self._starts = 0
        self._chance = random.Random(seed)
        self._row = Row("", store)
        self.service = self._start()
        self.load = Load(lambda: self.service.port, seed=seed)

    def __enter__(self) -> Self:
        self.load.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.load.__exit__()
        self.service.stop()

    # --- faults

    def fault(self, name: str, do: Callable[[], None], *, times: int) -> None:
        """Do it so many times, each time at a chance moment of a service that answers normally."""
        self._row.fault = name
        self.until(lambda: self.load.normal_since(0.0), "the service never answered")
        for _ in range(times):
            time.sleep(self._chance.uniform(0.0, 0.4))
            at = time.monotonic()
            do()
            self._row.times += 1
            done_at = time.monotonic()
            back = self.until(lambda done_at=done_at: self.load.normal_since(done_at), f"no normal answer after {name}")
            self._row.recoveries.append(back.at - at)

    def kill_workers(self) -> None:
        """SIGKILL to both workers; the service starts others."""
        for worker in self.workers():
            _kill(worker)

    def kill_one_worker(self) -> None:
        """SIGKILL to the older worker; the other goes on. (A worker that dies as it is born ends Granian for good.)"""
        workers = self.workers()
        if workers:
            _kill(min(workers, key=psutil.Process.create_time))

    def kill_service(self) -> None:
        """SIGKILL to all of it, and a new start, as a supervisor does."""
        workers = self.workers()
        self.service.process.kill()
        for worker in workers:
            _kill(worker)
        self.service.process.wait()
        self.service = self._start()

    def workers(self) -> list[psutil.Process]:
        """The processes that serve."""
        return [
            child
            for child in psutil.Process(self.service.process.pid).children()
            if "spawn_main" in " ".join(_command(child))
        ]

    def _start(self) -> Service:
        self._starts += 1
        directory = self._directory / f"start-{self._starts}"
        directory.mkdir(parents=True)
        state = {"GUARDRAILS_STATE_DIRECTORY": str(self._directory / "state")}
        return Service(directory, policies=HERE / "policies.yaml", env=self._env | state)

    # --- verdict

    def verdict(self) -> Row:
        """Stop the load, let the service come to rest, and count what is wrong: the row, with nothing asserted."""
        self.load.__exit__()
        assert self.load.problems == []
        self.until(self._is_drained, "the spool was never drained")
        time.sleep(LEASE_SECONDS)  # the last leases end
        told = recount(read_entries(self._database_url), CAPS)
        row = self._row
        row.answered = len(self.load.answered)
        row.degraded = sum(not answer.is_normal for answer in self.load.answered)
        row.lost = len([answer for answer in self.load.answered if not _is_recorded(answer, told)])
        row.overshoot = len(told.overshoots)
        row.leaked = sum(self._is_leaked(recipient, told) for recipient in self._last_recipients())
        return row

    def _is_drained(self) -> bool:
        return not any(path.stat().st_size for path in (self._directory / "state").glob("audit-spool*.jsonl"))

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
        usage = self.service.send("GET", f"/v1/recipients/{quote(recipient, safe='')}/usage")
        assert usage.status == 200, usage.body
        now = datetime.now(UTC)  # noqa: TID251 - the log is of this very moment
        for cap in usage.json()["caps"]:
            key = json.dumps(list(cap["key"].values()), separators=(",", ":"))
            if cap["policy"] in CAPS and cap["used"] > told.used(cap["policy"], key, CAPS[cap["policy"]].within, now):
                return True
        return False

    def until(self, condition: Callable[[], Any], otherwise: str) -> Any:
        """Wait for a condition to be true, and return what it gave."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (given := condition()):
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
