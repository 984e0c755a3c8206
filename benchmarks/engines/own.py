"""The engines of the package. The timed unit is what the route does: select the policies, evaluate the selection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from benchmarks.engines.contender import InProcess
from guardrails.core.facts import Facts
from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.decide.ports import Engine, EngineFactory
from guardrails.engine.durable import DurableEngine
from guardrails.engine.native import NativeEngine
from guardrails.engine.paired import PairedEngine

__all__ = ["DURABLE", "FACTORIES", "NATIVE", "PAIRED", "REMEMBERING", "contender", "verdicts"]

NATIVE, DURABLE, PAIRED = "guardrails native", "guardrails durable", "guardrails paired"
REMEMBERING = f"{PAIRED}, facts met before"
FACTORIES: dict[str, EngineFactory] = {
    NATIVE: NativeEngine,
    # What these remember is another row: here the rules are asked each time.
    DURABLE: partial(DurableEngine, remembered=0),
    PAIRED: partial(PairedEngine, remembered=0),
    REMEMBERING: PairedEngine,
}


def contender(name: str, policy_set: PolicySet) -> InProcess:
    """The engine of that name."""
    select, evaluate = policy_set.select, FACTORIES[name](policy_set).evaluate

    def ask(facts: Facts) -> Sequence[Verdict]:
        return evaluate(select(facts).selection, facts)

    def violated(facts: Facts, answer: Sequence[Verdict]) -> frozenset[str]:
        pairs = zip(select(facts).policies, answer, strict=True)
        return frozenset(policy.id for policy, verdict in pairs if verdict == Verdict.VIOLATED)

    return InProcess(name, dict, ask, violated)


def verdicts(policy_set: PolicySet, engine: Engine, facts: Facts) -> dict[str, str]:
    """The verdict of every policy that applies, by id, as the oracle words it."""
    selected = policy_set.select(facts)
    given = zip(selected.policies, engine.evaluate(selected.selection, facts), strict=True)
    return {policy.id: verdict.value for policy, verdict in given if verdict is not Verdict.NOT_APPLICABLE}
