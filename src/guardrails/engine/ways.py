"""Ways: a decision tree as rules, each a row of checks that must all hold and what stands at its end.

At every step exactly one of two opposite checks holds, and steps that are alike are equal checks: a rules engine that
shares what rules begin with then follows one path for each tree, and never has more matches waiting than trees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Literal, TypeVar

from guardrails.engine.decision_tree import Fork, Tree
from guardrails.engine.lines import ABSENT

__all__ = ["Check", "Way", "guards", "ways"]

FEW_WAYS = 24
"""Up to so many ways through a tree are told one by one. Beyond, where ways meet, what follows is a tree of its own:
else three alternatives of three tests each would come to hundreds of ways, and four to thousands."""

FEW_STRETCHES = 8
"""Up to so many stretches of a line, a code that lies within another stretch is looked for before halving."""

Check = tuple[Literal["eq", "neq", "lt", "gte"], int, int]
"""How to compare, the number of the line, and the code to compare it with."""

Way = tuple[tuple[Check, ...], Tree]
"""The checks on one way through a tree, and what it leads to: a verdict, or a fork that is a tree of its own."""

_Child = TypeVar("_Child")

_Stretch = tuple[int, int | None, _Child]
"""First code, last code (None: no end), and what all codes of the stretch lead to."""


def ways(tree: Tree) -> tuple[Way, ...]:
    """Every way through the tree; where these are not few, the ways up to the first fork that several lead to."""
    few = tuple(islice(_ways(tree, frozenset()), FEW_WAYS + 1))
    return few if len(few) <= FEW_WAYS else tuple(_ways(tree, _meetings(tree)))


def guards(line: int, codes: Iterable[int]) -> dict[int, tuple[Check, ...]]:
    """For each of the codes, checks that hold for no other code of the line."""
    stretches: list[_Stretch[int | None]] = [(ABSENT, None, None)]
    for code in sorted(codes):
        first, _, _ = stretches.pop()
        if first < code:
            stretches.append((first, code - 1, None))
        stretches += [(code, code, code), (code + 1, None, None)]
    return {code: checks for checks, code in _split(line, stretches) if code is not None}


def _ways(tree: Tree, stops: AbstractSet[Tree]) -> Iterator[Way]:
    if not isinstance(tree, Fork):
        yield (), tree
        return
    lasts = [*(start - 1 for start in tree.starts[1:]), None]
    for checks, child in _split(tree.line, list(zip(tree.starts, lasts, tree.children, strict=True))):
        if child in stops:
            yield checks, child
        else:
            yield from (((*checks, *more), end) for more, end in _ways(child, stops))


def _meetings(tree: Tree) -> AbstractSet[Tree]:
    """The forks below `tree` that more than one branch leads to."""
    seen: set[Tree] = set()
    meetings: set[Tree] = set()
    waiting = [tree]
    while waiting:
        fork = waiting.pop()
        for child in fork.children if isinstance(fork, Fork) else ():
            if child not in seen:
                seen.add(child)
                waiting.append(child)
            elif isinstance(child, Fork):
                meetings.add(child)
    return meetings


def _split(line: int, stretches: Sequence[_Stretch[_Child]]) -> Iterator[tuple[tuple[Check, ...], _Child]]:
    """Checks that lead to each stretch, two opposite ones at a time, until one is left."""
    if len(stretches) == 1:
        yield (), stretches[0][2]
        return
    place = _lone_code(stretches) if len(stretches) <= FEW_STRETCHES else None
    sides: tuple[tuple[Check, Sequence[_Stretch[_Child]]], ...]
    if place is None:
        half = len(stretches) // 2
        code = stretches[half][0]
        sides = (("lt", line, code), stretches[:half]), (("gte", line, code), stretches[half:])
    else:
        before, (code, _, _), after = stretches[place - 1 : place + 2]
        around = (before[0], after[1], before[2])
        others = [*stretches[: place - 1], around, *stretches[place + 2 :]]
        sides = (("eq", line, code), stretches[place : place + 1]), (("neq", line, code), others)
    for check, side in sides:
        for checks, child in _split(line, side):
            yield (check, *checks), child


def _lone_code(stretches: Sequence[_Stretch[_Child]]) -> int | None:
    """The place of a single code that lies within another stretch: one check of equality sets it apart."""
    for place in range(1, len(stretches) - 1):
        first, last, _ = stretches[place]
        if first == last and stretches[place - 1][2] is stretches[place + 1][2]:
            return place
    return None
