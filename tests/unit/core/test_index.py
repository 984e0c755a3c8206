"""The index never leaves out a policy that could apply or be unknown, and asks few."""

from __future__ import annotations

from random import Random

import pytest

from guardrails.core import index
from guardrails.core.conditions import TRUE, AllOf, AnyOf, FactType, Not, OneOf
from guardrails.core.index import Entry, Index
from guardrails.core.policy import Verdict
from guardrails.core.reference import evaluate, verdict
from property import strategies

PUSH = OneOf("channel", FactType.STRING, ("push",))


def campaign(*names):
    return OneOf("campaign.id", FactType.STRING, names)


def indexed(*conditions):
    return Index(Entry(place, condition) for place, condition in enumerate(conditions))


def places(an_index, **facts):
    return an_index.select({name.replace("_", "."): value for name, value in facts.items()}).places


CAMPAIGNS = [campaign(f"c-{number}") for number in range(10)]


@pytest.mark.parametrize("seed", range(60))
def test_a_policy_that_is_not_selected_does_not_apply(seed):
    random = Random(seed)
    policy_set = strategies.policy_set(random, most=60, depth=3)
    for _ in range(50):
        facts = strategies.facts(random)
        selected = set(policy_set.index.select(facts).places)
        for place, policy in enumerate(policy_set.policies):
            if place not in selected:
                assert verdict(policy, facts) is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("seed", range(60))
def test_what_is_left_of_a_condition_comes_to_the_same_where_its_group_is_asked(seed):
    random = Random(seed)
    policy_set = strategies.policy_set(random, most=60, depth=3)
    for _ in range(50):
        facts = strategies.facts(random)
        selection = policy_set.index.select(facts)
        entries = [entry for number in selection.groups for entry in policy_set.index.groups[number].entries]
        assert [entry.place for entry in entries] == list(selection.places)
        for entry in entries:
            assert evaluate(policy_set.policies[entry.place].applies_to, facts) is evaluate(entry.applies_to, facts)


def test_only_the_policies_of_the_candidates_value_are_asked():
    an_index = indexed(TRUE, *CAMPAIGNS)
    assert places(an_index, campaign_id="c-3") == (0, 4)
    assert places(an_index, campaign_id="c-99") == (0,)


@pytest.mark.parametrize("value", [None, 3, ("c-3",), ["c-3"], {}])
def test_a_field_that_is_missing_or_wrong_asks_all_that_are_indexed_on_it(value):
    assert places(indexed(TRUE, *CAMPAIGNS), campaign_id=value) == tuple(range(11))


def test_a_policy_with_several_values_is_asked_once_for_each_of_them():
    an_index = indexed(*CAMPAIGNS, campaign("c-1", "c-2", "c-1"))
    assert places(an_index, campaign_id="c-1") == (1, 10)
    assert places(an_index, campaign_id="c-2") == (2, 10)
    assert places(an_index) == tuple(range(11))


def test_a_policy_whose_list_is_empty_is_asked_only_where_the_field_is_unknown():
    an_index = indexed(*CAMPAIGNS, campaign())
    assert 10 not in places(an_index, campaign_id="c-1")
    assert 10 in places(an_index)


def test_a_field_with_few_values_is_not_worth_an_index():
    few = [campaign(f"c-{number}") for number in range(index.FEWEST_VALUES - 1)]
    assert len(indexed(*few).groups) == 1
    assert len(indexed(*few, campaign("one-more")).groups) > 1


def test_a_policy_with_many_values_is_asked_always():
    many = campaign(*(f"m-{number}" for number in range(index.MOST_VALUES + 1)))
    assert places(indexed(*CAMPAIGNS, many), campaign_id="c-3") == (10, 3)


@pytest.mark.parametrize("condition", [AnyOf((CAMPAIGNS[0], PUSH)), Not(CAMPAIGNS[0])])
def test_only_what_the_outermost_and_demands_is_indexed(condition):
    assert 10 in places(indexed(*CAMPAIGNS, condition), campaign_id="c-5")


def test_the_field_with_the_most_values_is_chosen():
    sponsors = [OneOf("sponsor.id", FactType.STRING, (f"s-{number}",)) for number in range(20)]
    both = AllOf((CAMPAIGNS[0], sponsors[0]))
    an_index = indexed(*CAMPAIGNS, *sponsors, both)
    assert places(an_index, campaign_id="c-0", sponsor_id="s-9") == (0, 19)
    assert places(an_index, campaign_id="c-0", sponsor_id="s-0") == (0, 10, 30)


def test_selections_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(index, "MOST_REMEMBERED", 1)
    an_index = indexed(*CAMPAIGNS)
    first = an_index.select({"campaign.id": "c-1"})
    assert an_index.select({"campaign.id": "c-1"}) is first
    second = an_index.select({"campaign.id": "c-2"})
    assert an_index.select({"campaign.id": "c-2"}) == second
    assert an_index.select({"campaign.id": "c-2"}) is not second
