"""Lowering keeps every bound that durable-rules has, whatever the policies."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest

from guardrails.core.conditions import TRUE, AllOf, AnyOf, Exists, Not
from guardrails.engine import durable_lowering
from guardrails.engine.durable_lowering import FACT_ID, MARK, MOST_FIRING, MOST_LINES, MOST_RULES, lower
from guardrails.engine.lines import encoder
from guardrails.errors import PolicyError
from property import strategies
from unit.engine.making import above, nested, policy, policy_set, text

MOST_CHILDREN = 511
"""The slots of the vendor's table of tests that begin alike; a full one is searched for ever."""


def by_campaign(count, *, each=1):
    return policy_set(
        *(
            policy(above(f"attributes.a{number % 7}", number), applies_to=text("campaign.id", f"c-{number // each}"))
            for number in range(count)
        )
    )


LARGE_SETS = {
    "always asked": lambda: policy_set(*(policy(above("recipient.age", number)) for number in range(300))),
    "many facts": lambda: policy_set(*(policy(Exists(f"attributes.a{number}")) for number in range(600))),
    "deep": lambda: policy_set(policy(TRUE), policy(nested(100))),
    "by campaign": lambda: by_campaign(1200),
    "many of a campaign": lambda: by_campaign(1200, each=60),
    "random": lambda: strategies.policy_set(Random(1), most=200, depth=5),
}


def checks_of(rule):
    condition = rule["all"][0]["m"]
    return [json.dumps(check) for check in condition.get("$and", [condition])]


@pytest.mark.parametrize("name", LARGE_SETS)
def test_no_shard_is_more_than_the_vendor_can_bear(name):
    lowered = lower(LARGE_SETS[name]())
    for plan in lowered.plans:
        assert all(ask.slots <= MOST_FIRING for ask in plan.asks)
        units = [(ask.shard, ask.unit) for ask in plan.asks]
        assert len(set(units)) == len(units)
    for shard in lowered.shards:
        assert len(shard.rules) <= MOST_RULES
        assert len({line.number for unit in shard.units for line in unit.lines}) <= MOST_LINES
        children = Counter()
        for beginning in {
            tuple(checks[:length])
            for checks in map(checks_of, json.loads(shard.definition).values())
            for length in range(1, len(checks) + 1)
        }:
            children[beginning[:-1]] += 1
        assert max(children.values()) <= MOST_CHILDREN


@pytest.mark.parametrize("name", LARGE_SETS)
def test_rules_are_ands_of_comparisons_of_small_whole_numbers(name):
    for shard in lower(LARGE_SETS[name]()).shards:
        for rule in json.loads(shard.definition).values():
            condition = rule["all"][0]["m"]
            tests = condition.get("$and", [condition])
            assert tests
            for test in tests:
                ((name, value),) = test.items()
                ((name, value),) = value.items() if name.startswith("$") else ((name, value),)
                assert name == MARK or name.startswith("c")
                assert type(value) is int


def test_names_of_properties_differ_by_the_hash_that_the_vendor_tells_them_apart_by():
    def fnv(name: str) -> int:
        value = 2166136261
        for byte in name.encode():
            value = (value ^ byte) * 16777619 % 2**32
        return value

    reserved = "id sid $s m all any pri count cap dist name $i $time $lt $lte $gt $gte $eq $neq $mt $imt $iall $iany"
    reserved += " $ex $nex $or $and $m $add $sub $mul $div $l $r $forward"
    names = [*reserved.split(), MARK, *(f"c{place}" for place in range(MOST_LINES))]
    assert len({fnv(name) for name in names}) == len(names)
    assert fnv("id") == 926444256  # HASH_ID, as the vendor's state.h has it


def test_a_fact_tells_the_codes_of_its_units_lines_and_nothing_else():
    (shard,) = lower(policy_set(policy(text("channel", "push")), policy(above("recipient.age", 18)))).shards
    (unit,) = shard.units
    codes = encoder(unit.lines)({"channel": "push", "recipient.age": "x", "sponsor.id": "s"})
    assert json.loads(unit.fact % codes) == {"id": FACT_ID, MARK: 1, "c0": 1, "c1": -1}


def test_a_unit_beside_others_is_told_of_the_guards_line_and_its_own():
    policies = (
        policy(above(f"attributes.a{number}", 1), applies_to=text("campaign.id", f"c-{number}")) for number in range(8)
    )
    (shard,) = (each for each in lower(policy_set(*policies)).shards if len(each.units) == 8)
    assert [[line.field for line in unit.lines] for unit in shard.units] == [
        ["campaign.id", f"attributes.a{number}"] for number in range(8)
    ]


def test_policies_that_cannot_be_told_apart_are_asked_once():
    alike = [policy(above("recipient.age", 18), policy_id=f"p{number}") for number in range(100)]
    (plan,) = lower(policy_set(*alike)).plans
    assert plan.asks[0].slots == 1
    assert plan.picks == (0,) * 100


def test_all_that_are_indexed_on_a_field_are_few_rules_where_it_is_unknown():
    lowered = lower(by_campaign(1000))
    unknown = lowered.plans[-1]
    assert len(unknown.picks) == 1000
    assert sum(ask.slots for ask in unknown.asks) == 1


def test_groups_of_one_field_share_shards():
    assert len(lower(by_campaign(1000)).shards) <= 1 + 1000 * 3 // MOST_RULES + 2


def test_values_that_no_policy_tells_apart_share_a_unit():
    pairs = [policy(applies_to=text("campaign.id", f"a-{n}", f"b-{n}"), policy_id=f"p{n}") for n in range(8)]
    a_policy_set = policy_set(*pairs)
    lowered = lower(a_policy_set)
    groups = {group.value: group.number for group in a_policy_set.index.groups}
    assert lowered.plans[groups["a-3"]] == lowered.plans[groups["b-3"]]
    assert lowered.plans[groups["a-3"]] != lowered.plans[groups["a-4"]]


@pytest.mark.parametrize(
    "condition",
    [
        AllOf(tuple(Exists(f"attributes.a{number}") for number in range(MOST_LINES))),
        AllOf(tuple(Not(Exists(f"attributes.a{number}")) for number in range(MOST_RULES))),
        AnyOf(tuple(text(f"attributes.a{number}", "x") for number in range(MOST_LINES))),
    ],
)
def test_a_policy_that_is_too_much_for_a_shard_is_the_authors_to_split(condition):
    with pytest.raises(PolicyError, match="policy `large` is too complex"):
        lower(policy_set(policy(condition, policy_id="large")))


def test_a_policy_of_endless_combinations_is_the_authors_to_split(monkeypatch):
    monkeypatch.setattr("guardrails.engine.decision_tree.MOST_STEPS", 3)
    with pytest.raises(PolicyError, match="policy `endless` is too complex"):
        lower(policy_set(policy(nested(4), policy_id="endless")))


def test_the_bounds_leave_room_below_the_vendors():
    assert durable_lowering.MOST_FIRING < 64
    assert durable_lowering.MOST_RULES < MOST_CHILDREN
    assert durable_lowering.MOST_LINES < 255
