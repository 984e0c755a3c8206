from __future__ import annotations

import pytest

from guardrails.core.conditions import FALSE, TRUE, FactType, OneOf
from guardrails.core.policy import Policy, Reason, Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.policytest.coverage import coverage

PUSH = OneOf("channel", FactType.STRING, ("push",))


def policy(**more: object) -> Policy:
    parts = {"applies_to": PUSH, "violated": PUSH, "satisfied": PUSH, **more}
    return Policy(ordinal=0, id="p", kind="rule", mode="enforce", reason=Reason("x", ""), **parts)


def untested(policy: Policy, *verdicts: Verdict) -> tuple[str, ...]:
    seen = [{} if verdict == Verdict.NOT_APPLICABLE else {"p": verdict} for verdict in verdicts]
    (only,) = coverage(PolicySet([policy], revision="", files={}), seen)
    return only.untested


ALL = (Verdict.SATISFIED, Verdict.VIOLATED, Verdict.NOT_APPLICABLE)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), ("satisfied", "violated", "not_applicable")),
        ((Verdict.UNDETERMINED,), ("satisfied", "violated", "not_applicable")),
        ((Verdict.SATISFIED,), ("violated", "not_applicable")),
        ((Verdict.VIOLATED, Verdict.VIOLATED), ("satisfied", "not_applicable")),
        (ALL, ()),
    ],
)
def test_a_side_that_no_decision_shows_is_untested(verdicts, expected):
    assert untested(policy(), *verdicts) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"applies_to": TRUE}, ("satisfied", "violated")),
        ({"violated": FALSE}, ("satisfied", "not_applicable")),
        ({"satisfied": FALSE}, ("violated", "not_applicable")),
    ],
)
def test_a_side_that_a_policy_does_not_have_is_not_demanded(parts, expected):
    assert untested(policy(**parts)) == expected


def test_every_verdict_is_counted():
    policy_set = PolicySet([policy()], revision="", files={})
    seen = [{"p": Verdict.SATISFIED}, {"p": Verdict.SATISFIED}, {"p": Verdict.UNDETERMINED}, {}]
    (only,) = coverage(policy_set, seen)
    assert only.seen == {"not_applicable": 1, "satisfied": 2, "violated": 0, "undetermined": 1}


def test_built_in_policies_are_not_the_authors_to_test():
    assert coverage(PolicySet([policy(builtin=True)], revision="", files={}), []) == ()
