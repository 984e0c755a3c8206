"""`consent_required`: the recipient said yes to this purpose, on record and as demanded, and the yes still holds.

Silence is never consent: without a record the policy is violated. A grant dated after the decision counts as absent; a
refusal counts whatever its date, for clocks differ and nobody is to wait for theirs. Both ways in which a consent ends
are half-open: at the very instant of `expires_at`, and at exactly `max_age`, it has expired. An operating system's
permission to notify is never a consent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.needs import Answer, ConsentQuery, ConsentState
from guardrails.core.policy import Reason
from guardrails.core.purposes import DOUBLE_OPT_IN, OS_PERMISSION
from guardrails.policyfile.kinds._consent_demands import (
    ByMethod,
    Confirmed,
    Demand,
    IsConsent,
    NamesChannel,
    OfNotice,
    SinceVersion,
    UnderLaw,
)
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "ConsentNeed"]

GRANTED = "granted"
REFUSALS = ("missing", "withdrawn", "denied", "expired")
"""What a consent can be instead, whatever is demanded of it."""


class ConsentNeed(msgspec.Struct, frozen=True):
    """The fact "how the recipient's consent stands": `granted`, one of `REFUSALS`, or what a demand calls it."""

    fact: str
    purpose: str
    max_age_seconds: int | None = None
    demands: tuple[Demand, ...] = (IsConsent(),)
    type: FactType = FactType.STRING
    shares: ClassVar[tuple[str, ...]] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """A recipient always has an id."""
        return ()

    @property
    def refusals(self) -> tuple[str, ...]:
        """All that the fact can be but granted."""
        return (*REFUSALS, *(demand.refusal for demand in self.demands))

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[ConsentQuery]:
        """One question: the newest record of the recipient for the purpose on the channel."""
        return (ConsentQuery(candidate.recipient.id, self.purpose, candidate.channel),)

    def value(self, answers: tuple[Answer, ...], _candidate: Candidate, at: datetime) -> str:
        """How the consent stands at `at`."""
        state = _consent(answers)
        if state.status is None or state.at is None:
            return "missing"
        if state.status != GRANTED:
            return state.status
        if state.at > at:
            return "missing"
        for demand in self.demands:
            if not demand.holds(state):
                return demand.refusal
        end = self._end(state, state.at)
        return GRANTED if end is None or at < end else "expired"

    def next_change(self, answers: tuple[Answer, ...], _candidate: Candidate, at: datetime) -> datetime | None:
        """When a grant begins to count or, where it is as demanded, when it ends; a refusal stays one."""
        state = _consent(answers)
        if state.status != GRANTED or state.at is None:
            return None
        if state.at > at:
            return state.at
        if not all(demand.holds(state) for demand in self.demands):
            return None
        end = self._end(state, state.at)
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
    _check_methods(spec, lowering)
    _check_notice(spec, lowering)
    fact = f"consent.{lowering.policy_id}.state"
    max_age_seconds = lowering.duration_seconds(("max_age",)) if "max_age" in spec else None
    need = ConsentNeed(fact, spec["purpose"], max_age_seconds, tuple(_demands(spec, lowering)))
    return Lowered(
        violated=OneOf(fact, FactType.STRING, need.refusals),
        satisfied=OneOf(fact, FactType.STRING, (GRANTED,)),
        reason=Reason(
            "consent.missing",
            _message(spec, need),
            cases=tuple((OneOf(fact, FactType.STRING, (state,)), f"consent.{state}") for state in need.refusals),
        ),
        needs=(need,),
    )


def _demands(spec: Mapping[str, Any], lowering: Lowering) -> Iterator[Demand]:
    """What is demanded, in the order in which a record that lacks several things is told one."""
    yield IsConsent()
    if _needs_confirmation(spec, lowering):
        yield Confirmed()
    if "methods" in spec:
        yield ByMethod(tuple(spec["methods"]))
    if "notice" in spec:
        yield OfNotice(spec["notice"])
    if "notice_min_version" in spec:
        yield SinceVersion(spec["notice_min_version"])
    if "jurisdictions" in spec:
        yield UnderLaw(tuple(spec["jurisdictions"]))
    if spec.get("channel_scope") == "explicit":
        yield NamesChannel()


def _needs_confirmation(spec: Mapping[str, Any], lowering: Lowering) -> bool:
    purpose = lowering.purpose(("purpose",))
    return "double_opt_in" in spec or (purpose is not None and purpose.double_opt_in)


def _check_methods(spec: Mapping[str, Any], lowering: Lowering) -> None:
    methods = spec.get("methods", (DOUBLE_OPT_IN,))
    if OS_PERMISSION in methods:
        path = ("methods", methods.index(OS_PERMISSION))
        lowering.problem("unknown-value", f"`{OS_PERMISSION}` is a device's permission, and never a consent", path)
    if DOUBLE_OPT_IN not in methods and _needs_confirmation(spec, lowering):
        message = f"no consent can satisfy this: one to `{spec['purpose']}` counts by `{DOUBLE_OPT_IN}` alone"
        lowering.problem("contradiction", message, ("methods",), f"add `{DOUBLE_OPT_IN}`, or leave `methods` out")


def _check_notice(spec: Mapping[str, Any], lowering: Lowering) -> None:
    """Any notice that numbers its versions so high would do."""
    if "notice_min_version" in spec and "notice" not in spec:
        message = "`notice_min_version` is a version of the notice that `notice` names, and there is none"
        lowering.problem(
            "missing-property", message, ("notice_min_version",), "say in `notice` which one they must have seen"
        )


def _message(spec: Mapping[str, Any], need: ConsentNeed) -> str:
    age = f"given less than {spec['max_age']} ago" if "max_age" in spec else ""
    demands = [age, *(demand.words for demand in need.demands)]
    told = "".join(f", {words}" for words in demands if words)
    return f"the recipient's recorded consent to `{need.purpose}` is required{told}"


def _words(description: str) -> Mapping[str, Any]:
    """A text that consent records hold as well, and as long as it can be there."""
    return {"type": "string", "minLength": 1, "maxLength": 100, "description": description}


KIND = Kind(
    name="consent_required",
    summary="Demands the recipient's recorded and unexpired consent to a purpose.",
    properties={
        "purpose": {
            "$ref": "#/$defs/purpose_id",
            "description": (
                "What the recipient consented to: one of the purposes that the set declares, and the `purpose` of "
                "their consent records."
            ),
        },
        "max_age": {
            "$ref": "#/$defs/duration",
            "description": (
                "How long a consent lasts from the day it was given, such as `365d`. Without it a consent lasts "
                "until it is withdrawn or its record's own end."
            ),
        },
        "methods": {
            "type": "array",
            "items": _words("The `method` of a consent record, such as `form`."),
            "minItems": 1,
            "maxItems": 50,
            "uniqueItems": True,
            "description": (
                "How it must have been given: one of these, such as `[form, double_opt_in]`. Without it, in any way "
                "but `os_permission`, which is never a consent."
            ),
        },
        "double_opt_in": {
            "const": True,
            "description": (
                "`true`: it must have been confirmed by a link sent to the recipient. Without it, the purpose decides."
            ),
        },
        "notice": _words("The id of the notice that the recipient must have been shown. Without it, any or none."),
        "notice_min_version": {
            "$ref": "#/$defs/notice_version",
            "description": (
                "The oldest version of `notice` that will do, in quotes. Versions are ordered by the numbers in "
                'them: `"3"` is before `"10"`, `"2026-03"` before `"2026-11"`.'
            ),
        },
        "jurisdictions": {
            "type": "array",
            "items": {"$ref": "#/$defs/jurisdiction", "description": "A country or one of its regions."},
            "minItems": 1,
            "maxItems": 100,
            "uniqueItems": True,
            "description": (
                "Under whose law the recipient must have been asked: one of these countries and regions, such as "
                "`[DE, US-CA]`. A country covers its regions."
            ),
        },
        "channel_scope": {
            "enum": ["any", "explicit"],
            "default": "any",
            "description": (
                "Whether a consent to all channels will do (`any`), or the record must name the candidate's channel "
                "(`explicit`)."
            ),
        },
    },
    required=("purpose",),
    reason_codes={
        "consent.missing": "There is no consent record for this purpose: silence is never consent.",
        "consent.withdrawn": "The recipient took the consent back.",
        "consent.denied": "The recipient was asked and said no.",
        "consent.expired": "The consent is past the end that its record states, or older than `max_age`.",
        "consent.not_a_consent": "The record is an operating system's permission to notify, which is never a consent.",
        "consent.unconfirmed": "The policy or the purpose demands double opt-in, and the consent was not so confirmed.",
        "consent.wrong_method": "The consent was given in another way than those in `methods`.",
        "consent.wrong_notice": "The recipient was shown another notice than `notice`, or none.",
        "consent.old_notice": "The notice that the recipient was shown is older than `notice_min_version`.",
        "consent.wrong_jurisdiction": "The recipient was asked under the law of none of `jurisdictions`.",
        "consent.channel_not_named": "The record is about all channels, and the policy wants this one named.",
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
