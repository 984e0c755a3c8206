"""What verdicts come to, worked out once: candidates differ, and the verdicts that policies give on them seldom do.

`concerns` says what the policies ask that may concern a candidate, `combining` to which effect the verdicts combine.
Both are pure functions of places and verdicts, so remembering them changes what a decision costs and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from guardrails.core.cap_rule import CapRule
from guardrails.core.combine import Combined, combine
from guardrails.core.needs import Need
from guardrails.core.policy import Policy, Verdict
from guardrails.core.policy_set import PolicySet, Selected
from guardrails.core.timing import ZONE_FIELD

__all__ = ["MOST_REMEMBERED", "Combining", "Concern", "Concerns", "combining", "concerns"]

MOST_REMEMBERED = 4096
MOST_PLACES = 400_000
"""So many different verdicts are remembered of a policy set, fewer of a large one: some 15 bytes a policy each."""


class Concern(msgspec.Struct, frozen=True):
    """What the policies need that may concern a candidate, and the caps that count a send of it, or may.

    `asking` are the needs with questions of their own. `made_of` names, for each need, the fact whose answers its own
    is made of; None where it is made of several facts' answers.
    """

    needs: tuple[Need, ...]
    asking: tuple[Need, ...]
    made_of: tuple[tuple[Need, str | None], ...]
    counting: tuple[CapRule, ...]
    goes_by_zone: bool
    shares_preferences: bool


Concerns = Callable[[tuple[int, ...], tuple[Verdict, ...]], Concern]
Combining = Callable[[Selected, Sequence[Verdict], str, datetime], Combined]


def concerns(scope: PolicySet) -> Concerns:
    """What gives the concern from the places of a selection of `scope` (`scope_set`) and the verdict at each."""
    not_applicable = Verdict.NOT_APPLICABLE

    def concern(places: tuple[int, ...], verdicts: tuple[Verdict, ...]) -> Concern:
        met = zip(places, verdicts, strict=True)
        return _concern([scope.policies[place] for place, verdict in met if verdict is not not_applicable])

    return lru_cache(maxsize=_most(scope))(concern)


def combining(policy_set: PolicySet) -> Combining:
    """What gives the effect of the verdicts on the selected policies, in a lane at an instant: as `combine` does.

    The instant makes a difference to policies that are in force for a time only, so what they take part in is combined
    each time.
    """
    policies, overriders = policy_set.policies, policy_set.overriders

    @lru_cache(maxsize=_most(policy_set))
    def remembered(places: tuple[int, ...], verdicts: tuple[Verdict, ...], lane: str) -> Combined:
        met = [policies[place] for place in places]
        return combine(met, verdicts, lane=lane, at=_ANY, overriders=overriders)

    def combined(selected: Selected, verdicts: Sequence[Verdict], lane: str, at: datetime) -> Combined:
        if selected.is_bounded:
            return combine(selected.policies, verdicts, lane=lane, at=at, overriders=overriders)
        return remembered(selected.selection.places, tuple(verdicts), lane)

    return combined


def _most(policies: PolicySet) -> int:
    return min(MOST_REMEMBERED, MOST_PLACES // max(1, len(policies.policies)))


def _concern(concerned: Sequence[Policy]) -> Concern:
    needs = tuple([need for policy in concerned for need in policy.needs])
    return Concern(
        needs=needs,
        asking=tuple([need for need in needs if not need.shares]),
        made_of=tuple([(need, _made_of(need)) for need in needs]),
        counting=tuple([cap for policy in concerned for cap in policy.caps]),
        goes_by_zone=any(ZONE_FIELD in need.fields for need in needs),
        shares_preferences=any(policy.shares_preferences for policy in concerned),
    )


def _made_of(need: Need) -> str | None:
    if not need.shares:
        return need.fact
    return need.shares[0] if len(need.shares) == 1 else None


_ANY = datetime.max.replace(tzinfo=UTC)
"""Nobody asks for it: no policy that is remembered is in force for a time only."""
