"""What a condition is: a small tree of tests over typed facts.

Authors write mappings, lists and operators; the loader turns every one of them into the eight nodes below, so that
an engine has eight cases to handle and no more. What the nodes mean is `reference.evaluate`.

    {content.class: [sponsored, affiliate], attributes.score: {gte: 3}}
 -> AllOf((OneOf("content.class", STRING, ("sponsored", "affiliate")), Compare("attributes.score", NUMBER, GTE, 3)))
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime

import msgspec

__all__ = [
    "FALSE",
    "TRUE",
    "AllOf",
    "AnyOf",
    "Compare",
    "Condition",
    "Contains",
    "Exists",
    "FactType",
    "Matches",
    "Not",
    "OneOf",
    "Operand",
    "Ordering",
    "fields_of",
]


class FactType(enum.Enum):
    """The type a test expects of its fact; a fact of any other type makes the test unknown."""

    STRING = "string"
    NUMBER = "number"  # int or float, never bool; within +-2**53, so that int and float compare exactly
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # an aware datetime
    STRINGS = "strings"  # a tuple of strings


class Ordering(enum.Enum):
    """How `Compare` compares; only numbers and timestamps have an order."""

    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


Operand = str | int | float | bool | datetime


class _Node(msgspec.Struct, frozen=True):
    """A node of a condition: immutable, comparable, hashable."""


class Exists(_Node, frozen=True):
    """The fact is there, of whatever type. The one test that is never unknown."""

    field: str


class OneOf(_Node, frozen=True):
    """The fact equals one of `values`, all of which are of `type`. (`eq`, `in`, a scalar or a list)."""

    field: str
    type: FactType
    values: tuple[Operand, ...]


class Compare(_Node, frozen=True):
    """The fact stands in `ordering` to `bound`; `type` is NUMBER or TIMESTAMP."""

    field: str
    type: FactType
    ordering: Ordering
    bound: int | float | datetime


class Contains(_Node, frozen=True):
    """The fact, a list of strings, has `value` among its members."""

    field: str
    value: str


class Matches(_Node, frozen=True):
    """The fact, a string, matches `pattern` as a whole: `*` any run of characters, `?` any one, all else itself.

    A glob and not a regular expression: authors don't program, and no pattern can be made slow.
    """

    field: str
    pattern: str


class AllOf(_Node, frozen=True):
    """Kleene AND; of nothing, true."""

    parts: tuple[Condition, ...]


class AnyOf(_Node, frozen=True):
    """Kleene OR; of nothing, false."""

    parts: tuple[Condition, ...]


class Not(_Node, frozen=True):
    """Kleene NOT: unknown stays unknown."""

    part: Condition


Condition = Exists | OneOf | Compare | Contains | Matches | AllOf | AnyOf | Not

TRUE = AllOf(())
FALSE = AnyOf(())


def fields_of(condition: Condition) -> Iterator[str]:
    """Every field that `condition` reads, in order of appearance, with repeats."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from fields_of(part)
    elif isinstance(condition, Not):
        yield from fields_of(condition.part)
    else:
        yield condition.field
