"""Builds and checks every engine at one size, then times all of them round by round, so that a slow moment of the
machine meets each alike and only ratios within one run are worth anything.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Sequence

import msgspec

from benchmarks.engines import oracle, own
from benchmarks.engines.contender import Contender, NoAnswerError
from benchmarks.engines.peers import bare, cedar, jsonlogic, rego, zen
from benchmarks.engines.peers.durable_plain import DurablePlain
from benchmarks.engines.workload import complete_facts, gappy_facts, policy_set
from guardrails.core.facts import Facts
from guardrails.core.policy_set import PolicySet

__all__ = ["GAPPY", "MAKERS", "PEERS", "Effort", "Measured", "measure", "wrong_verdicts"]

GAPPY = f"{own.NATIVE}, facts missing"

PEERS: dict[str, Callable[[PolicySet], Contender]] = {
    jsonlogic.NAME: jsonlogic.contender,
    zen.NAME: zen.contender,
    rego.NAME: rego.contender,
    rego.INTERPRETED_NAME: rego.interpreted_contender,
    cedar.NAME: cedar.contender,
    "durable-rules, plain post": lambda policies: DurablePlain(policies, "post"),
    "durable-rules, plain assert_fact": lambda policies: DurablePlain(policies, "assert_fact"),
}
MAKERS: dict[str, Callable[[PolicySet], Contender]] = {
    bare.NAME: bare.contender,
    own.NATIVE: lambda policies: own.contender(own.NATIVE, policies),
    GAPPY: lambda policies: own.contender(own.NATIVE, policies),
    own.DURABLE: lambda policies: own.contender(own.DURABLE, policies),
    own.PAIRED: lambda policies: own.contender(own.PAIRED, policies),
    **PEERS,
}

WINDOW = 250
"""Candidates a round: few enough to stay in the cache, where a candidate that was just decoded is too."""

LONGEST_WINDOW_SECONDS = 0.03
FEWEST_IN_WINDOW = 25


class Effort(msgspec.Struct, frozen=True):
    """How much is done: candidates that are checked, and rounds that are timed."""

    candidates: int
    rounds: int


class Measured(msgspec.Struct, kw_only=True):
    """One engine at one size. `failure` says how it ended where it gave no answer; then there are no times."""

    engine: str
    size: int
    wrong: int = 0
    asked: int = 0
    failure: str = ""
    microseconds: list[float] = []

    @property
    def median(self) -> float:
        """Microseconds a decision: the median of the rounds."""
        return statistics.median(self.microseconds)


def measure(size: int, effort: Effort, progress: Callable[[str], None]) -> list[Measured]:
    """Every engine at this size: built and checked one by one, then timed together."""
    policies = policy_set(size)
    results, runners = [], []
    for name, make in MAKERS.items():
        progress(f"{size:>5} policies: checking {name}")
        result = Measured(engine=name, size=size)
        results.append(result)
        candidates = (gappy_facts if name == GAPPY else complete_facts)(size, effort.candidates)
        contender = make(policies)
        try:
            _check(contender, candidates, result)
        except NoAnswerError as error:
            contender.close()
            result.failure = str(error)
        else:
            runners.append((contender, result))
    progress(f"{size:>5} policies: timing {len(runners)} engines, {effort.rounds} rounds")
    _time(runners, effort)
    for contender, _ in runners:
        contender.close()
    return results


def wrong_verdicts(name: str, size: int, count: int) -> int:
    """In how many of `count` complete and `count` gappy sets of facts an engine of ours errs in any verdict."""
    policies = policy_set(size)
    engine = own.FACTORIES[name](policies)
    candidates = complete_facts(size, count) + gappy_facts(size, count)
    return sum(own.verdicts(policies, engine, facts) != oracle.verdicts(facts, size) for facts in candidates)


def _check(contender: Contender, candidates: Sequence[Facts], result: Measured) -> None:
    contender.load(candidates)
    wanted = [oracle.violated(facts, result.size) for facts in candidates]
    result.asked = len(wanted)
    result.wrong = sum(want != got for want, got in zip(wanted, contender.answers(), strict=True))


def _time(runners: Sequence[tuple[Contender, Measured]], effort: Effort) -> None:
    lengths = [_window_length(contender, effort) for contender, _ in runners]
    gc.collect()
    gc.disable()
    try:
        for start in _starts(effort):
            for (contender, result), length in zip(runners, lengths, strict=True):
                window = slice(start, start + length)
                contender.seconds(window)  # to warm the caches; what was just decoded is warm
                result.microseconds.append(contender.seconds(window) / length * 1e6)
            gc.collect()
    finally:
        gc.enable()


def _starts(effort: Effort) -> Iterator[int]:
    windows = max(1, effort.candidates // WINDOW)
    return (number % windows * WINDOW for number in range(effort.rounds))


def _window_length(contender: Contender, effort: Effort) -> int:
    """A full window, or what a slow engine decides in a fair time."""
    each = contender.seconds(slice(0, FEWEST_IN_WINDOW)) / FEWEST_IN_WINDOW
    affordable = int(LONGEST_WINDOW_SECONDS / max(each, 1e-9))
    return min(WINDOW, effort.candidates, max(FEWEST_IN_WINDOW, affordable))
