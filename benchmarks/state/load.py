"""Times an application under a load: how many decisions a second, and how long each call took."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from benchmarks.state.workload import Batch, Traffic
from guardrails.bootstrap import Application
from guardrails.decide.writes import Answer

__all__ = ["BATCHES", "MODES", "Effort", "Load", "Measured", "Mode", "Source", "measure"]


class Mode(NamedTuple):
    """How candidates arrive: from so many threads, so many in a call."""

    threads: int
    size: int


BATCHES = Mode(1, 100)
MODES = (Mode(1, 1), Mode(16, 1), BATCHES, Mode(16, 100))


class Effort(NamedTuple):
    """How much is done: so many rounds, in each of which everything that is compared has about so many seconds."""

    rounds: int
    seconds: float


class Measured(msgspec.Struct):
    """What was seen of one mode: a rate for each round (calls or decisions a second), and how long each call took."""

    mode: Mode
    rates: list[float] = []
    seconds: list[float] = []

    @property
    def rate(self) -> float:
        """Decisions a second: the median of the rounds."""
        return statistics.median(self.rates)

    def milliseconds(self, percent: int) -> float:
        """So many percent of the calls took no longer."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1] * 1000

    def ratio(self, floor: Measured) -> float:
        """Its rate to that of what was measured beside it, round by round."""
        return statistics.median(mine / its for mine, its in zip(self.rates, floor.rates, strict=True))


class Load:
    """An application, and the traffic that it decides."""

    def __init__(self, application: Application, traffic: Traffic) -> None:
        self._application = application
        self._traffic = traffic

    def run(self, mode: Mode, calls: int) -> tuple[float, list[float]]:
        """Decide so many calls in a mode: the seconds that all took together, and those of each.

        Raises RuntimeError where a candidate is not decided as it should be.
        """
        return _decide(self._application, self._traffic.batches(calls, mode.size), mode.threads)

    def row(self) -> bytes:
        """The answer to one decision more, and its audit entry."""
        (batch,) = self._traffic.batches(1, 1)
        (answer,) = self._application.decider.decide(batch.candidates, now=batch.now)
        assert isinstance(answer, Answer)  # noqa: S101 - the traffic can be decided
        *_, (_, entry) = self._application.audit.entries(answer.decision.audit.index, answer.decision.audit.index + 1)
        return entry + answer.body


class Loaded(Protocol):
    """What can be asked to decide: here (`Load`), or in a process of its own."""

    def run(self, mode: Mode, calls: int) -> tuple[float, list[float]]:
        """As `Load.run`."""


class Source:
    """One thing to time in a mode: how much it does in a round is found out by a first try."""

    def __init__(self, run: Callable[[int], tuple[float, list[float]]], mode: Mode) -> None:
        """`run` makes so many calls; it returns the seconds that all took together, and those of each."""
        self.measured = Measured(mode)
        self._run = run
        self._calls = mode.threads

    @classmethod
    def of_decisions(cls, load: Loaded, mode: Mode) -> Source:
        """Decides what the load holds."""
        return cls(partial(load.run, mode), mode)

    @classmethod
    def of_commits(cls, commit: Callable[[bytes], None], row: bytes) -> Source:
        """Inserts and commits one row after the other."""

        def run(calls: int) -> tuple[float, list[float]]:
            times = [_timed(commit, row) for _ in range(calls)]
            return sum(times), times

        return cls(run, Mode(1, 1))

    def warm_up(self, effort: Effort) -> None:
        """Find out how many calls fill a round's time."""
        took = 0.0
        while took < effort.seconds / 4:
            took, _ = self._run(self._calls)
            self._calls = max(self._calls, int(self._calls * min(8, effort.seconds / max(took, 1e-9))))

    def round(self) -> None:
        """One round more."""
        took, times = self._run(self._calls)
        self.measured.rates.append(self._calls * self.measured.mode.size / took)
        self.measured.seconds += times


def measure(sources: Sequence[Source], effort: Effort) -> None:
    """Round by round, each source in turn, so that a slow moment of the machine meets all alike."""
    for source in sources:
        source.warm_up(effort)
    gc.collect()
    for _ in range(effort.rounds):
        for source in sources:
            source.round()


def _decide(application: Application, batches: Sequence[Batch], threads: int) -> tuple[float, list[float]]:
    """Decide the batches; each thread has its share."""
    ready = threading.Barrier(threads + 1)

    def ask(share: Sequence[Batch]) -> list[float]:
        ready.wait()
        return [_timed(_decide_batch, application, batch) for batch in share]

    with ThreadPoolExecutor(threads) as pool:
        asking = [pool.submit(ask, batches[place::threads]) for place in range(threads)]
        ready.wait()
        begun = time.perf_counter()
        times = [seconds for asked in asking for seconds in asked.result()]
        return time.perf_counter() - begun, times


def _decide_batch(application: Application, batch: Batch) -> None:
    """Raises RuntimeError where a candidate was not decided as it should be: its time would say nothing."""
    for answer in application.decider.decide(batch.candidates, now=batch.now):
        if isinstance(answer, Exception):
            raise RuntimeError(f"not decided: {answer}") from answer  # noqa: TRY004 - nobody gave a wrong type
        if answer.decision.degraded:
            raise RuntimeError(f"not decided as it should be: {answer.fault}")


def _timed(do: Callable[..., None], *given: object) -> float:
    begun = time.perf_counter()
    do(*given)
    return time.perf_counter() - begun
