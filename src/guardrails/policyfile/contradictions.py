"""Which tests can never hold together: the checks that are sure, and none that guess.

    {recipient.age: {lt: 18}}, {recipient.age: {gte: 18}}        -> a contradiction
    {lane: transactional}, {lane: monetized}                     -> a contradiction

Looks at the tests of one AND, field by field. A test inside an OR, or a negated ordering, is taken to be possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guardrails.core.conditions import (
    AllOf,
    Compare,
    Condition,
    Contains,
    Exists,
    FactType,
    Matches,
    Not,
    OneOf,
    Operand,
    Ordering,
)
from guardrails.core.facts import VOCABULARY

__all__ = ["can_meet", "first_contradiction"]


def first_contradiction(conjuncts: Sequence[Condition]) -> int | None:
    """The place of the first of `conjuncts` that can't be true together with those before it, or None."""
    possible: dict[str, _Possible] = {}
    for place, conjunct in enumerate(conjuncts):
        test = conjunct.part if isinstance(conjunct, Not) else conjunct
        if isinstance(test, Exists | OneOf | Compare | Contains | Matches):
            left = possible.setdefault(test.field, _Possible(test.field))
            left.narrow(test, is_negated=isinstance(conjunct, Not))
            if not left.is_possible():
                return place
    return None


def can_meet(*conditions: Condition) -> bool:
    """Whether all of `conditions` may be true of one candidate. False is sure; true is not."""
    return first_contradiction(tuple(_conjuncts(conditions))) is None


def _conjuncts(conditions: Iterable[Condition]) -> Iterable[Condition]:
    for condition in conditions:
        if isinstance(condition, AllOf):
            yield from _conjuncts(condition.parts)
        else:
            yield condition


class _Possible:
    """What one field can still be after some tests."""

    def __init__(self, field: str) -> None:
        entry = VOCABULARY.get(field)
        self.values: set[Operand] | None = set(entry.values) if entry is not None and entry.values else None
        self.excluded: set[Operand] = set()
        self.members: set[str] = set()
        self.strangers: set[str] = set()
        self.bounds: list[Compare] = []
        self.types: set[FactType] = set()
        self.present = False
        self.absent = False

    def narrow(self, test: Exists | OneOf | Compare | Contains | Matches, *, is_negated: bool) -> None:
        """Take one more test into account. Any but a negated `Exists` needs the fact to be there."""
        if isinstance(test, Exists):
            self.absent |= is_negated
            self.present |= not is_negated
            return
        self.present = True
        if isinstance(test, Contains):
            self.types.add(FactType.STRINGS)
            (self.strangers if is_negated else self.members).add(test.value)
        elif isinstance(test, Matches):
            self.types.add(FactType.STRING)
        elif isinstance(test, Compare):
            self.types.add(test.type)
            self.bounds += () if is_negated else (test,)
        else:
            self.types.add(test.type)
            if is_negated:
                self.excluded.update(test.values)
            else:
                self.values = set(test.values) if self.values is None else self.values & set(test.values)

    def is_possible(self) -> bool:
        """Whether any value, or its absence, is left. One fact has one type."""
        if (self.present and self.absent) or len(self.types) > 1:
            return False
        if not self.members.isdisjoint(self.strangers):
            return False
        if self.values is not None:
            return any(_lies_within(value, self.bounds) for value in self.values - self.excluded)
        return all(_overlap(one, other) for one in self.bounds for other in self.bounds)


def _lies_within(value: Operand, bounds: Iterable[Compare]) -> bool:
    return all(_holds(value, bound) for bound in bounds)


def _holds(value: Operand, test: Compare) -> bool:
    if test.ordering is Ordering.LT:
        return value < test.bound  # type: ignore[operator] # both are of `test.type`
    if test.ordering is Ordering.LTE:
        return value <= test.bound  # type: ignore[operator]
    if test.ordering is Ordering.GT:
        return value > test.bound  # type: ignore[operator]
    return value >= test.bound  # type: ignore[operator]


def _overlap(one: Compare, other: Compare) -> bool:
    """Whether some value satisfies both; bounds on the same side always leave one."""
    if _is_lower(one) == _is_lower(other):
        return True
    return _holds(one.bound, other) and _holds(other.bound, one)


def _is_lower(test: Compare) -> bool:
    return test.ordering in (Ordering.GT, Ordering.GTE)
