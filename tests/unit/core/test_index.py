"""The index never leaves out a policy that could apply or be unknown, and asks few."""

from __future__ import annotations

from random import Random

import pytest

from guardrails.core import index
from guardrails.core.conditions import TRUE, AllOf, AnyOf, FactType, Not, OneOf
from guardrails.core.index import Entry, Index, Remembered
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
        assert selection.groups == (0, *selection.specific)
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


def test_a_field_that_few_policies_demand_is_not_worth_an_index():
    few = [campaign(f"c-{number}") for number in range(index.FEWEST_ENTRIES - 1)]
    assert len(indexed(*few).groups) == 1
    assert len(indexed(*few, campaign("one-more")).groups) > 1


def test_a_field_with_few_values_is_worth_an_index_where_many_policies_demand_one():
    an_index = indexed(*[PUSH] * index.FEWEST_ENTRIES, TRUE)
    assert places(an_index, channel="email") == (index.FEWEST_ENTRIES,)
    assert sorted(places(an_index, channel="push")) == list(range(index.FEWEST_ENTRIES + 1))


def test_policies_that_are_indexed_on_another_field_make_a_field_no_worthier():
    both = [AllOf((PUSH, each)) for each in CAMPAIGNS]
    assert places(indexed(*both, PUSH), channel="email", campaign_id="c-99") == (len(both),)


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


def remembering(*conditions):
    an_index = indexed(*conditions)
    return an_index, Remembered(an_index, lambda selection: [selection])


TWO_FIELDS = (
    TRUE,
    *CAMPAIGNS,
    *(OneOf("attributes.sponsor", FactType.STRING, (f"s-{number}",)) for number in range(10)),
)
VALUES = (None, "c-1", "c-2", "s-1", "s-2", "elsewhere", "", 0, 1, True, ("c-1",), (["c-1"],), 3.5)


def test_what_is_remembered_is_what_would_be_selected():
    an_index, remembered = remembering(*TWO_FIELDS)
    candidates = [{"campaign.id": one, "attributes.sponsor": other} for one in VALUES for other in VALUES] + [{}]
    for facts in (*candidates, *reversed(candidates)):
        assert remembered.find(facts) == [an_index.select(facts)]


def test_the_same_groups_are_made_something_of_once():
    _, remembered = remembering(*TWO_FIELDS)
    first = remembered.find({"campaign.id": "c-1", "attributes.sponsor": "unheard of"})
    assert remembered.find({"campaign.id": "c-1", "attributes.sponsor": "never heard of either"}) is first
    assert remembered.find({"campaign.id": "c-1"}) is remembered.find({"campaign.id": "c-1", "attributes.sponsor": 7})


def test_without_indexed_fields_there_is_one_selection():
    an_index, remembered = remembering(TRUE, PUSH)
    assert remembered.find({"channel": "push"}) is remembered.find({})
    assert remembered.find({}) == [an_index.select({})]


def test_selections_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(index, "MOST_REMEMBERED", 1)
    _, remembered = remembering(*CAMPAIGNS)
    first = remembered.find({"campaign.id": "c-1"})
    assert remembered.find({"campaign.id": "c-1"}) is first
    second = remembered.find({"campaign.id": "c-2"})
    assert remembered.find({"campaign.id": "c-2"}) == second
    assert remembered.find({"campaign.id": "c-2"}) is not second


@pytest.mark.parametrize("seed", range(20))
def test_a_policy_set_selects_by_its_index(seed):
    random = Random(seed)
    policy_set = strategies.policy_set(random, most=60, depth=3)
    for _ in range(50):
        facts = strategies.facts(random)
        selected = policy_set.select(facts)
        assert selected.selection == policy_set.index.select(facts)
        assert selected.policies == tuple(policy_set.policies[place] for place in selected.selection.places)
