"""The engines agree on what authors write: every kind's example and the shipped policies, at and next to bounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Contains, Exists, FactType, Matches, Not, OneOf
from guardrails.core.facts import VOCABULARY
from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.core.reference import verdict
from guardrails.engine.durable import DurableEngine
from guardrails.engine.native import NativeEngine
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import load_policies, load_policy_files

CANDIDATES = 1500
SHIPPED = Path(__file__).parents[2] / "policies"

USUAL = {
    FactType.STRING: ("", "something else"),
    FactType.NUMBER: (0, 1, 0.5, 2**53),
    FactType.BOOLEAN: (True, False),
    FactType.TIMESTAMP: (datetime(2026, 3, 1, tzinfo=UTC),),
    FactType.STRINGS: ((), ("something else",)),
}


def example_of(kind: str) -> PolicySet:
    """The kind's example, over and over for a hundred campaigns, so that the set is indexed."""
    head = "apiVersion: guardrails/v1\nproject: {contexts: [booking]}\n"
    one = load_policy_files({"example.yaml": f"{head}policies:\n{all_kinds()[kind].example}"})
    written = one.policies[0]
    campaigns = [
        msgspec.structs.replace(
            written,
            id=f"{written.id}-{number}",
            applies_to=AllOf((OneOf("campaign.id", FactType.STRING, (f"c-{number}",)), written.applies_to)),
        )
        for number in range(100)
    ]
    return PolicySet([*one.policies, *campaigns], revision="example", files={})


def simple_tests(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from simple_tests(part)
    elif isinstance(condition, Not):
        yield from simple_tests(condition.part)
    else:
        yield condition


def values_by_field(policy_set: PolicySet) -> dict[str, list[object]]:
    """For each field that the policies read: what they ask for, what lies next to it, and something else."""
    values: dict[str, list[object]] = {}
    for policy in policy_set.policies:
        for formula in (policy.applies_to, policy.violated, policy.satisfied):
            for test in simple_tests(formula):
                values.setdefault(test.field, []).extend(values_near(test))
    for field, known in VOCABULARY.items():
        if field in values:
            values[field] += USUAL[known.type]
    return values


def values_near(test: Condition) -> list[object]:
    known = VOCABULARY.get(getattr(test, "field", ""))
    wrong = [] if known is not None else ["3", 3, True, ("3",), float("nan"), None]
    if isinstance(test, OneOf):
        return [*test.values, *USUAL[test.type], *wrong]
    if isinstance(test, Compare):
        step = timedelta(microseconds=1) if test.type is FactType.TIMESTAMP else 1
        return [test.bound, test.bound - step, test.bound + step, *wrong]
    if isinstance(test, Contains):
        return [(test.value,), (), ("something else", test.value), *wrong]
    if isinstance(test, Matches):
        return [test.pattern.replace("*", "x").replace("?", "y"), test.pattern.replace("*", ""), *wrong]
    assert isinstance(test, Exists)
    return list(wrong)


def assert_agreement(policy_set: PolicySet, seed: int) -> set[Verdict]:
    random = Random(seed)
    values = values_by_field(policy_set)
    native, durable = NativeEngine(policy_set), DurableEngine(policy_set)
    seen: set[Verdict] = set()
    for _ in range(CANDIDATES):
        facts = {field: random.choice(found) for field, found in values.items() if found and random.random() < 0.9}
        selection = policy_set.index.select(facts)
        expected = [verdict(policy_set.policies[place], facts) for place in selection.places]
        assert expected == native.evaluate(selection, facts), facts
        assert expected == durable.evaluate(selection, facts), facts
        seen.update(expected)
    return seen


@pytest.mark.parametrize("kind", sorted(all_kinds()))
def test_on_the_example_of_every_kind(kind):
    assert assert_agreement(example_of(kind), seed=1) >= {Verdict.SATISFIED, Verdict.UNDETERMINED}


@pytest.mark.parametrize("seed", range(4))
def test_on_the_shipped_policies(seed):
    assert assert_agreement(load_policies(SHIPPED), seed) == set(Verdict)
