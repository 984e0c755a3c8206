"""Decision trees lead every combination of codes to the verdict of the reference."""

from __future__ import annotations

from random import Random

import pytest

from guardrails.core.conditions import FALSE, TRUE, AllOf, AnyOf, Exists, Not
from guardrails.core.policy import Verdict
from guardrails.core.reference import verdict
from guardrails.engine import decision_tree
from guardrails.engine.decision_tree import Fork, Grower, TooComplexError
from guardrails.engine.lines import ABSENT, WRONG, Lines, encoder
from property import strategies
from unit.engine.making import above, policy, text


def formulas(a_policy):
    return a_policy.applies_to, a_policy.violated, a_policy.satisfied


def grown(*policies):
    lines = Lines(formula for each in policies for formula in formulas(each))
    grower = Grower(lines)
    return lines, [grower.grow(formulas(each)) for each in policies]


def followed(tree, lines, facts):
    codes = encoder(lines.lines)(facts)
    while isinstance(tree, Fork):
        code = codes[tree.line]
        tree = [child for start, child in zip(tree.starts, tree.children, strict=True) if start <= code][-1]
    return tree


@pytest.mark.parametrize("seed", range(60))
def test_following_the_tree_gives_the_verdict(seed):
    random = Random(seed)
    policies = [strategies.policy(random, place, depth=3) for place in range(5)]
    lines, trees = grown(*policies)
    for _ in range(60):
        facts = strategies.facts(random)
        assert [verdict(each, facts) for each in policies] == [followed(tree, lines, facts) for tree in trees]


def test_policies_that_cannot_be_told_apart_have_the_same_tree():
    push, age = text("channel", "push"), above("recipient.age", 18)
    _, (one, other, different) = grown(
        policy(age, applies_to=push),
        policy(Not(Not(age)), applies_to=AnyOf((push, FALSE, AllOf((push, TRUE))))),
        policy(Not(age), applies_to=push),
    )
    assert one is other
    assert one is not different


def test_what_makes_no_difference_is_not_asked():
    _, (tree,) = grown(policy(AnyOf((text("channel", "push"), Exists("campaign.id"))), TRUE, applies_to=FALSE))
    assert tree is Verdict.NOT_APPLICABLE
    _, (tree,) = grown(policy(FALSE, AnyOf((TRUE, text("channel", "push")))))
    assert tree is Verdict.SATISFIED


def test_what_is_known_beforehand_is_not_asked_again():
    by_campaign = policy(above("recipient.age", 18), applies_to=text("campaign.id", "c-1"))
    lines = Lines(formulas(by_campaign)[0:2])
    grower = Grower(lines)
    line, code = lines.code_of_text("campaign.id", "c-1")
    tree = grower.grow(formulas(by_campaign), given=(line, (code, code)))
    assert isinstance(tree, Fork)
    assert tree.line != line
    assert Verdict.NOT_APPLICABLE not in tree.children
    assert grower.grow(formulas(by_campaign), given=(line, (ABSENT, WRONG))) is Verdict.UNDETERMINED


def test_combinations_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(decision_tree, "MOST_STEPS", 2000)
    numbers = range(12)
    first_all = AnyOf(tuple(text(f"attributes.a{number}", "y") for number in numbers))
    then_pairs = AnyOf(tuple(AllOf((text(f"attributes.a{n}", "x"), text(f"attributes.b{n}", "x"))) for n in numbers))
    with pytest.raises(TooComplexError):
        grown(policy(AllOf((first_all, then_pairs))))
