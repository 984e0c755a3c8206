"""Ways: checks that exclude each other, one way for every combination of codes, and never two."""

from __future__ import annotations

import operator
from random import Random

import pytest

from guardrails.core.conditions import AllOf, AnyOf
from guardrails.core.reference import verdict
from guardrails.engine.decision_tree import Fork, Grower
from guardrails.engine.lines import Lines, encoder
from guardrails.engine.ways import FEW_WAYS, guards, ways
from property import strategies
from unit.engine.making import policy, text

HOLDS = {"eq": operator.eq, "neq": operator.ne, "lt": operator.lt, "gte": operator.ge}
OPPOSITE = {"eq": "neq", "neq": "eq", "lt": "gte", "gte": "lt"}


def open_ways(tree, codes):
    """What the ways lead to on which all checks hold."""
    return [end for checks, end in ways(tree) if all(HOLDS[how](codes[line], code) for how, line, code in checks)]


def grown(*policies):
    formulas = [(each.applies_to, each.violated, each.satisfied) for each in policies]
    lines = Lines(formula for three in formulas for formula in three)
    grower = Grower(lines)
    return lines.lines, [grower.grow(three) for three in formulas]


@pytest.mark.parametrize("seed", range(40))
def test_exactly_one_way_is_open_and_it_leads_to_the_verdict(seed):
    random = Random(seed)
    policies = [strategies.policy(random, place, depth=3) for place in range(5)]
    lines, trees = grown(*policies)
    for _ in range(40):
        facts = strategies.facts(random)
        codes = encoder(lines)(facts)
        for each, tree in zip(policies, trees, strict=True):
            (end,) = open_ways(tree, codes)
            while isinstance(end, Fork):
                (end,) = open_ways(end, codes)
            assert verdict(each, facts) is end


@pytest.mark.parametrize("seed", range(40))
def test_ways_that_begin_alike_part_at_opposite_checks(seed):
    random = Random(seed)
    _, (tree,) = grown(strategies.policy(random, 0, depth=3))
    after: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
    for checks, _ in ways(tree):
        for length, check in enumerate(checks):
            after.setdefault(checks[:length], set()).add(check)
    for parted in after.values():
        (how, line, code), other = sorted(parted)
        assert other == (OPPOSITE[how], line, code)


def alternatives(count):
    """Any of `count` alternatives of three tests each: hundreds of ways and more, told one by one."""
    each = (AllOf(tuple(text(f"attributes.{a}{b}", "x") for b in "abc")) for a in range(count))
    return policy(AnyOf(tuple(each)))


def test_where_many_ways_meet_what_follows_is_told_once():
    _, (tree,) = grown(alternatives(8))
    told = {tree: ways(tree)}
    waiting = [tree]
    while waiting:
        for _, end in told[waiting.pop()]:
            if isinstance(end, Fork) and end not in told:
                told[end] = ways(end)
                waiting.append(end)
    assert len(told) > 1
    assert sum(map(len, told.values())) < 200


def test_few_ways_are_told_in_one_piece():
    _, (tree,) = grown(alternatives(1))
    assert len(ways(tree)) <= FEW_WAYS
    assert not any(isinstance(end, Fork) for _, end in ways(tree))


@pytest.mark.parametrize("codes", [[1], [0, 1, 2], [5, 3, 9], list(range(1, 400)), list(range(2, 800, 2))])
def test_a_guard_holds_for_its_own_code_and_no_other(codes):
    guarded = guards(7, codes)
    assert set(codes) == set(guarded)
    for candidate in range(-2, max(codes) + 3):
        held = [
            code
            for code, checks in guarded.items()
            if all(line == 7 and HOLDS[how](candidate, bound) for how, line, bound in checks)
        ]
        assert held == ([candidate] if candidate in guarded else [])


def test_guards_halve():
    assert max(map(len, guards(0, range(1, 401)).values())) <= 11
