"""When it would hold: the first instant at which a denied candidate would be allowed if nothing but time passes.

The search goes from change to change. At an instant that denies, each policy that blocks stays as it is until one of
its own facts, its validity, or one of the policies that override it changes; so no instant before the latest of the
blocking policies' next changes can allow, and the search may jump there. What it finds is therefore exact: the
candidate is denied at every instant before. Reservations are taken to become sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from guardrails.core.combine import Blocked, Combined, blocks
from guardrails.core.policy import Policy
from guardrails.decide.case import Case

__all__ = ["HORIZON", "holds_from", "retry_at"]

HORIZON = timedelta(days=366)
"""What does not hold within this time from the decision on is reported as never."""

MOST_JUMPS = 1000
"""So many changes are looked at; what would need more is reported as never too."""


def retry_at(case: Case, denied: Combined) -> tuple[datetime | None, str | None]:
    """The first instant that allows and None; or None and the id of the first policy that stands in the way for good.

    Both are None where no policy applies and none will, or where a room did not answer and nothing else stands in the
    way for good: then nobody knows.
    """
    at, combined = case.at, denied
    for _ in range(MOST_JUMPS):
        changes = [(blocked.policy, _next_status_change(case, blocked.policy, at)) for blocked in combined.blocked]
        for_good = [policy for policy, change in changes if change is None]
        if for_good:
            return None, next((policy.id for policy in for_good if not case.unavailable(policy)), None)
        if not changes:  # denied because nothing applies, until something does
            changes = [(policy, bound) for policy in case.selected.policies for bound in policy.bounds_after(at)]
        jumps = [change for _, change in changes if change is not None]
        if not jumps:
            return None, None
        at = max(jumps) if combined.blocked else min(jumps)
        if at > case.at + HORIZON:
            break
        combined = case.combined_at(at)
        if combined.effect == "allow":
            return at, None
    return None, combined.blocked[0].policy.id if combined.blocked else None


def holds_from(case: Case, blocked: Blocked) -> datetime | None:
    """The first instant at which this policy alone would no longer stand in the way, or None: never."""
    policy, change = blocked.policy, case.next_change(blocked.policy, case.at)
    for _ in range(MOST_JUMPS):
        if change is None or change > case.at + HORIZON:
            break
        if not policy.is_valid_at(change) or not blocks(policy, case.verdict_at(policy, change), case.candidate.lane):
            return change
        change = case.next_change(policy, change)
    return None


def _next_status_change(case: Case, policy: Policy, at: datetime) -> datetime | None:
    """The next instant at which `policy` may begin to hold, or to stand aside for another."""
    if policy.id not in case.compiled.policy_set.overriders:
        return case.next_change(policy, at)
    changes = (case.next_change(each, at) for each in (policy, *_all_overriders(case, policy.id)))
    return min((change for change in changes if change is not None), default=None)


def _all_overriders(case: Case, policy_id: str) -> Iterable[Policy]:
    """Those that it stands aside for, those that these stand aside for, and so on; each once."""
    overriders = case.compiled.policy_set.overriders
    found: dict[str, Policy] = {}
    waiting = [policy_id]
    while waiting:
        for other in overriders.get(waiting.pop(), ()):
            if other.id not in found:
                found[other.id] = other
                waiting.append(other.id)
    return found.values()
