"""What the translations share: names without dots, JSON's types, and conditions as alternatives of plain tests."""

from __future__ import annotations

import itertools
import re

import msgspec

from guardrails.core.conditions import AllOf, AnyOf, Condition, Not
from guardrails.core.facts import Facts
from guardrails.core.policy import Policy

__all__ = ["Test", "alternatives", "both", "denial", "flat_facts", "flat_name"]


def flat_name(field: str) -> str:
    """`content.class` as `content_class`."""
    return re.sub(r"\W", "_", field)


def flat_facts(facts: Facts) -> dict[str, object]:
    """Facts under flat names, in JSON's types."""
    return {flat_name(field): list(fact) if isinstance(fact, tuple) else fact for field, fact in facts.items()}


def denial(policy: Policy) -> Condition:
    """When the policy denies, with two truth values: it applies and is violated."""
    return both(policy.applies_to, policy.violated)


def both(applies_to: Condition, violated: Condition) -> Condition:
    """An AND without another, or nothing, inside it."""
    applies = applies_to.parts if isinstance(applies_to, AllOf) else (applies_to,)
    return AllOf((*applies, violated))


class Test(msgspec.Struct, frozen=True):
    """A test without AND, OR or NOT inside it, or its opposite."""

    condition: Condition
    holds: bool


def alternatives(condition: Condition, *, holds: bool = True) -> list[tuple[Test, ...]]:
    """The condition as an OR of ANDs, for languages whose rules are written so."""
    if isinstance(condition, Not):
        return alternatives(condition.part, holds=not holds)
    if not isinstance(condition, AllOf | AnyOf):
        return [(Test(condition, holds),)]
    parts = [alternatives(part, holds=holds) for part in condition.parts]
    if isinstance(condition, AllOf) is holds:
        return [tuple(itertools.chain(*choice)) for choice in itertools.product(*parts)]
    return list(itertools.chain(*parts))
