"""How verdicts become one effect: deny overrides. The whole semantics of combining, on one screen.

1. A policy counts where it applies, is in force at the instant, and does not stand aside for one that overrides it.
2. A policy that is violated blocks. One that is undetermined blocks where its `on_missing` (its own, or its lane's:
   `deny` for monetized, `allow` for transactional) says so.
3. Any block of an enforced policy denies. Monitored policies are reported and don't count.
4. Where no enforced policy applies at all, the monetized lane denies and the transactional lane allows.

A policy that overrides others does so only with a verdict of its own, satisfied or violated: what is undetermined
sets nothing aside. A policy that itself stands aside overrides nothing. The order of policies changes only the order
of the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec

from guardrails.core.decision import Effect
from guardrails.core.policy import Policy, Verdict

__all__ = ["Blocked", "Combined", "blocks", "combine"]


_ordinal = attrgetter("ordinal")
_place = attrgetter("policy.ordinal")


class Blocked(msgspec.Struct, frozen=True, gc=False):
    """A policy that stands in the way, and how: `verdict` is VIOLATED or UNDETERMINED."""

    policy: Policy
    verdict: Verdict


class Combined(msgspec.Struct, frozen=True, gc=False):
    """The effect and what it rests on, each in policy order.

    `satisfied` are the enforced policies that speak for it: what an allow rests on. `none_applies`: denied because
    nothing speaks for it.
    """

    effect: Effect
    blocked: tuple[Blocked, ...]
    monitored: tuple[Blocked, ...]
    satisfied: tuple[Policy, ...]
    none_applies: bool = False


def combine(
    policies: Sequence[Policy],
    verdicts: Sequence[Verdict],
    *,
    lane: str,
    at: datetime,
    overriders: Mapping[str, tuple[Policy, ...]],
) -> Combined:
    """Combine one verdict a policy. `overriders` names, by policy id, those that it stands aside for."""
    not_applicable, is_satisfied = Verdict.NOT_APPLICABLE, Verdict.SATISFIED
    applying = [
        (policy, verdict)
        for policy, verdict in zip(policies, verdicts, strict=True)
        if verdict is not not_applicable and (not policy.is_bounded or policy.is_valid_at(at))
    ]
    if overriders:
        applying = _without_overridden(applying, overriders)
    blocked: list[Blocked] = []
    monitored: list[Blocked] = []
    satisfied: list[Policy] = []
    evidence = False
    for policy, verdict in applying:
        enforced = policy.mode == "enforce"
        evidence = evidence or (enforced and not policy.builtin)
        if verdict is is_satisfied:
            if enforced:
                satisfied.append(policy)
        elif blocks(policy, verdict, lane):
            (blocked if enforced else monitored).append(Blocked(policy, verdict))
    blocked.sort(key=_place)
    monitored.sort(key=_place)
    satisfied.sort(key=_ordinal)
    none_applies = not evidence and lane == "monetized"
    effect: Effect = "deny" if blocked or none_applies else "allow"
    return Combined(effect, tuple(blocked), tuple(monitored), tuple(satisfied), none_applies)


def blocks(policy: Policy, verdict: Verdict, lane: str) -> bool:
    """Whether this verdict of a policy that applies stands in the way."""
    if verdict is Verdict.UNDETERMINED:
        return (policy.on_missing or ("deny" if lane == "monetized" else "allow")) == "deny"
    return verdict is Verdict.VIOLATED


def _without_overridden(
    applying: list[tuple[Policy, Verdict]], overriders: Mapping[str, tuple[Policy, ...]]
) -> list[tuple[Policy, Verdict]]:
    able = {
        policy.id
        for policy, verdict in applying
        if policy.overrides and policy.mode == "enforce" and verdict is not Verdict.UNDETERMINED
    }

    known: dict[str, bool] = {}  # else layers that override each other would be walked once for every path
    if not able:
        return applying

    def stands_aside(policy_id: str) -> bool:
        if policy_id not in known:
            known[policy_id] = any(
                other.id in able and not stands_aside(other.id)  # ends: the loader refuses cycles
                for other in overriders.get(policy_id, ())
            )
        return known[policy_id]

    return [(policy, verdict) for policy, verdict in applying if not stands_aside(policy.id)]
