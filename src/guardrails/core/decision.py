"""The decision: allow or deny, why, with which duties, until when. Plain values that go out as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["AuditReference", "Decision", "Effect", "Obligation", "ReasonGiven", "RetryAdvice"]

Effect = Literal["allow", "deny"]


class ReasonGiven(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Why one policy stands in the way (or would, where it only monitors).

    `code` is stable and dotted; `facts` are those that the policy used, null where missing; `holds_from` is the
    earliest instant at which this policy alone would hold, null where time alone never makes it.
    """

    code: str
    policy: str | None
    message: str
    facts: Mapping[str, Any] = {}
    holds_from: datetime | None = None
    retry: RetryAdvice | None = None


class RetryAdvice(msgspec.Struct, frozen=True, gc=False):
    """What the policy's author advises the sender to do: try every `every_seconds`, at most `attempts` times."""

    every_seconds: int
    attempts: int


class Obligation(msgspec.Struct, frozen=True, gc=False):
    """A duty of the sender when it sends; `policy` is who demands it, null where it is no policy but the route."""

    type: str
    policy: str | None
    values: Mapping[str, Any] = {}


class AuditReference(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where the decision is recorded: its index in the log, or its place in the local spool while the log is out."""

    index: int | None = None
    spooled: bool = False


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The answer to one candidate.

    `retry_at` is the first instant at which all enforced policies hold together if nothing but time passes; where
    there is none, `blocked_by` names the first policy that never will. `degraded` says that a store was out of reach.

    An allow holds its capacity until `lease_until`, and is not to be sent on later than that: the same candidate asked
    for again gets the same answer, and takes nothing anew. A deny has none.

    `consents` are the ids of the consent records that an allow relied on, in policy order, each once. It is absent only
    from what was answered before decisions told them.
    """

    decision_id: str
    candidate_id: str
    effect: Effect
    reasons: tuple[ReasonGiven, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    consents: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    monitored: tuple[ReasonGiven, ...] = ()
    retry_at: datetime | None = None
    blocked_by: str | None = None
    lane: str
    policy_revision: str
    evaluated_at: datetime
    lease_until: datetime | None = None
    degraded: bool = False
    audit: AuditReference | None = None
