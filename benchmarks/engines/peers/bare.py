"""The floor: one generated Python function, indexed, with two truth values and no idea of types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers.translation import both
from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Contains, Exists, Matches, Not, OneOf, Ordering
from guardrails.core.facts import Facts
from guardrails.core.index import Entry
from guardrails.core.policy_set import PolicySet

__all__ = ["contender"]

NAME = "bare function"
SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}

Check = Callable[[Facts, list[int]], None]


def contender(policy_set: PolicySet) -> InProcess:
    """The generated functions behind one dictionary look-up for each indexed field."""
    ids = [policy.id for policy in policy_set.policies]
    always, indexed = _checks(policy_set)

    def ask(facts: Facts) -> list[int]:
        found: list[int] = []
        always(facts, found)
        for field, by_value in indexed:
            check = by_value.get(facts[field])
            if check is not None:
                check(facts, found)
        return found

    return InProcess(NAME, dict, ask, lambda _facts, found: frozenset(ids[place] for place in found))


def _checks(policy_set: PolicySet) -> tuple[Check, list[tuple[str, dict[object, Check]]]]:
    by_field: dict[str, dict[object, Check]] = {}
    for group in policy_set.index.groups:
        if group.field is not None and group.value is not None:
            by_field.setdefault(group.field, {})[group.value] = _generate(policy_set, group.entries)
    return _generate(policy_set, policy_set.index.groups[0].entries), list(by_field.items())


def _generate(policy_set: PolicySet, entries: Iterable[Entry]) -> Check:
    lines = ["def check(f, found):", "    pass"]
    for entry in entries:
        condition = both(entry.applies_to, policy_set.policies[entry.place].violated)
        lines += [f"    if {_expression(condition)}: found.append({entry.place})"]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)  # noqa: S102 - the benchmark's own policies
    return scope["check"]  # type: ignore[no-any-return]


def _expression(condition: Condition) -> str:
    match condition:
        case AllOf():
            return f"({' and '.join(_expression(part) for part in condition.parts)})" if condition.parts else "True"
        case AnyOf():
            return f"({' or '.join(_expression(part) for part in condition.parts)})" if condition.parts else "False"
        case Not():
            return f"not {_expression(condition.part)}"
        case Exists():
            return f"({condition.field!r} in f)"
        case OneOf(values=(value,)):
            return f"f[{condition.field!r}] == {value!r}"
        case OneOf():
            return f"f[{condition.field!r}] in {set(condition.values)!r}"
        case Compare():
            return f"f[{condition.field!r}] {SIGNS[condition.ordering]} {condition.bound!r}"
        case Contains():
            return f"({condition.value!r} in f[{condition.field!r}])"
        case Matches():
            raise NotImplementedError("the workload matches no patterns")
