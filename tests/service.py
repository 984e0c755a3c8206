"""A real `guardrails serve` in a process of its own, and a client of it, for tests that go through HTTP only."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

GUARDRAILS = Path(sys.executable).with_name("guardrails")
POLICIES = Path(__file__).parents[1] / "policies"
PATIENCE_SECONDS = 30.0
PATIENCE_TO_START_SECONDS = 120.0  # a machine that does much else has been seen to take more than half a minute

CANDIDATE: dict[str, Any] = {
    "id": "c-1",
    "lane": "transactional",
    "channel": "email",
    "recipient": {"id": "r-1", "timezone": "Europe/Berlin"},
    "content": {"class": "transactional"},
}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A running service. `log` and `said` are what it wrote on standard error and standard output."""

    def __init__(self, directory: Path, *, policies: Path = POLICIES, env: Mapping[str, str] | None = None) -> None:
        self._stderr = directory / "stderr"
        self._stdout = directory / "stdout"
        given = {
            "GUARDRAILS_POLICIES": str(policies),
            "GUARDRAILS_DATABASE_URL": f"sqlite:///{directory / 'guardrails.db'}",
            "GUARDRAILS_STATE_DIRECTORY": str(directory),
            "GUARDRAILS_PORT": "0",
            "PYTHONFAULTHANDLER": "1",  # see `_kill_telling_where`
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")}  # noqa: TID251
        with self._stderr.open("wb") as stderr, self._stdout.open("wb") as stdout:
            self.process = subprocess.Popen(
                [GUARDRAILS, "serve"], env=inherited | given | (env or {}), stdout=stdout, stderr=stderr
            )
        try:
            self.port = self._announced_port()
        except BaseException:
            self._kill_telling_where()
            raise

    def _announced_port(self) -> int:
        deadline = time.monotonic() + PATIENCE_TO_START_SECONDS
        while not self.said.endswith("\n") and self.process.poll() is None:
            if time.monotonic() > deadline:
                self._kill_telling_where()
                raise RuntimeError(f"the service has not started in {PATIENCE_TO_START_SECONDS:g} s: {self.log}")
            time.sleep(0.01)
        found = re.search(r"http://[^ ]*?:(\d+) ", self.said)
        if found is None:
            raise RuntimeError(f"the service did not start: {self.log}")
        return int(found[1])

    def _kill_telling_where(self) -> None:
        """End it with its workers; each writes to its log where its threads stood (faulthandler, at SIGABRT)."""
        if self.process.poll() is None:
            for one in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                one.send_signal(signal.SIGABRT)
            self.process.wait()

    @property
    def log(self) -> str:
        return self._stderr.read_text(encoding="utf-8")

    @property
    def said(self) -> str:
        return self._stdout.read_text(encoding="utf-8")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def send(self, method: str, path: str, value: object = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own; `value` goes as JSON, bytes as they are."""
        connection = self.connect()
        try:
            body = value if isinstance(value, bytes) else None if value is None else json.dumps(value).encode()
            declared = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, body, declared | dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def until(self, condition: Any) -> Any:
        """Wait for a condition to be true, and return what it gave."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (given := condition()):
            assert time.monotonic() < deadline, f"it never came to that; the service says: {self.log[-2000:]}"
            time.sleep(0.01)
        return given

    def stop(self, *, by: signal.Signals = signal.SIGTERM) -> int:
        """Tell the service to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(PATIENCE_SECONDS)
