"""Policies and policy sets for the engines' tests, in few words."""

from __future__ import annotations

from guardrails.core.conditions import FALSE, TRUE, AllOf, AnyOf, Compare, Condition, FactType, Not, OneOf, Ordering
from guardrails.core.policy import Policy, Reason
from guardrails.core.policy_set import PolicySet


def text(field: str, *values: str) -> OneOf:
    return OneOf(field, FactType.STRING, values)


def number(field: str, *values: float) -> OneOf:
    return OneOf(field, FactType.NUMBER, values)


def above(field: str, bound: float) -> Compare:
    return Compare(field, FactType.NUMBER, Ordering.GT, bound)


def nested(depth: int) -> Condition:
    """A condition nested `depth` deep, each level making a difference."""
    condition: Condition = above("recipient.age", 18)
    for _ in range(depth // 2):
        condition = AnyOf((AllOf((condition, text("channel", "push"))), text("channel", "sms")))
    return condition


def policy(
    violated: Condition = FALSE,
    satisfied: Condition | None = None,
    *,
    applies_to: Condition = TRUE,
    policy_id: str = "p",
) -> Policy:
    """A policy that is satisfied where it is not violated, unless told otherwise."""
    return Policy(
        ordinal=0,
        id=policy_id,
        kind="rule",
        mode="enforce",
        applies_to=applies_to,
        violated=violated,
        satisfied=Not(violated) if satisfied is None else satisfied,
        reason=Reason("rule", ""),
    )


def policy_set(*policies: Policy) -> PolicySet:
    return PolicySet(policies, revision="sha256:test", files={"policies.yaml": "policies: []\n"})
