"""`consent_required`: the recipient said yes to this purpose, on record, and the yes still holds.

Silence is never consent: without a record the policy is violated. A record dated after the decision counts as absent,
and both ways in which a consent ends are half-open: at the very instant of `expires_at`, and at exactly `max_age`, it
has expired.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.needs import Answer, ConsentQuery, ConsentState
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "ConsentNeed"]

REFUSALS = ("missing", "withdrawn", "denied", "expired")


class ConsentNeed(msgspec.Struct, frozen=True):
    """The fact "how the recipient's consent stands": `granted`, or one of `REFUSALS`."""

    fact: str
    purpose: str
    max_age_seconds: int | None = None
    type: FactType = FactType.STRING

    @property
    def fields(self) -> tuple[str, ...]:
        """A recipient always has an id."""
        return ()

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[ConsentQuery]:
        """One question: the newest record of the recipient for the purpose on the channel."""
        return (ConsentQuery(candidate.recipient.id, self.purpose, candidate.channel),)

    def value(
        self, answers: tuple[Answer, ...], _candidate: Candidate, at: datetime
    ) -> Literal["granted", "missing", "withdrawn", "denied", "expired"]:
        """How the consent stands at `at`."""
        state = _consent(answers)
        if state.status is None or state.at is None or state.at > at:
            return "missing"
        if state.status != "granted":
            return state.status
        end = self._end(state, state.at)
        return "granted" if end is None or at < end else "expired"

    def next_change(self, answers: tuple[Answer, ...], _candidate: Candidate, at: datetime) -> datetime | None:
        """When the record begins to count or, where it grants, when it ends."""
        state = _consent(answers)
        if state.status is None or state.at is None:
            return None
        if state.at > at:
            return state.at
        end = self._end(state, state.at) if state.status == "granted" else None
        return end if end is not None and end > at else None

    def _end(self, state: ConsentState, granted_at: datetime) -> datetime | None:
        """The first instant at which a consent granted at `granted_at` no longer holds, or None: it doesn't end."""
        ends = [] if state.expires_at is None else [state.expires_at]
        if self.max_age_seconds is not None:
            ends.append(granted_at.astimezone(UTC) + timedelta(seconds=self.max_age_seconds))
        return min(ends, default=None)


def _consent(answers: tuple[Answer, ...]) -> ConsentState:
    (answer,) = answers
    assert isinstance(answer, ConsentState)  # noqa: S101 - the answers stand in the order of the questions
    return answer


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied where the consent stands at `granted`, violated where it stands at anything else."""
    fact = f"consent.{lowering.policy_id}.state"
    purpose = spec["purpose"]
    max_age_seconds = lowering.duration_seconds(("max_age",)) if "max_age" in spec else None
    age = f", given less than {spec['max_age']} ago" if "max_age" in spec else ""
    return Lowered(
        violated=OneOf(fact, FactType.STRING, REFUSALS),
        satisfied=OneOf(fact, FactType.STRING, ("granted",)),
        reason=Reason(
            "consent.missing",
            f"the recipient's recorded consent to `{purpose}` is required{age}",
            cases=tuple((OneOf(fact, FactType.STRING, (state,)), f"consent.{state}") for state in REFUSALS),
        ),
        needs=(ConsentNeed(fact, purpose, max_age_seconds),),
    )


KIND = Kind(
    name="consent_required",
    summary="Demands the recipient's recorded and unexpired consent to a purpose.",
    properties={
        "purpose": {
            "$ref": "#/$defs/id",
            "description": "What the recipient consented to: the `purpose` of their consent records.",
        },
        "max_age": {
            "$ref": "#/$defs/duration",
            "description": (
                "How long a consent lasts from the day it was given, such as `365d`. Without it a consent lasts "
                "until it is withdrawn or its record's own end."
            ),
        },
    },
    required=("purpose",),
    reason_codes={
        "consent.missing": "There is no consent record for this purpose: silence is never consent.",
        "consent.withdrawn": "The recipient took the consent back.",
        "consent.denied": "The recipient was asked and said no.",
        "consent.expired": "The consent is past the end that its record states, or older than `max_age`.",
    },
    example="""\
- id: sponsored-needs-opt-in
  kind: consent_required
  title: Sponsored content only with an opt-in
  applies_to: {content.class: [sponsored, affiliate]}
  purpose: sponsored_content
  max_age: 365d
""",
    lower=lower,
)
