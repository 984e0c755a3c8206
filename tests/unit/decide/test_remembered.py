"""What is remembered of verdicts is what they come to: lane, validity and places told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from guardrails.core.cap_rule import CapRule, RollingWindow
from guardrails.core.combine import combine
from guardrails.core.conditions import FALSE, TRUE, FactType, OneOf
from guardrails.core.policy import Policy, Reason, Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.decide.remembered import combining, concerns

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
_, SATISFIED, VIOLATED, _ = Verdict


def policy(policy_id: str, *, ordinal: int, **rest) -> Policy:
    return Policy(
        ordinal=ordinal,
        id=policy_id,
        kind="rule",
        mode="enforce",
        violated=FALSE,
        satisfied=TRUE,
        reason=Reason("rule.denied", "no"),
        **rest,
    )


@pytest.mark.parametrize("bounds", [{}, {"valid_from": AT}, {"valid_until": AT}])
def test_verdicts_combine_as_they_do_without_memory_however_often_they_are_asked(bounds):
    policies = PolicySet(
        [
            policy("a", ordinal=0, overrides=("b",)),
            policy("b", ordinal=1, **bounds),
            policy("c", ordinal=2, on_missing="allow"),
        ],
        revision="r",
        files={},
    )
    selected, combined = policies.select({}), combining(policies)
    asked = list(product(product(Verdict, repeat=3), ("monetized", "transactional"), (AT - TICK, AT, AT + TICK)))
    for verdicts, lane, at in [*asked, *reversed(asked)]:
        expected = combine(selected.policies, verdicts, lane=lane, at=at, overriders=policies.overriders)
        assert expected == combined(selected, list(verdicts), lane, at)


def test_the_same_verdicts_are_combined_once():
    policies = PolicySet([policy("a", ordinal=0)], revision="r", files={})
    selected, combined = policies.select({}), combining(policies)
    assert combined(selected, [VIOLATED], "monetized", AT) is combined(selected, [VIOLATED], "monetized", AT + TICK)


def test_the_same_verdicts_on_other_policies_are_other_verdicts():
    policies = PolicySet([of_campaign(place) for place in range(8)], revision="r", files={})  # enough to be indexed
    combined, concern = combining(policies), concerns(policies)
    for each in policies.policies:
        selected = policies.select({"campaign.id": each.id})
        assert selected.policies == (each,)
        (blocked,) = combined(selected, [VIOLATED], "monetized", AT).blocked
        assert blocked.policy is each
        assert concern(selected.selection.places, (VIOLATED,)).counting == each.caps


def of_campaign(place: int) -> Policy:
    name = f"p-{place}"
    cap = CapRule(id=name, limit=1, window=RollingWindow(60), per=())
    return policy(name, ordinal=place, applies_to=OneOf("campaign.id", FactType.STRING, (name,)), caps=(cap,))


def test_a_policy_in_force_for_a_time_is_looked_at_each_time():
    policies = PolicySet([policy("a", ordinal=0, valid_until=AT)], revision="r", files={})
    selected, combined = policies.select({}), combining(policies)
    effects = [combined(selected, [SATISFIED], "monetized", at).effect for at in (AT - TICK, AT, AT - TICK)]
    assert effects == ["allow", "deny", "allow"]
