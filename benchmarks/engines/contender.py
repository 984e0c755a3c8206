"""What takes part: an engine that holds one policy set, answers candidates, and can be timed doing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from guardrails.core.facts import Facts

__all__ = ["Contender", "InProcess", "NoAnswerError", "timed"]


class NoAnswerError(Exception):
    """An engine that can't be built or asked: the message says how it ended."""


class Contender(Protocol):
    """One engine with one policy set."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def load(self, candidates: Sequence[Facts], /) -> None:
        """Put candidates into the shape that the engine takes; not timed, to the engine's favour."""

    def answers(self) -> list[frozenset[str]]:
        """The ids of the violated policies, for each candidate."""

    def seconds(self, window: slice, /) -> float:
        """Processor seconds for deciding each of these candidates once."""

    def close(self) -> None:
        """Let go of what it holds."""


class InProcess(msgspec.Struct):
    """An engine that is a function call.

    `ask` is what is timed. `violated` reads its answer, given what was asked, and is not timed.
    """

    name: str
    prepare: Callable[[Facts], Any]
    ask: Callable[[Any], Any]
    violated: Callable[[Any, Any], frozenset[str]]
    prepared: list[Any] = []

    def load(self, candidates: Sequence[Facts]) -> None:
        """Prepare the candidates."""
        self.prepared = [self.prepare(facts) for facts in candidates]

    def answers(self) -> list[frozenset[str]]:
        """Ask once for each candidate."""
        return [self.violated(one, self.ask(one)) for one in self.prepared]

    def seconds(self, window: slice) -> float:
        """Ask for these candidates with the clock running."""
        return timed(self.ask, self.prepared[window])

    def close(self) -> None:
        """Drop the candidates."""
        self.prepared = []


def timed(ask: Callable[[Any], Any], prepared: Sequence[Any]) -> float:
    """Processor seconds of this process, so that a neighbour on the same core doesn't count."""
    start = time.process_time_ns()
    for one in prepared:
        ask(one)
    return (time.process_time_ns() - start) / 1e9
