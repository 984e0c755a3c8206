"""ZEN expressions by `zen-engine` (Rust): one compiled expression, a list of the truth of every policy."""

from __future__ import annotations

import itertools
import json

import msgspec
import zen

from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers.translation import denial, flat_facts, flat_name
from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Contains, Exists, Matches, Not, OneOf, Ordering
from guardrails.core.policy_set import PolicySet

__all__ = ["contender"]

NAME = "ZEN (zen-engine)"
SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}


def contender(policy_set: PolicySet) -> InProcess:
    """Facts as JSON text are quicker than as a dict, and Python picks through the list quicker than an expression."""
    ids = [policy.id for policy in policy_set.policies]
    texts = [_text(denial(policy)) for policy in policy_set.policies]
    evaluate = zen.compile_expression(f"[{', '.join(texts)}]").evaluate

    encode = msgspec.json.Encoder().encode

    def ask(facts: dict[str, object]) -> list[str]:
        return list(itertools.compress(ids, evaluate(encode(facts).decode())))

    return InProcess(NAME, flat_facts, ask, lambda _facts, violated: frozenset(violated))


def _text(condition: Condition) -> str:
    match condition:
        case AllOf():
            return f"({' and '.join(_text(part) for part in condition.parts)})" if condition.parts else "true"
        case AnyOf():
            return f"({' or '.join(_text(part) for part in condition.parts)})" if condition.parts else "false"
        case Not():
            return f"not ({_text(condition.part)})"
        case Exists():
            return f"{flat_name(condition.field)} != null"
        case OneOf(values=(value,)):
            return f"{flat_name(condition.field)} == {json.dumps(value)}"
        case OneOf():
            return f"{flat_name(condition.field)} in {json.dumps(list(condition.values))}"
        case Compare():
            return f"{flat_name(condition.field)} {SIGNS[condition.ordering]} {condition.bound}"
        case Contains():
            return f"contains({flat_name(condition.field)}, {json.dumps(condition.value)})"
        case Matches():
            raise NotImplementedError("the workload matches no patterns")
