"""Lines: every fact as a small whole number, which is all that durable-rules is told of a candidate.

A *line* is one field seen as one type. Its *codes* are numbered so that all a policy set can tell apart about the
fact has a code of its own, and nothing else has: texts that stand in exactly the same tests share one, and so do
numbers between the same two bounds. Every test becomes a few *spans* of codes on a line.

    ABSENT -2, of another type WRONG -1, then 0 ... top
    texts       0 is any text that no policy names;  `sponsored` 1, `affiliate` 2
    numbers     bounds 18 and 65:  below 18 is 0, 18 is 1, between is 2, 65 is 3, above 65 is 4 (instants likewise)
    flags       a boolean, a glob, a member of a list:  0 no, 1 yes

That closes whole families of faults in the engine behind: no text, no unicode, no quotes, no fraction, no exponent,
no `true` that equals 1 and no `'3'` that equals 3 ever reaches its parser.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
from guardrails.core.facts import NUMBER_LIMIT, Facts, typed
from guardrails.core.glob import glob

__all__ = ["ABSENT", "WRONG", "Line", "Lines", "Literal", "Span", "encoder"]

ABSENT = -2
WRONG = -1

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Span = tuple[int, int]
"""Codes from the first to the second, both included."""

_TypedTest = OneOf | Compare | Contains | Matches
Test = Exists | _TypedTest


class Line(msgspec.Struct, frozen=True):
    """A field seen as one type. `code` gives the code of a value that is there, from WRONG to `top`.

    Where `kind` is set, it is asked for values of that class alone: all others are WRONG.
    """

    number: int
    top: int
    field: str
    kind: type | None
    code: Callable[[Any], int]


def encoder(lines: Iterable[Line]) -> Callable[[Facts], tuple[int, ...]]:
    """What gives a candidate's codes on the lines, in their order."""
    read = [(line.field, line.kind, line.code) for line in lines]

    def encode(facts: Facts) -> tuple[int, ...]:
        values = facts.get
        codes = [
            ABSENT
            if (value := values(field)) is None
            else code(value)
            if kind is None or type(value) is kind
            else WRONG
            for field, kind, code in read
        ]
        return tuple(codes)

    return encode


class Literal(msgspec.Struct, frozen=True):
    """A test: unknown where the code is below `known_from`, true within `spans`, false elsewhere."""

    line: int
    spans: tuple[Span, ...]
    known_from: int = 0


class _Scale(msgspec.Struct, frozen=True):
    """How the values of a line become codes; `spans` says in which a test on it holds."""

    top: int
    code: Callable[[Any], int]
    spans: Callable[[Any], tuple[Span, ...]]


class Lines:
    """The lines of a policy set: one for every field and type that `conditions` test."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        tests = list(dict.fromkeys(test for condition in conditions for test in _tests_of(condition)))
        by_key: dict[tuple[object, ...], list[_TypedTest]] = {}
        for test in tests:
            if not isinstance(test, Exists):
                by_key.setdefault(_key(test), []).append(test)
        self._numbers: dict[tuple[object, ...], int] = {}
        self._by_field: dict[str, int] = {}
        self._scales: list[_Scale] = []
        self.lines: list[Line] = []
        for key, members in by_key.items():
            self._add(key, members[0].field, _type(members[0]), _scale(members))
        for test in tests:
            if test.field not in self._by_field:
                self._add((test.field,), test.field, None, _FLAG)

    def _add(self, key: tuple[object, ...], field: str, kind: FactType | None, scale: _Scale) -> None:
        number = len(self.lines)
        self._numbers[key] = number
        self._by_field.setdefault(field, number)
        self._scales.append(scale)
        self.lines.append(Line(number, scale.top, field, *_coder(kind, scale.code)))

    def literal(self, test: Test) -> Literal:
        """The test as spans of a line."""
        if isinstance(test, Exists):
            number = self._by_field[test.field]
            return Literal(number, ((WRONG, self._scales[number].top),), known_from=ABSENT)
        number = self._numbers[_key(test)]
        return Literal(number, self._scales[number].spans(test))

    def text_line(self, field: str) -> int:
        """The number of the line that reads `field` as a text."""
        return self._numbers[field, FactType.STRING, None]

    def code_of_text(self, field: str, text: str) -> tuple[int, int]:
        """The number of the line that reads `field` as a text, and the code of `text` on it."""
        number = self.text_line(field)
        return number, self._scales[number].code(text)


def _tests_of(condition: Condition) -> Iterator[Test]:
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from _tests_of(part)
    elif isinstance(condition, Not):
        yield from _tests_of(condition.part)
    else:
        yield condition


def _type(test: _TypedTest) -> FactType:
    if isinstance(test, Contains):
        return FactType.STRINGS
    return FactType.STRING if isinstance(test, Matches) else test.type


def _key(test: _TypedTest) -> tuple[object, ...]:
    """What the tests of one line have in common; of a flag, all."""
    if isinstance(test, Contains):
        return test.field, FactType.STRINGS, test.value
    if isinstance(test, Matches):
        return test.field, Matches, test.pattern
    return test.field, test.type, None


def _coder(kind: FactType | None, code: Callable[[Any], int]) -> tuple[type | None, Callable[[Any], int]]:
    """`kind` and `code` of a line. Most are texts or flags, whose class says all; the others look closer."""
    if kind is None:
        return None, code
    if kind in _CLASSES:
        return _CLASSES[kind], code

    def coded(value: object) -> int:
        fact = typed(value, kind)
        return WRONG if fact is None else code(fact)

    def coded_number(value: Any) -> int:  # noqa: ANN401 - `typed` without a call: most of what looks closer is one
        is_number = (type(value) is int or type(value) is float) and -NUMBER_LIMIT <= value <= NUMBER_LIMIT
        return code(value) if is_number else WRONG

    return None, coded_number if kind is FactType.NUMBER else coded


_CLASSES: Mapping[FactType, type] = {FactType.STRING: str, FactType.BOOLEAN: bool}


def _scale(tests: Sequence[Any]) -> _Scale:
    first = tests[0]
    if isinstance(first, Contains):
        return _Scale(1, lambda fact: first.value in fact, lambda _: ((1, 1),))
    if isinstance(first, Matches):
        return _Scale(1, glob(first.pattern), lambda _: ((1, 1),))
    if first.type is FactType.BOOLEAN:
        return _Scale(1, int, lambda test: _spans({int(value) for value in test.values}))
    return _text_scale(tests) if first.type is FactType.STRING else _ordered_scale(tests)


_FLAG = _Scale(0, lambda _: 0, lambda _: ())


class _Codes(dict[object, int]):
    """The codes of texts: 0 for any that no policy names."""

    def __missing__(self, _text: object) -> int:
        return 0


def _text_scale(tests: Sequence[OneOf]) -> _Scale:
    """A code for each set of texts that no test tells apart."""
    named_by: dict[Any, list[int]] = {}
    for number, test in enumerate(tests):
        for text in dict.fromkeys(test.values):
            named_by.setdefault(text, []).append(number)
    codes: dict[tuple[int, ...], int] = {}
    code_of = _Codes((text, codes.setdefault(tuple(numbers), len(codes) + 1)) for text, numbers in named_by.items())
    return _Scale(
        top=len(codes),
        code=code_of.__getitem__,
        spans=lambda test: _spans({code_of[text] for text in test.values}),
    )


def _ordered_scale(tests: Sequence[OneOf | Compare]) -> _Scale:
    """An odd code for each bound, an even one for what lies between two."""
    values: list[Any] = [
        value for test in tests for value in (test.values if isinstance(test, OneOf) else (test.bound,))
    ]
    is_instant = tests[0].type is FactType.TIMESTAMP
    bounds = sorted(set(map(_micros, values) if is_instant else values))
    top = 2 * len(bounds)

    def code_of(rank: float) -> int:
        return bisect_left(bounds, rank) + bisect_right(bounds, rank)

    def code(fact: Any) -> int:  # noqa: ANN401 - a number or an instant
        return code_of(_micros(fact)) if is_instant else code_of(fact)

    def spans(test: OneOf | Compare) -> tuple[Span, ...]:
        if isinstance(test, OneOf):
            return _spans({code(value) for value in test.values})
        bound = code(test.bound)
        span = {
            Ordering.LT: (0, bound - 1),
            Ordering.LTE: (0, bound),
            Ordering.GT: (bound + 1, top),
            Ordering.GTE: (bound, top),
        }
        return (span[test.ordering],)

    return _Scale(top, code if is_instant else code_of, spans)


def _micros(instant: datetime) -> int:
    """Whole microseconds since 1970, whatever the zone."""
    return (instant - EPOCH) // MICROSECOND


def _spans(codes: set[int]) -> tuple[Span, ...]:
    """The codes as few spans as possible, ascending."""
    spans: list[Span] = []
    for code in sorted(codes):
        if spans and spans[-1][1] == code - 1:
            spans[-1] = (spans[-1][0], code)
        else:
            spans.append((code, code))
    return tuple(spans)
