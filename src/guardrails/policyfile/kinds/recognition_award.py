"""`recognition_award`: an early answer or helpful feedback is recognised, soon after, with a badge or credits.

`applies_to` says which recognition notifications this award is about, `when` what earns it. Recognition is timely:
the action, `context.at`, lies less than `within` back. An action that still lies ahead has earned nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import AllOf, AnyOf, FactType, Not, OneOf
from guardrails.core.needs import Answer, Query
from guardrails.core.policy import ObligationRule, Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "TimelinessNeed"]

NOT_EARNED, TOO_LATE = "award.not_earned", "award.too_late"


class TimelinessNeed(msgspec.Struct, frozen=True):
    """The fact "where the action, `context.at`, stands in time": `ahead`, `timely`, or `late`."""

    fact: str
    within_seconds: int
    type: FactType = FactType.STRING
    shares: ClassVar[tuple[str, ...]] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """When the thing took place that is to be recognised."""
        return ("context.at",)

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question; None where the candidate doesn't say when the action was."""
        return None if _acted_at(candidate) is None else ()

    def value(
        self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime
    ) -> Literal["ahead", "timely", "late"] | None:
        """Where the action stands as seen from `at`; late from exactly `within_seconds` after it."""
        acted_at = _acted_at(candidate)
        if acted_at is None:
            return None
        if at < acted_at:
            return "ahead"
        return "timely" if at < self._late_from(acted_at) else "late"

    def next_change(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """The instant of the action, then the instant from which it is too late."""
        acted_at = _acted_at(candidate)
        if acted_at is None:
            return None
        turns = (acted_at, self._late_from(acted_at))
        return next((turn for turn in turns if turn > at), None)

    def _late_from(self, acted_at: datetime) -> datetime:
        return acted_at.astimezone(UTC) + timedelta(seconds=self.within_seconds)


def _acted_at(candidate: Candidate) -> datetime | None:
    return None if candidate.context is None else candidate.context.at


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied where `when` is true of a timely action, violated where it is false or the action is not timely."""
    fact = f"award.{lowering.policy_id}.timing"
    earned = lowering.condition(("when",))
    late = OneOf(fact, FactType.STRING, ("late",))
    return Lowered(
        violated=AnyOf((Not(earned), OneOf(fact, FactType.STRING, ("ahead", "late")))),
        satisfied=AllOf((earned, OneOf(fact, FactType.STRING, ("timely",)))),
        reason=Reason(
            NOT_EARNED,
            f"the award must be earned, and given less than {spec['within']} after the action",
            cases=((Not(earned), NOT_EARNED), (late, TOO_LATE)),
        ),
        needs=(TimelinessNeed(fact, lowering.duration_seconds(("within",))),),
        obligations=(ObligationRule("award", values=dict(spec["award"]), fields={"context_id": "context.id"}),),
    )


KIND = Kind(
    name="recognition_award",
    summary="Lets a recognition notification go out where its award is earned and timely, and says what to grant.",
    properties={
        "when": {
            "$ref": "#/$defs/condition",
            "description": "What earns the award, such as an answer within a quarter of an hour.",
        },
        "within": {
            "$ref": "#/$defs/duration",
            "description": "How soon after the action, `context.at`, the award must be given, such as `24h`.",
        },
        "award": {
            "type": "object",
            "additionalProperties": False,
            "anyOf": [{"required": ["badge"]}, {"required": ["credits"]}],
            "description": "What is granted: a badge, credits, or both.",
            "properties": {
                "badge": {"$ref": "#/$defs/id", "description": "The id of the badge, such as `quick-responder`."},
                "credits": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 1_000_000,
                    "description": "How many credits are granted.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 200,
                    "description": "What the recipient is thanked for, in words they will see.",
                },
            },
        },
    },
    required=("when", "within", "award"),
    reason_codes={
        NOT_EARNED: "What `when` demands is not the case, or the action still lies ahead.",
        TOO_LATE: "The action lies `within` or longer back.",
    },
    example="""\
- id: thank-early-answers
  kind: recognition_award
  title: An answer within a quarter of an hour earns a badge and five credits
  applies_to: {content.class: recognition, context.kind: early_response}
  when: {attributes.minutes_to_answer: {lte: 15}}
  within: 24h
  award: {badge: quick-responder, credits: 5, reason: You answered within a quarter of an hour}
""",
    lower=lower,
)
