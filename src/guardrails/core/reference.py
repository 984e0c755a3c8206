"""What a condition means: the executable specification, and the trace that people read.

Three values, by Kleene's rules: True, False and None, unknown. A test of a fact that is missing or of the wrong type
is unknown, whatever the test; only `Exists` never is. The engines are held against this module, fact by fact.

    evaluate(OneOf("channel", STRING, ("push",)), {"channel": "push"})  ->  True
    evaluate(Not(OneOf("channel", STRING, ("push",))), {})              ->  None
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from guardrails.core.conditions import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Contains,
    Exists,
    FactType,
    Matches,
    Not,
    OneOf,
    Ordering,
)
from guardrails.core.facts import Facts, typed
from guardrails.core.glob import glob
from guardrails.core.policy import Policy, Verdict

__all__ = ["MISSING", "PolicyTrace", "TraceNode", "evaluate", "policy_trace", "trace", "verdict"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COMPARE: Mapping[Ordering, Callable[[Any, Any], bool]] = MappingProxyType(
    {Ordering.LT: operator.lt, Ordering.LTE: operator.le, Ordering.GT: operator.gt, Ordering.GTE: operator.ge}
)


def verdict(policy: Policy, facts: Facts) -> Verdict:
    """The policy's verdict on a candidate with these facts."""
    applies = evaluate(policy.applies_to, facts)
    if applies is False:
        return Verdict.NOT_APPLICABLE
    if applies is None:
        return Verdict.UNDETERMINED
    if evaluate(policy.violated, facts):
        return Verdict.VIOLATED
    return Verdict.SATISFIED if evaluate(policy.satisfied, facts) else Verdict.UNDETERMINED


def evaluate(condition: Condition, facts: Facts) -> bool | None:
    """True, False, or None where the facts don't tell."""
    if isinstance(condition, AllOf):
        return _all([evaluate(part, facts) for part in condition.parts])
    if isinstance(condition, AnyOf):
        return _not(_all([_not(evaluate(part, facts)) for part in condition.parts]))
    if isinstance(condition, Not):
        return _not(evaluate(condition.part, facts))
    if isinstance(condition, Exists):
        return facts.get(condition.field) is not None
    fact = typed(facts.get(condition.field), _type(condition))
    return None if fact is None else _holds(condition, fact)


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _not(answer: bool | None) -> bool | None:  # noqa: FBT001 - it is what is turned round
    return None if answer is None else not answer


def _type(test: OneOf | Compare | Contains | Matches) -> FactType:
    if isinstance(test, Contains):
        return FactType.STRINGS
    return FactType.STRING if isinstance(test, Matches) else test.type


def _holds(test: OneOf | Compare | Contains | Matches, fact: Any) -> bool:  # noqa: ANN401 - of the test's type
    if isinstance(test, OneOf):
        return any(_comparable(fact) == _comparable(value) for value in test.values)
    if isinstance(test, Compare):
        return _COMPARE[test.ordering](_comparable(fact), _comparable(test.bound))
    return test.value in fact if isinstance(test, Contains) else glob(test.pattern)(fact)


def _comparable(value: Any) -> Any:  # noqa: ANN401 - any two of one type compare
    """An instant as time since 1970: Python compares two datetimes of one zone by the wall clock, folds and all."""
    return value - EPOCH if isinstance(value, datetime) else value


# --- the trace -------------------------------------------------------------------------------------------------

MISSING = "missing"
"""How a trace shows a fact that isn't there; never mistaken for a text, for those stand in quotes."""


class TraceNode(msgspec.Struct, frozen=True):
    """What one part of a condition came to. `fact` is the value that was tested, as JSON; a combination has none."""

    text: str
    result: bool | None
    fact: str = ""
    children: tuple[TraceNode, ...] = ()


class PolicyTrace(msgspec.Struct, frozen=True):
    """What a policy came to and why. `violated` and `satisfied` are told even where the policy does not apply."""

    policy: str
    verdict: Verdict
    applies_to: TraceNode
    violated: TraceNode
    satisfied: TraceNode


def policy_trace(policy: Policy, facts: Facts) -> PolicyTrace:
    """The policy's verdict with the trace of each of its formulas."""
    formulas = (policy.applies_to, policy.violated, policy.satisfied)
    return PolicyTrace(policy.id, verdict(policy, facts), *(trace(formula, facts) for formula in formulas))


def trace(condition: Condition, facts: Facts) -> TraceNode:
    """Every part of `condition` with its result; nothing is left out, though one part may have decided already."""
    result = evaluate(condition, facts)
    if isinstance(condition, AllOf | AnyOf):
        all_of = isinstance(condition, AllOf)
        text = ("all" if all_of else "any") if condition.parts else ("always" if all_of else "never")
        return TraceNode(text, result, children=tuple(trace(part, facts) for part in condition.parts))
    if isinstance(condition, Not):
        return TraceNode("not", result, children=(trace(condition.part, facts),))
    return TraceNode(_text(condition), result, _shown(facts.get(condition.field)))


_SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}


def _text(test: Exists | OneOf | Compare | Contains | Matches) -> str:
    if isinstance(test, Exists):
        return f"{test.field} exists"
    if isinstance(test, OneOf):
        values = [_word(value) for value in test.values]
        return f"{test.field} = {values[0]}" if len(values) == 1 else f"{test.field} in [{', '.join(values)}]"
    if isinstance(test, Compare):
        return f"{test.field} {_SIGNS[test.ordering]} {_word(test.bound)}"
    if isinstance(test, Contains):
        return f"{test.field} contains {_word(test.value)}"
    return f"{test.field} matches {_word(test.pattern)}"


def _word(value: object) -> str:
    """A value as an author would write it: a text that can't be taken for something else goes without quotes."""
    if isinstance(value, str) and value.replace("-", "a").replace("_", "a").isidentifier():
        return value if value.lower() not in {"true", "false", "null", "yes", "no", "on", "off"} else json.dumps(value)
    return _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, default=repr)
