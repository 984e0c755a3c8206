"""The floor: one generated Python function, indexed, with two truth values and no idea of types.

What is read often is read once, into a local; each value of an indexed field has a function of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers.translation import both
from guardrails.core.conditions import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Contains,
    Exists,
    Matches,
    Not,
    OneOf,
    Ordering,
    fields_of,
)
from guardrails.core.index import Entry
from guardrails.core.policy_set import PolicySet

__all__ = ["contender"]

NAME = "bare function"
SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}

WORTH_A_LOCAL = 3
"""How often a fact is read in the text of a function for a local to pay."""


def contender(policy_set: PolicySet) -> InProcess:
    """The generated function, which returns the places of the violated policies."""
    ids = [policy.id for policy in policy_set.policies]
    scope: dict[str, Any] = {}
    by_field: dict[str, dict[object, Any]] = {}
    for group in policy_set.index.groups[1:]:
        if group.field is not None and group.value is not None:
            lines = ["def check(f, found):", *_lines(policy_set, group.entries)]
            exec("\n".join(lines), scope)  # noqa: S102 - the benchmark's own policies
            by_field.setdefault(group.field, {})[group.value] = scope["check"]
    lines = ["def decide(f):", "    found = []", *_lines(policy_set, policy_set.index.groups[0].entries)]
    for number, (field, checks) in enumerate(by_field.items()):
        scope[f"checks_{number}"] = checks
        lines += [f"    check = checks_{number}.get(f[{field!r}])", "    if check: check(f, found)"]
    lines += ["    return found"]
    exec("\n".join(lines), scope)  # noqa: S102 - the benchmark's own policies
    return InProcess(NAME, dict, scope["decide"], lambda _facts, found: frozenset(ids[place] for place in found))


def _lines(policy_set: PolicySet, entries: Sequence[Entry]) -> list[str]:
    conditions = [both(entry.applies_to, policy_set.policies[entry.place].violated) for entry in entries]
    reads = Counter(field for condition in conditions for field in fields_of(condition))
    often = [field for field, count in reads.items() if count >= WORTH_A_LOCAL]
    text = "\n".join(
        f"    if {_expression(condition)}: found.append({entry.place})"
        for entry, condition in zip(entries, conditions, strict=True)
    )
    for number, field in enumerate(often):
        text = text.replace(f"f[{field!r}]", f"v{number}")
    return [*(f"    v{number} = f[{field!r}]" for number, field in enumerate(often)), text]


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
