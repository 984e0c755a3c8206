"""The room of policies: which set decides now, and what is in it."""

from __future__ import annotations

import msgspec

from guardrails.core.candidate import Instant
from guardrails.core.policy import Mode
from guardrails.decide.active_policies import ActivePolicies
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route

__all__ = ["ActiveSet", "Policies", "PolicySummary"]

_encoder = msgspec.json.Encoder()


class PolicySummary(msgspec.Struct, frozen=True):
    """One policy, as much as a caller needs to know it by."""

    id: str
    kind: str
    mode: Mode
    title: str
    owner: str
    tags: tuple[str, ...]
    valid_from: Instant | None
    valid_until: Instant | None
    builtin: bool


class ActiveSet(msgspec.Struct, frozen=True):
    """The set that decides now, in policy order. Policies whose mode is `off` are not part of it."""

    revision: str
    loaded_at: Instant
    policies: tuple[PolicySummary, ...]


class Policies:
    """The handlers."""

    def __init__(self, policies: ActivePolicies) -> None:
        self._policies = policies

    def active(self, _: Exchange) -> Reply:
        """`GET /v1/policies`."""
        policy_set = self._policies.snapshot.policy_set
        summaries = tuple(
            PolicySummary(
                id=policy.id,
                kind=policy.kind,
                mode=policy.mode,
                title=policy.title,
                owner=policy.owner,
                tags=policy.tags,
                valid_from=policy.valid_from,
                valid_until=policy.valid_until,
                builtin=policy.builtin,
            )
            for policy in policy_set.policies
        )
        loaded_at = self._policies.status.loaded_at
        return Reply(200, _encoder.encode(ActiveSet(policy_set.revision, loaded_at, summaries)))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="GET",
                path="/v1/policies",
                handler=self.active,
                name="read_policies",
                tag="policies",
                summary="The active policy set: revision, ids, kinds, modes, titles",
                scope="policy:read",
                gives=ActiveSet,
            ),
        )
