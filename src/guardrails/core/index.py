"""The index: picks, by the equality tests of `applies_to`, the policies that can apply to a candidate.

Policies are put into *groups*. Group 0 holds those that are always asked. A policy whose `applies_to` demands, in
its outermost AND, that a field be one of a few texts goes into one group for each of them. For each such field there
is one more group for the candidates in which the field is missing or wrongly typed: there the test is unknown, not
false, so all policies indexed on the field are asked.

    applies_to: {campaign.id: c-7, channel: push}   ->  group ("campaign.id", "c-7"), residual {channel: push}

Selecting is a pure saving: a policy that is not selected has the verdict `not_applicable`. What was selected once is
found again by `Remembered`, at a cost that doesn't depend on how many policies there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from guardrails.core.conditions import AllOf, Condition, FactType, OneOf
from guardrails.core.facts import Facts

__all__ = ["Entry", "Group", "Index", "Remembered", "Selection"]

Made = TypeVar("Made")

FEWEST_ENTRIES = 8
"""A field is worth an index where it is the best one for at least so many entries: the one with the most values."""

MOST_VALUES = 8
"""An entry that lists more values than this is asked always, rather than copied into as many groups."""

MOST_REMEMBERED = 10_000
"""Selections kept ready; there is one for each combination of indexed texts that candidates show."""

UNKNOWN, OTHER = 0, 1
"""Where what is remembered branches off for a field that is missing or no text, and for a text that has no group."""


class Entry(msgspec.Struct, frozen=True):
    """What is indexed: the place of an item in its sequence, and the condition it applies under."""

    place: int
    applies_to: Condition


class Group(msgspec.Struct, frozen=True):
    """Entries that are asked together, with what is left of their conditions.

    `field` is None for group 0. `value` is None for the group of a field that is unknown; there conditions are whole.
    """

    number: int
    entries: tuple[Entry, ...]
    field: str | None = None
    value: str | None = None


class Selection(msgspec.Struct, frozen=True):
    """What one candidate selects: groups by number, and the places of their entries in group order.

    `groups` begins with 0; `specific` are the others, ready for engines that have treated group 0 already.
    """

    groups: tuple[int, ...]
    specific: tuple[int, ...]
    places: tuple[int, ...]


class Index:
    """Finds the groups of a candidate with one dictionary look-up for each indexed field.

    `fields` are the indexed fields, each with the texts that have a group.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        always, by_field = _distribute(tuple(entries))
        groups = [Group(0, tuple(always))]
        look_ups: list[tuple[str, dict[str, int], int]] = []
        for field, members in by_field.items():
            numbers: dict[str, int] = {}
            for value, residuals in _by_value(members).items():
                numbers[value] = len(groups)
                groups.append(Group(len(groups), tuple(residuals), field, value))
            look_ups.append((field, numbers, len(groups)))
            groups.append(Group(len(groups), tuple(entry for entry, _ in members), field))
        self.groups = tuple(groups)
        self.fields = tuple((field, frozenset(by_value)) for field, by_value, _ in look_ups)
        self._look_ups = tuple(look_ups)

    def select(self, facts: Facts) -> Selection:
        """The groups and entries to ask for these facts. Never misses an entry that could apply or be unknown."""
        specific: tuple[int, ...] = ()
        for field, by_value, unknown in self._look_ups:
            value = facts.get(field)
            if type(value) is not str:
                specific += (unknown,)
            elif value in by_value:
                specific += (by_value[value],)
        groups = (0, *specific)
        places = tuple(entry.place for number in groups for entry in self.groups[number].entries)
        return Selection(groups, specific, places)


class Remembered(Generic[Made]):
    """Makes something of each selection once, and finds it again from the texts of the indexed fields.

    INVARIANT: `find(facts)` is what `make(index.select(facts))` is; only dearer where it was never asked before.
    """

    def __init__(self, index: Index, make: Callable[[Selection], Made]) -> None:
        self._index = index
        self._make = make
        self._fields = tuple((field, texts | {UNKNOWN}) for field, texts in index.fields)
        self._count = 0
        # A tree with one level a field; its leaves are what was made. Without indexed fields it is a leaf.
        self._root: Any = {} if self._fields else make(index.select({}))

    def find(self, facts: Facts) -> Made:
        """What was made of the selection for these facts."""
        found = self._root
        for field, texts in self._fields:
            text = facts.get(field)
            if type(text) is not str:
                text = UNKNOWN
            below = found.get(text)
            if below is None and text not in texts:
                below = found.get(OTHER)
            if below is None:
                return self._remember(facts)
            found = below
        return found  # type: ignore[no-any-return]

    def _remember(self, facts: Facts) -> Made:
        made = self._make(self._index.select(facts))
        if self._count < MOST_REMEMBERED:
            *above, last = (_branch(facts.get(field), texts) for field, texts in self._index.fields)
            branches = self._root
            for branch in above:
                branches = branches.setdefault(branch, {})
            branches[last] = made
            self._count += 1  # threads may lose a count; it is a bound on memory, no more
        return made


def _branch(text: object, texts: frozenset[str]) -> object:
    if type(text) is not str:
        return UNKNOWN
    return text if text in texts else OTHER


def _distribute(entries: tuple[Entry, ...]) -> tuple[list[Entry], dict[str, list[tuple[Entry, OneOf]]]]:
    """The entries that are always asked; the others with their index test, by the field it reads."""
    fields = _worthwhile_fields(entries)
    always: list[Entry] = []
    by_field: dict[str, list[tuple[Entry, OneOf]]] = {}
    for entry in entries:
        test = _index_test(entry.applies_to, fields)
        if test is None:
            always.append(entry)
        else:
            by_field.setdefault(test.field, []).append((entry, test))
    return always, by_field


def _by_value(members: Iterable[tuple[Entry, OneOf]]) -> dict[str, list[Entry]]:
    """For each text that the index tests name, the entries that demand it, with what is left of their conditions."""
    by_value: dict[str, list[Entry]] = {}
    for entry, test in members:
        residual = Entry(entry.place, _without(entry.applies_to, test))
        for value in dict.fromkeys(test.values):
            by_value.setdefault(str(value), []).append(residual)
    return by_value


def _parts(condition: Condition) -> tuple[Condition, ...]:
    return condition.parts if isinstance(condition, AllOf) else (condition,)


def _indexable(condition: Condition) -> Iterable[OneOf]:
    for part in _parts(condition):
        if isinstance(part, OneOf) and part.type is FactType.STRING and len(part.values) <= MOST_VALUES:
            yield part


def _worthwhile_fields(entries: tuple[Entry, ...]) -> Mapping[str, int]:
    """How many different values the entries demand, for each field that is worth an index."""
    values = {
        (test.field, value) for entry in entries for test in _indexable(entry.applies_to) for value in test.values
    }
    counts = Counter(field for field, _ in values)
    best = Counter(test.field for entry in entries if (test := _index_test(entry.applies_to, counts)) is not None)
    return {field: counts[field] for field, members in best.items() if members >= FEWEST_ENTRIES}


def _index_test(condition: Condition, fields: Mapping[str, int]) -> OneOf | None:
    """The test to index on: of the field with the most values, the first in the condition."""
    tests = [test for test in _indexable(condition) if test.field in fields]
    return max(tests, key=lambda test: fields[test.field], default=None)


def _without(condition: Condition, test: OneOf) -> Condition:
    rest = tuple(part for part in _parts(condition) if part is not test)
    return rest[0] if len(rest) == 1 else AllOf(rest)
