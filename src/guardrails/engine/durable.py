"""The rules engine: durable-rules 2.0.28, driven below its public surface. The only module that knows the vendor.

A decision asserts one fact, collects the names of the rules that fire, and retracts the fact. What the facts and
rules look like, and which bounds they keep, is `durable_lowering`. What has to be true of driving them is kept here:

- one session for ever: a new one costs a megabyte that nothing gives back, and the 1,025th ends in MemoryError
- facts and never events: an event is consumed by the first rule that it matches
- no Host: it starts timer threads that work on the rules behind their owner's back
- no actions: what they raise is swallowed, so nothing but the name of the rule leaves the engine
- no `delete_state`: it frees what was never set
- one thread at a time in a ruleset. The C code never lets go of the interpreter, so a ruleset for each thread would
  gain nothing and cost 13 kB a rule; but a decision is several calls, and another's must not come between
- a ruleset whose decision was broken off is not used again: its session stays locked for a minute, half done
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice

import durable_rules_engine as vendor

from guardrails.core.facts import Facts
from guardrails.core.index import Selection
from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.engine.durable_lowering import FACT_ID, RULE_NAME, Ask, Lowered, Plan, Shard, Then, lower
from guardrails.engine.lines import encoder
from guardrails.errors import EngineFault, PolicyError

__all__ = ["MOST_REMEMBERED", "DurableEngine"]

FACT = f'{{"id":"{FACT_ID}"}}'
"""Names the fact to retract. Its `sid` is left out, which means session 0."""

NAME_END = 2 + len(RULE_NAME.format(0))
"""Where a rule's name ends in the message that it fired."""

OK, NOT_HANDLED = 0, 1
"""What asserting a fact may answer: rules matched, or none did."""


Codes = tuple[int, ...]
"""What a candidate shows on lines (`lines`), in their order."""

MOST_REMEMBERED = 4096
"""Answers of units, and verdicts of groups, kept ready: a few hundred bytes each, four thousand of either at most."""


class DurableEngine:
    """Gives the verdicts of one policy set.

    What the rules answer to a fact is `remembered`, for so many of them: codes leave out all that makes no difference
    to the policies, so that most facts were asked before. Raises PolicyError where a policy is too complex for it.
    Several threads may call it at once.
    """

    def __init__(self, policy_set: PolicySet, *, remembered: int = MOST_REMEMBERED) -> None:
        lowered = lower(policy_set)
        self._encoders = [_encoder_of(plan, lowered.shards) for plan in lowered.plans]
        self._shards = [_LoadedShard(shard) for shard in lowered.shards]
        answer = lru_cache(maxsize=remembered)(partial(_answer, self._shards))
        self._verdicts = lru_cache(maxsize=remembered)(partial(_verdicts, lowered, answer))

    def evaluate(self, selection: Selection, facts: Facts) -> list[Verdict]:
        """One verdict for each of `selection.places`, in that order. Raises EngineFault where it lacks one."""
        verdicts: list[Verdict] = []
        for group in selection.groups:
            verdicts += self._verdicts(group, self._encoders[group](facts))
        return verdicts


def _encoder_of(plan: Plan, shards: Sequence[Shard]) -> Callable[[Facts], Codes]:
    """What gives a candidate's codes for all that a group asks, one unit after the other."""
    return encoder([line for ask in plan.asks for line in shards[ask.shard].units[ask.unit].lines])


# What these two give is remembered: it depends on nothing else, for of a fact that was asked nothing stays behind.


def _verdicts(
    lowered: Lowered, answer: Callable[[Ask, Codes], Mapping[int, Verdict | Then]], group: int, codes: Codes
) -> tuple[Verdict, ...]:
    """The verdict of each entry of the group."""
    plan = lowered.plans[group]
    outcomes: dict[int, Verdict | Then] = {}
    rest = iter(codes)
    for ask in plan.asks:
        width = len(lowered.shards[ask.shard].units[ask.unit].lines)
        outcomes.update(answer(ask, tuple(islice(rest, width))))
    return tuple(_followed(outcomes[slot], outcomes) for slot in plan.picks)


def _answer(shards: Sequence[_LoadedShard], ask: Ask, codes: Codes) -> Mapping[int, Verdict | Then]:
    return shards[ask.shard].answer(ask, codes)


def _followed(outcome: Verdict | Then, outcomes: Mapping[int, Verdict | Then]) -> Verdict:
    """The verdict that an outcome comes to."""
    while isinstance(outcome, Then):
        outcome = outcomes[outcome.slot]
    return outcome


class _LoadedShard:
    """A shard with its ruleset."""

    def __init__(self, shard: Shard) -> None:
        self._facts = [unit.fact for unit in shard.units]
        self._rules: list[dict[str, tuple[int, Verdict | Then]]] = [{} for _ in shard.units]
        for place, rule in enumerate(shard.rules):
            self._rules[rule.unit][RULE_NAME.format(place)] = rule.slot, rule.outcome
        self._ruleset = _Ruleset(shard.definition)

    def answer(self, ask: Ask, codes: Codes) -> dict[int, Verdict | Then]:
        """The outcome of each slot that the unit settles. Raises EngineFault."""
        fired = self._ruleset.fire(self._facts[ask.unit] % codes)
        rules = self._rules[ask.unit]
        outcomes = dict([rules[name] for name in fired if name in rules])
        if not len(fired) == len(outcomes) == ask.slots:
            raise EngineFault(f"durable-rules fired {len(fired)} rules where {ask.slots} had to")
        return outcomes


class _Ruleset:
    """A compiled ruleset and its one session."""

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._lock = threading.Lock()
        self._handle: int | None = self._compile()

    def _compile(self) -> int:
        try:
            handle: int = vendor.create_ruleset("policies", self._definition)
        except vendor.error as error:
            raise PolicyError(f"durable-rules does not take the policies: {error}") from error
        # Gives back what the compiled rules take; the session's part of it, 13 kB a rule, is lost.
        weakref.finalize(self, vendor.delete_ruleset, handle).atexit = False
        return handle

    def fire(self, fact: str) -> list[str]:
        """The names of all rules that fire on `fact`, which is gone again afterwards. Raises EngineFault."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is None:
                handle = self._compile()
            try:
                names = _fire(handle, fact)
            except vendor.error as error:
                raise EngineFault(f"durable-rules failed: {error}") from error
            self._handle = handle
        return names


def _fire(handle: int, fact: str) -> list[str]:
    names: list[str] = []
    code, state = vendor.assert_fact(handle, fact)
    if code not in (OK, NOT_HANDLED):
        raise EngineFault(f"durable-rules answered a fact with code {code}")
    started = vendor.start_action_for_state(handle, state)
    message = None if started is None else started[1]
    while message is not None:
        names.append(message[2:NAME_END])  # {"<name>":{"m":{...}}}
        message = vendor.complete_and_start_action(handle, state)
    vendor.retract_fact(handle, FACT)
    return names
