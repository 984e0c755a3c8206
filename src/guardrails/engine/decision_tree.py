"""Decision trees: a policy's three formulas as one tree of questions about lines, with a verdict at every end.

The tree asks one line at a time, in the order in which the formulas name them, and stops as soon as the verdict is
certain. Every combination of codes leads to exactly one end: that is what makes "exactly one rule a policy fires" a
promise that can be checked. Trees that are alike are the same object, so policies that can't be told apart share one.

    applies_to: {channel: push}, deny_when: {recipient.age: {lt: 18}}
 -> channel?  unknown: undetermined · push: age?  unknown: undetermined · below 18: violated · else: satisfied
              other: not applicable
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from guardrails.core.conditions import AllOf, AnyOf, Condition, Not
from guardrails.core.policy import Verdict
from guardrails.engine.lines import ABSENT, Lines, Literal, Span

__all__ = ["Fork", "Grower", "TooComplexError", "Tree"]

MOST_STEPS = 50_000
"""How many branches are looked at for one policy before it counts as too complex; one with 8 fields needs about 50."""


class TooComplexError(Exception):
    """A policy's formulas ask for more combinations than the tree may hold."""


class Fork(msgspec.Struct, frozen=True, eq=False):
    """A question about one line: `children[i]` is for codes from `starts[i]` to just before `starts[i + 1]`."""

    line: int
    starts: tuple[int, ...]
    children: tuple[Tree, ...]


Tree = Verdict | Fork


class _Both(msgspec.Struct, frozen=True):
    parts: tuple[_Formula, ...]


class _Either(msgspec.Struct, frozen=True):
    parts: tuple[_Formula, ...]


_Formula = bool | Literal | _Both | _Either | None
"""A condition without negations. True, False and None (unknown) are what is left of one that is settled."""

_Formulas = tuple[_Formula, _Formula, _Formula]
"""applies_to, violated, satisfied."""


class Grower:
    """Grows trees over the lines of one policy set, and keeps those it has grown."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._grown: dict[_Formulas, Tree] = {}
        self._forks: dict[tuple[object, ...], Fork] = {}
        self._steps = 0

    def grow(
        self, conditions: tuple[Condition, Condition, Condition], *, given: tuple[int, Span] | None = None
    ) -> Tree:
        """The tree of applies_to, violated and satisfied; `given` is what is known beforehand: a line and its span.

        Raises TooComplexError.
        """
        self._steps = 0
        applies_to, violated, satisfied = (self._formula(condition, wanted=True) for condition in conditions)
        formulas = (applies_to, violated, satisfied)
        return self._tree(formulas if given is None else _restrict(formulas, *given))

    def _formula(self, condition: Condition, *, wanted: bool) -> _Formula:
        """The condition, or its opposite, with every `not` pushed down to the tests."""
        if isinstance(condition, Not):
            return self._formula(condition.part, wanted=not wanted)
        if isinstance(condition, AllOf | AnyOf):
            parts = [self._formula(part, wanted=wanted) for part in condition.parts]
            return _combine(parts, both=isinstance(condition, AllOf) is wanted)
        literal = self._lines.literal(condition)
        if wanted:
            return literal
        others = _complement(literal.spans, literal.known_from, self._lines.lines[literal.line].top)
        return msgspec.structs.replace(literal, spans=others)

    def _tree(self, formulas: _Formulas) -> Tree:
        asked = _undecided(formulas)
        if not isinstance(asked, Literal):
            return asked
        if formulas not in self._grown:
            self._grown[formulas] = self._fork(formulas, asked.line)
        return self._grown[formulas]

    def _fork(self, formulas: _Formulas, line: int) -> Tree:
        top = self._lines.lines[line].top
        cuts = sorted({cut for formula in formulas for cut in _cuts(formula, line) if ABSENT < cut <= top})
        starts: list[int] = []
        children: list[Tree] = []
        for start, end in zip([ABSENT, *cuts], [*(cut - 1 for cut in cuts), top], strict=True):
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise TooComplexError
            child = self._tree(_restrict(formulas, line, (start, end)))
            if not children or child is not children[-1]:
                starts.append(start)
                children.append(child)
        if len(children) == 1:
            return children[0]
        key = (line, tuple(starts), tuple(id(child) for child in children))
        return self._forks.setdefault(key, Fork(line, tuple(starts), tuple(children)))


def _undecided(formulas: _Formulas) -> Verdict | Literal:
    """The verdict if it is certain by now, else the test to ask next."""
    applies_to, violated, satisfied = formulas
    if applies_to is False:
        return Verdict.NOT_APPLICABLE
    if applies_to is None:
        return Verdict.UNDETERMINED
    if applies_to is not True:
        return _first_literal(applies_to)
    if violated is True:
        return Verdict.VIOLATED
    if violated is not False and violated is not None:
        return _first_literal(violated)
    if satisfied is True:
        return Verdict.SATISFIED
    return Verdict.UNDETERMINED if satisfied is False or satisfied is None else _first_literal(satisfied)


def _first_literal(formula: Literal | _Both | _Either) -> Literal:
    return next(_literals(formula))


def _literals(formula: _Formula) -> Iterator[Literal]:
    if isinstance(formula, Literal):
        yield formula
    elif isinstance(formula, _Both | _Either):
        for part in formula.parts:
            yield from _literals(part)


def _cuts(formula: _Formula, line: int) -> Iterator[int]:
    """The codes of `line` at which a test of the formula changes."""
    for literal in _literals(formula):
        if literal.line == line:
            yield literal.known_from
            for low, high in literal.spans:
                yield from (low, high + 1)


def _restrict(formulas: _Formulas, line: int, span: Span) -> _Formulas:
    """What is left of the formulas once the code of `line` is known to lie in `span`."""
    applies_to, violated, satisfied = (_settle(formula, line, span) for formula in formulas)
    return applies_to, violated, satisfied


def _settle(formula: _Formula, line: int, span: Span) -> _Formula:
    if isinstance(formula, Literal):
        return _settle_literal(formula, span) if formula.line == line else formula
    if isinstance(formula, _Both | _Either):
        return _combine([_settle(part, line, span) for part in formula.parts], both=isinstance(formula, _Both))
    return formula


def _settle_literal(literal: Literal, span: Span) -> _Formula:
    start, end = span
    if end < literal.known_from:
        return None
    if any(low <= start and end <= high for low, high in literal.spans):
        return True
    touched = start < literal.known_from or any(low <= end and start <= high for low, high in literal.spans)
    return literal if touched else False


def _combine(parts: Iterable[_Formula], *, both: bool) -> _Formula:
    """Kleene's AND or OR of the parts: flat, without repeats, and settled as far as constants settle it."""
    kind, neutral = (_Both, True) if both else (_Either, False)
    kept: dict[_Formula, None] = {}
    for part in parts:
        kept.update(dict.fromkeys(part.parts if isinstance(part, kind) else (part,)))
    if (not neutral) in kept:
        return not neutral
    kept.pop(neutral, None)
    if not kept:
        return neutral
    return next(iter(kept)) if len(kept) == 1 else kind(tuple(kept))


def _complement(spans: tuple[Span, ...], first: int, last: int) -> tuple[Span, ...]:
    """The codes from `first` to `last` that lie in none of the ascending `spans`."""
    gaps: list[Span] = []
    for low, high in spans:
        if first < low:
            gaps.append((first, low - 1))
        first = max(first, high + 1)
    if first <= last:
        gaps.append((first, last))
    return tuple(gaps)
