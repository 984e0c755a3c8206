"""JSONLogic by `datalogic-py` (Rust): one compiled rule that merges the ids of the violated policies."""

from __future__ import annotations

from typing import Any

import datalogic_py

from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers.translation import denial, flat_facts, flat_name
from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Contains, Exists, Matches, Not, OneOf, Ordering
from guardrails.core.policy_set import PolicySet

__all__ = ["contender"]

NAME = "JSONLogic (datalogic-py)"
SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}


def contender(policy_set: PolicySet) -> InProcess:
    """The facts as a dict, which is quicker than as JSON text; a session is no quicker."""
    ids = [policy.id for policy in policy_set.policies]
    rule = datalogic_py.Engine().compile(
        {"merge": [{"if": [_logic(denial(policy)), [place], []]} for place, policy in enumerate(policy_set.policies)]}
    )
    return InProcess(NAME, flat_facts, rule.evaluate, lambda _facts, places: frozenset(ids[place] for place in places))


def _logic(condition: Condition) -> Any:
    match condition:
        case AllOf():
            return {"and": [_logic(part) for part in condition.parts]} if condition.parts else True
        case AnyOf():
            return {"or": [_logic(part) for part in condition.parts]} if condition.parts else False
        case Not():
            return {"!": [_logic(condition.part)]}
        case Exists():
            return {"!==": [_fact(condition.field), None]}
        case OneOf(values=(value,)):
            return {"===": [_fact(condition.field), value]}
        case OneOf():
            return {"in": [_fact(condition.field), list(condition.values)]}
        case Compare():
            return {SIGNS[condition.ordering]: [_fact(condition.field), condition.bound]}
        case Contains():
            return {"in": [condition.value, _fact(condition.field)]}
        case Matches():
            raise NotImplementedError("the workload matches no patterns")


def _fact(field: str) -> dict[str, str]:
    return {"var": flat_name(field)}
