"""`content_toggle`: recipients can switch a sort of content off, or a channel, topic or sponsor, and it stays off.

A toggle is named by the author (`toggle: sponsored`), or there is one for each channel, topic or sponsor (`per: topic`
makes `topic:travel`). What one means that was never touched is for the author to say, with `default`; it is not a
consent either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.cap_rule import CAP_PARTS
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.needs import PREFERENCES, Answer, Preferences, Query
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "NamedToggle", "ToggleNeed", "ToggleOfEach"]

PARTS: Mapping[str, str] = {"channel": "channel", "topic": "content.topic", "sponsor": "sponsor.id"}
"""What there can be a toggle for each of, and the candidate's field that says which."""


class NamedToggle(msgspec.Struct, frozen=True):
    """One toggle, whatever the candidate."""

    name: str
    fields: ClassVar[tuple[str, ...]] = ()

    def name_for(self, _candidate: Candidate) -> str:
        """Its name."""
        return self.name


class ToggleOfEach(msgspec.Struct, frozen=True):
    """A toggle for each channel, topic or sponsor."""

    sort: Literal["channel", "topic", "sponsor"]

    @property
    def fields(self) -> tuple[str, ...]:
        """The candidate's field that says which of them it is."""
        return (PARTS[self.sort],)

    def name_for(self, candidate: Candidate) -> str | None:
        """Such as `topic:travel`; None where the candidate has no topic."""
        part = CAP_PARTS[PARTS[self.sort]](candidate)
        return None if part is None else f"{self.sort}:{part}"


class ToggleNeed(msgspec.Struct, frozen=True):
    """The fact "how the recipient's toggle stands": `on` or `off`; `default` where it was never set."""

    fact: str
    toggle: NamedToggle | ToggleOfEach
    default: Literal["on", "off"]
    type: FactType = FactType.STRING
    shares: ClassVar[tuple[str, ...]] = (PREFERENCES,)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the toggle's name is made of."""
        return self.toggle.fields

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question of its own; None where the candidate has no such part."""
        return None if self.toggle.name_for(candidate) is None else ()

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, _at: datetime) -> Literal["on", "off"] | None:
        """How the toggle stands, the same at every instant; None where the candidate has no such part."""
        name = self.toggle.name_for(candidate)
        if name is None:
            return None
        (answer,) = answers
        assert isinstance(answer, Preferences)  # noqa: S101 - as it shares them
        chosen = answer.toggles.get(name)
        if chosen is None:
            return self.default
        return "on" if chosen else "off"

    def next_change(self, _answers: tuple[Answer, ...], _candidate: Candidate, _at: datetime) -> None:
        """Never: only the recipient changes a toggle."""


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied where the toggle is on, violated where it is off."""
    fact = f"toggle.{lowering.policy_id}.state"
    return Lowered(
        violated=OneOf(fact, FactType.STRING, ("off",)),
        satisfied=OneOf(fact, FactType.STRING, ("on",)),
        reason=Reason("toggle.off", f"the recipient's toggle {_words(spec)} must be on"),
        needs=(ToggleNeed(fact, _toggle(spec, lowering), spec["default"]),),
    )


def _toggle(spec: Mapping[str, Any], lowering: Lowering) -> NamedToggle | ToggleOfEach:
    if "toggle" in spec and "per" in spec:
        hint = "leave one out; a policy that needs both switches on is two policies"
        lowering.problem("contradiction", "a policy goes by one toggle: `toggle` or `per`", ("per",), hint)
    elif "toggle" not in spec and "per" not in spec:
        hint = "write `toggle: sponsored` for one switch, or `per: topic` for one a topic"
        lowering.problem("missing-property", "neither `toggle` nor `per` says which toggle it goes by", (), hint)
    return NamedToggle(spec.get("toggle", "")) if "per" not in spec else ToggleOfEach(spec["per"])


def _words(spec: Mapping[str, Any]) -> str:
    return f"for this {spec['per']}" if "per" in spec else f"`{spec.get('toggle')}`"


KIND = Kind(
    name="content_toggle",
    summary="Honours a switch with which recipients turn a sort of content on or off.",
    properties={
        "toggle": {
            "$ref": "#/$defs/id",
            "description": "The name of the toggle in the recipient's preferences, such as `sponsored`.",
        },
        "per": {
            "enum": list(PARTS),
            "description": (
                "Instead of `toggle`: one toggle for each of these, called such as `channel:push`, `topic:travel` or "
                "`sponsor:acme`. Where a candidate has no topic or sponsor, `on_missing` decides."
            ),
        },
        "default": {
            "enum": ["on", "off"],
            "description": "How a toggle stands that the recipient never set: `on` sends, `off` denies.",
        },
    },
    required=("default",),
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
