"""`content_toggle`: recipients can switch a sort of content off, and it stays off.

What a toggle means that was never touched is for the author to say, with `default`; it is not a consent either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.needs import Answer, PreferenceQuery, Preferences
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "ToggleNeed"]


class ToggleNeed(msgspec.Struct, frozen=True):
    """The fact "how the recipient's toggle stands": `on` or `off`; `default` where it was never set."""

    fact: str
    toggle: str
    default: Literal["on", "off"]
    type: FactType = FactType.STRING

    @property
    def fields(self) -> tuple[str, ...]:
        """A recipient always has an id."""
        return ()

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[PreferenceQuery]:
        """One question: the recipient's preferences."""
        return (PreferenceQuery(candidate.recipient.id),)

    def value(self, answers: tuple[Answer, ...], _candidate: Candidate, _at: datetime) -> Literal["on", "off"]:
        """How the toggle stands; the same at every instant."""
        (answer,) = answers
        assert isinstance(answer, Preferences)  # noqa: S101 - the answers stand in the order of the questions
        chosen = answer.toggles.get(self.toggle)
        if chosen is None:
            return self.default
        return "on" if chosen else "off"

    def next_change(self, _answers: tuple[Answer, ...], _candidate: Candidate, _at: datetime) -> None:
        """Never: only the recipient changes a toggle."""


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied where the toggle is on, violated where it is off."""
    fact = f"toggle.{lowering.policy_id}.state"
    toggle = spec["toggle"]
    return Lowered(
        violated=OneOf(fact, FactType.STRING, ("off",)),
        satisfied=OneOf(fact, FactType.STRING, ("on",)),
        reason=Reason("toggle.off", f"the recipient's toggle `{toggle}` must be on"),
        needs=(ToggleNeed(fact, toggle, spec["default"]),),
    )


KIND = Kind(
    name="content_toggle",
    summary="Honours a switch with which recipients turn a sort of content on or off.",
    properties={
        "toggle": {
            "$ref": "#/$defs/id",
            "description": "The name of the toggle in the recipient's preferences, such as `sponsored`.",
        },
        "default": {
            "enum": ["on", "off"],
            "description": "How a toggle stands that the recipient never set: `on` sends, `off` denies.",
        },
    },
    required=("toggle", "default"),
    reason_codes={
        "toggle.off": "The recipient switched this content off, or never set a toggle whose `default` is off."
    },
    example="""\
- id: sponsored-can-be-switched-off
  kind: content_toggle
  title: Recipients can switch sponsored content off
  applies_to: {content.class: [sponsored, affiliate]}
  toggle: sponsored
  default: "on"
""",
    lower=lower,
)
