"""Reference, native and durable-rules give the same verdicts, whatever the policies and whatever the facts."""

from __future__ import annotations

from random import Random

import pytest

from guardrails.core.reference import verdict
from guardrails.engine.durable import DurableEngine
from guardrails.engine.native import NativeEngine
from property import strategies

SETS = 250
CANDIDATES = 100
BATCHES = 10

PAIRS = SETS * CANDIDATES


def test_the_engines_are_held_against_at_least_20_000_pairs():
    assert PAIRS >= 20_000


@pytest.mark.parametrize("batch", range(BATCHES))
def test_reference_native_and_durable_agree(batch):
    verdicts_seen = set()
    for number in range(batch, SETS, BATCHES):
        random = Random(number)
        policy_set = strategies.policy_set(random)
        native, durable = NativeEngine(policy_set), DurableEngine(policy_set)
        for _ in range(CANDIDATES):
            facts = strategies.facts(random)
            selection = policy_set.index.select(facts)
            expected = [verdict(policy_set.policies[place], facts) for place in selection.places]
            assert expected == native.evaluate(selection, facts), (number, facts)
            assert expected == durable.evaluate(selection, facts), (number, facts)
            verdicts_seen.update(expected)
    assert len(verdicts_seen) == 4
