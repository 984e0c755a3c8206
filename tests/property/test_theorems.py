"""The four theorems of the language, on random policy sets and facts (Cedar's, in our words).

1. A violated enforced policy denies.
2. Nothing is allowed without positive evidence from all that apply.
3. Order and duplicates don't matter.
4. A policy set never fails on a candidate, whatever it holds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from guardrails.core.combine import combine
from guardrails.core.policy import Policy, Verdict
from guardrails.core.reference import verdict
from property import strategies

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEDS = range(300)
CANDIDATES = 10


def dressed(random: Random, policy: Policy, others: list[str]) -> Policy:
    """The policy with random mode, on_missing, validity and, of those before it, some that stand aside for it."""
    return msgspec.structs.replace(
        policy,
        mode=random.choice(("enforce", "enforce", "enforce", "monitor")),
        on_missing=random.choice((None, None, "deny", "allow")),
        valid_from=random.choice((None, None, AT, AT + timedelta(seconds=1))),
        valid_until=random.choice((None, None, AT, AT + timedelta(seconds=1))),
        overrides=tuple(random.sample(others, min(len(others), random.choice((0, 0, 0, 1))))),
    )


def policies_of(random: Random) -> list[Policy]:
    policies: list[Policy] = []
    for policy in strategies.policy_set(random, most=8, depth=2).policies:
        policies.append(dressed(random, policy, [each.id for each in policies]))
    return policies


def decided(policies, facts, lane):
    overriders: dict[str, tuple[Policy, ...]] = {}
    for policy in policies:
        for overridden in policy.overrides:
            overriders[overridden] = (*overriders.get(overridden, ()), policy)
    verdicts = [verdict(policy, facts) for policy in policies]
    return verdicts, combine(policies, verdicts, lane=lane, at=AT, overriders=overriders)


def counts(policy, policies, verdicts):
    """Whether the policy is enforced, in force and set aside by nobody who could: stricter than `combine`."""
    overridden = {name for other in policies for name in other.overrides}
    return policy.mode == "enforce" and policy.is_valid_at(AT) and policy.id not in overridden


@pytest.mark.parametrize("lane", ["monetized", "transactional"])
@pytest.mark.parametrize("chunk", range(0, len(SEEDS), 50))
def test_the_first_three_theorems_hold(chunk, lane):
    allowed = denied = 0
    for seed in SEEDS[chunk : chunk + 50]:
        random = Random(seed)
        policies = policies_of(random)
        for _ in range(CANDIDATES):
            facts = strategies.facts(random)
            verdicts, combined = decided(policies, facts, lane)
            pairs = [pair for pair in zip(policies, verdicts, strict=True) if counts(pair[0], policies, verdicts)]

            if any(found == Verdict.VIOLATED for _, found in pairs):
                assert combined.effect == "deny"
            if combined.effect == "allow":
                tolerant = "allow" if lane == "transactional" else "deny"
                weak = [
                    p.id for p, found in pairs if found == Verdict.UNDETERMINED and (p.on_missing or tolerant) == "deny"
                ]
                assert weak == []
                spoke = any(
                    p.mode == "enforce" and p.is_valid_at(AT) and v for p, v in zip(policies, verdicts, strict=True)
                )
                assert spoke or lane == "transactional"

            shuffled = [*policies, random.choice(policies)]
            random.shuffle(shuffled)
            assert decided(shuffled, facts, lane)[1].effect == combined.effect

            allowed += combined.effect == "allow"
            denied += combined.effect == "deny"
    assert min(allowed, denied) > 0  # both sides of every theorem were seen


def test_a_policy_set_never_fails_on_a_candidate():
    random = Random(4)
    for _ in range(200):
        policies = policies_of(random)
        for _ in range(CANDIDATES):
            verdicts, _ = decided(policies, strategies.facts(random), "monetized")
            assert set(verdicts) <= set(Verdict)
