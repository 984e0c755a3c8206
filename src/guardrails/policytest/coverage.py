"""Coverage: which sides of each policy the cases have shown.

A *side* is a verdict that a policy can give: satisfied, violated, and, where it has an `applies_to`, not applicable.
`undetermined` is counted and not demanded: it is what silence does to any policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from guardrails.core.conditions import FALSE, TRUE
from guardrails.core.policy import Policy, Verdict
from guardrails.core.policy_set import PolicySet

__all__ = ["PolicyCoverage", "coverage"]


class PolicyCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """How often each verdict of one policy was seen, by the verdict's name, and the sides that never were."""

    policy: str
    kind: str
    seen: Mapping[str, int]
    untested: tuple[str, ...]


def coverage(policy_set: PolicySet, seen: Iterable[Mapping[str, Verdict]]) -> tuple[PolicyCoverage, ...]:
    """The coverage of every policy that an author wrote, in policy order.

    `seen` holds, for each decision, the verdict of each policy that applied to it, by policy id.
    """
    decisions = tuple(seen)
    return tuple(_policy_coverage(policy, decisions) for policy in policy_set.policies if not policy.builtin)


def _policy_coverage(policy: Policy, decisions: tuple[Mapping[str, Verdict], ...]) -> PolicyCoverage:
    counts = Counter(verdicts.get(policy.id, Verdict.NOT_APPLICABLE) for verdicts in decisions)
    return PolicyCoverage(
        policy=policy.id,
        kind=policy.kind,
        seen={verdict.value: counts[verdict] for verdict in Verdict},
        untested=tuple(side.value for side in _sides(policy) if not counts[side]),
    )


def _sides(policy: Policy) -> Iterable[Verdict]:
    """The verdicts that the policy can give: a formula that is never true gives none."""
    if policy.satisfied != FALSE:
        yield Verdict.SATISFIED
    if policy.violated != FALSE:
        yield Verdict.VIOLATED
    if policy.applies_to != TRUE:
        yield Verdict.NOT_APPLICABLE
