"""Builds and checks every engine at every size, then times all of them round by round.

A slow moment of the machine meets each alike, so only ratios within one run are worth anything. What meets them
differently is the process: how strings hash there decides how well its dictionaries do. So there are several.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import msgspec

from benchmarks.engines import oracle, own
from benchmarks.engines.contender import Contender, NoAnswerError
from benchmarks.engines.peers import bare, cedar, jsonlogic, rego, zen
from benchmarks.engines.peers.durable_plain import DurablePlain
from benchmarks.engines.workload import complete_facts, gappy_facts, policy_set
from guardrails.core.facts import Facts
from guardrails.core.policy_set import PolicySet

__all__ = ["GAPPY", "MAKERS", "PEERS", "Effort", "Measured", "measure", "measure_once", "wrong_verdicts"]

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
    own.REMEMBERING: lambda policies: own.contender(own.REMEMBERING, policies),
    **PEERS,
}

WINDOW = 100
"""Candidates a round, a batch of the service: few enough to stay in the cache, as what was just decoded does."""

LONGEST_WINDOW_SECONDS = 0.03
FEWEST_IN_WINDOW = 25


class Effort(msgspec.Struct, frozen=True):
    """How much is done: in each of so many processes, candidates that are checked and rounds that are timed."""

    processes: int
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


def measure(sizes: Sequence[int], effort: Effort, progress: Callable[[str], None]) -> list[Measured]:
    """Every engine at these sizes, each time in a process of its own. Those that give no answer say so."""
    total: dict[tuple[str, int], Measured] = {}
    for batch in range(effort.processes):
        progress(f"process {batch + 1} of {effort.processes}: {len(MAKERS)} engines, {effort.rounds} rounds ...")
        silent = frozenset(key for key, result in total.items() if result.failure)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            results = process.submit(measure_once, sizes, effort, batch, silent).result()
        for result in results:
            known = total.setdefault((result.engine, result.size), result)
            if known is not result:
                known.wrong += result.wrong
                known.asked += result.asked
                known.failure = known.failure or result.failure
                known.microseconds += result.microseconds
    return list(total.values())


def measure_once(
    sizes: Sequence[int], effort: Effort, batch: int = 0, silent: frozenset[tuple[str, int]] = frozenset()
) -> list[Measured]:
    """Every engine but the silent, in this process: built and checked one by one, then timed together."""
    results, runners = [], []
    for size in sizes:
        policies = policy_set(size)
        for name, make in MAKERS.items():
            if (name, size) in silent:
                continue
            result = Measured(engine=name, size=size)
            results.append(result)
            candidates = (gappy_facts if name == GAPPY else complete_facts)(size, effort.candidates, batch=batch)
            contender = make(policies)
            try:
                _check(contender, candidates, result)
            except NoAnswerError as error:
                contender.close()
                result.failure = str(error)
            else:
                runners.append((contender, result))
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
