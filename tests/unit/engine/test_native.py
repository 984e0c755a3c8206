"""The native engine: what it generates, and what it refuses. Whether its verdicts are right, tests/property says."""

from __future__ import annotations

import ast

import pytest

from guardrails.core.conditions import FALSE, TRUE, AllOf, AnyOf, Contains, Exists, FactType, Matches, Not, OneOf
from guardrails.core.facts import NUMBER_LIMIT
from guardrails.core.policy import Verdict
from guardrails.engine import native
from guardrails.engine.native import NativeEngine
from guardrails.errors import PolicyError
from unit.engine.making import above, nested, number, policy, policy_set, text

HOSTILE = "\"]; import os #\n'\\{x}"


def verdicts(a_policy_set, **facts):
    facts = {name.replace("_", "."): fact for name, fact in facts.items()}
    return NativeEngine(a_policy_set).evaluate(a_policy_set.index.select(facts), facts)


def generated(*policies):
    a_policy_set = policy_set(*policies)
    group = a_policy_set.index.groups[0]
    return native._Writer(group.entries, a_policy_set.policies).text("facts", native._returned)


def test_verdicts_stand_in_the_order_of_the_selection():
    by_campaign = [policy(applies_to=text("campaign.id", f"c-{n}"), policy_id=f"p{n}") for n in range(9)]
    a_policy_set = policy_set(*by_campaign, policy(TRUE, policy_id="always"))
    selection = a_policy_set.index.select({"campaign.id": "c-4"})
    assert selection.places == (9, 4)
    engine = NativeEngine(a_policy_set)
    for _ in range(2):
        assert engine.evaluate(selection, {"campaign.id": "c-4"}) == [Verdict.VIOLATED, Verdict.SATISFIED]


def test_nothing_that_was_written_becomes_part_of_the_text():
    field = f"attributes.{HOSTILE}"
    conditions = (
        text(field, HOSTILE),
        Contains(field, HOSTILE),
        Matches(field, HOSTILE),
        Exists(field),
        number(field, 7),
    )
    written = generated(policy(AnyOf(conditions), policy_id=HOSTILE))
    assert "import" not in written
    constants = {node.value for node in ast.walk(ast.parse(written)) if isinstance(node, ast.Constant)}
    assert constants == {None, NUMBER_LIMIT}


def test_hostile_names_and_values_are_compared_like_any_other():
    a_policy_set = policy_set(policy(text(f"attributes.{HOSTILE}", HOSTILE)))
    engine = NativeEngine(a_policy_set)
    facts = {f"attributes.{HOSTILE}": HOSTILE}
    assert engine.evaluate(a_policy_set.index.select(facts), facts) == [Verdict.VIOLATED]


def test_policies_that_apply_alike_share_a_branch():
    shared = text("channel", "push", "email")
    written = generated(*(policy(above("recipient.age", bound), applies_to=shared) for bound in range(5)))
    assert written.count(" in k") == 1


def test_a_fact_that_one_branch_needs_is_read_inside_it_and_one_that_two_need_before_both():
    push, sms = (policy(above("recipient.age", 1), applies_to=text("channel", name)) for name in ("push", "sms"))
    alone = policy(above("attributes.score", 1), applies_to=text("channel", "sms"))
    reads = [line for line in generated(push, sms, alone).splitlines() if "facts.get" in line]
    assert [line.startswith("     ") for line in reads] == [False, False, True]


def test_groups_alike_share_their_code():
    by_campaign = [
        policy(above("recipient.age", n), applies_to=text("campaign.id", f"c-{n}"), policy_id=f"p{n}") for n in range(9)
    ]
    engine = NativeEngine(policy_set(*by_campaign))
    specific = [function for function in engine._functions[1:] if len(function.__defaults__) == 2]
    assert len(specific) == 9
    assert len({function.__code__ for function in specific}) == 1
    assert len({function.__defaults__ for function in specific}) == 9


def test_constants_are_folded_away():
    written = generated(
        policy(AllOf((TRUE, Not(FALSE)))), policy(AnyOf((FALSE,))), policy(FALSE, FALSE), policy(applies_to=FALSE)
    )
    assert written.splitlines()[-1].strip() == "return [V, S, U, N]"


def test_values_that_compare_equal_stay_apart_where_their_type_differs():
    a_policy_set = policy_set(
        policy(number("attributes.a", 1)),
        policy(OneOf("attributes.a", FactType.BOOLEAN, (True,))),
        policy(number("attributes.a", 0, 1)),
        policy(OneOf("attributes.a", FactType.BOOLEAN, (False, True))),
    )
    unknown, violated = Verdict.UNDETERMINED, Verdict.VIOLATED
    assert verdicts(a_policy_set, attributes_a=1) == [violated, unknown, violated, unknown]
    assert verdicts(a_policy_set, attributes_a=True) == [unknown, violated, unknown, violated]


def test_conditions_nested_beyond_what_python_compiles_are_the_authors_to_mend():
    with pytest.raises(PolicyError, match="nested too deeply"):
        NativeEngine(policy_set(policy(nested(300))))


def test_a_policy_set_without_policies_gives_no_verdicts():
    assert verdicts(policy_set()) == []
