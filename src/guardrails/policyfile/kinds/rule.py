"""`rule`: a plain "deny when this is true", for whatever no other kind says.

A condition that is unknown neither violates nor satisfies the rule: it is undetermined, and `on_missing` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.conditions import Not
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND"]

DENIED = "rule.denied"


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where `deny_when` is true, satisfied where it is false."""
    deny_when = lowering.condition(("deny_when",))
    return Lowered(
        violated=deny_when,
        satisfied=Not(deny_when),
        reason=Reason(spec.get("code", DENIED), f"the rule `{lowering.policy_id}` forbids this notification"),
    )


KIND = Kind(
    name="rule",
    summary="Denies a notification where a condition of your own is true.",
    properties={
        "deny_when": {
            "$ref": "#/$defs/condition",
            "description": (
                "The condition under which the notification is denied. Where a field it reads is missing, "
                "the answer is unknown and `on_missing` decides."
            ),
        },
        "code": {
            "title": "reason code",
            "type": "string",
            "pattern": r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$",
            "patternErrorMessage": "a reason code is lower-case words joined by dots, such as `audience.minor`",
            "maxLength": 100,
            "default": DENIED,
            "description": "The reason code of the denial: lower-case words joined by dots, such as `audience.minor`.",
        },
    },
    required=("deny_when",),
    reason_codes={DENIED: "The condition of `deny_when` is true. A rule may name a code of its own instead."},
    example="""\
- id: sponsored-for-adults-only
  kind: rule
  title: No sponsored content for minors
  applies_to: {content.class: [sponsored, affiliate]}
  deny_when: {recipient.age: {lt: 18}}
  code: audience.minor
  message: sponsored content goes to adults only
""",
    lower=lower,
)
