"""`offer_terms`: a registered offer is sent only while it can be had, and on the terms that were registered.

What a candidate says of its offer is what people will see; what was registered is what they will get. The loader adds
this policy, for candidates that carry an offer, to a set that has none of its kind. An offer that was never registered
passes, unless `registered: true` demands that it is. Of a candidate without an offer nothing can be said: a
policy that is about those, too, denies them in the monetized lane, and `lint` asks whether that is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import AllOf, AnyOf, Exists, FactType, Not, OneOf
from guardrails.core.needs import OFFER, Answer, OfferTerms, Query
from guardrails.core.offer_terms import contradictions, next_change, state_at
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Doubt, Kind, Lowered, Lowering

__all__ = ["KIND", "ContradictionsNeed", "StateNeed"]

CODES: Mapping[str, str] = {
    "withdrawn": "offer.withdrawn",
    "ended": "offer.ended",
    "not_begun": "offer.not_begun",
    "sold_out": "offer.sold_out",
    "unpayable": "offer.no_payment",
    "unregistered": "offer.unregistered",
}
"""By the state of the offer, the code of the reason."""


class _OfferNeed(msgspec.Struct, frozen=True):
    """A fact that is made of what was registered of the candidate's offer."""

    fact: str
    fields: ClassVar[tuple[str, ...]] = ("offer.id",)
    shares: ClassVar[tuple[str, ...]] = (OFFER,)

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question of its own; None where the candidate carries no offer."""
        return None if candidate.offer is None else ()


class StateNeed(_OfferNeed, frozen=True):
    """The fact "whether the offer can be had": one of the words of `OfferState`."""

    type: FactType = FactType.STRING

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> str:
        """The offer's state at the instant."""
        return state_at(candidate, _terms(answers), at)

    def next_change(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """When it begins or ends, where that is still to come."""
        return next_change(candidate, _terms(answers), at)


class ContradictionsNeed(_OfferNeed, frozen=True):
    """The fact "in which fields the candidate says something else": their names; missing where there are none."""

    type: FactType = FactType.STRINGS

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, _at: datetime) -> tuple[str, ...] | None:
        """The fields' names, the same at every instant."""
        return contradictions(candidate, _terms(answers)) or None

    def next_change(self, _answers: tuple[Answer, ...], _candidate: Candidate, _at: datetime) -> None:
        """Never: neither the candidate nor the terms change."""


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where the candidate contradicts the terms, or the offer can't be had; satisfied where it can."""
    state, contradicts = (f"terms.{lowering.policy_id}.{name}" for name in ("state", "contradicts"))
    fine = ("live",) if spec.get("registered", False) else ("live", "unregistered")
    wrong = tuple(each for each in CODES if each not in fine)
    contradicting = Exists(contradicts)
    return Lowered(
        violated=AnyOf((contradicting, OneOf(state, FactType.STRING, wrong))),
        satisfied=AllOf((Not(contradicting), OneOf(state, FactType.STRING, fine))),
        reason=Reason(
            "offer.contradicts",
            "the offer must be one that can be had now, on the terms that were registered",
            cases=(
                (contradicting, "offer.contradicts"),
                *((OneOf(state, FactType.STRING, (each,)), CODES[each]) for each in wrong),
            ),
        ),
        needs=(StateNeed(state), ContradictionsNeed(contradicts)),
    )


def doubts(written: Mapping[str, Any]) -> Iterator[Doubt]:
    """Of a policy about offers that is about everything."""
    if "applies_to" not in written and "on_missing" not in written:
        message = "what carries no offer is denied in the monetized lane: nothing can be said of its terms"
        yield Doubt("offers-only", message, ("kind",), "add `applies_to: {offer.id: {exists: true}}`")


def _terms(answers: tuple[Answer, ...]) -> OfferTerms:
    (terms,) = answers
    assert isinstance(terms, OfferTerms)  # noqa: S101 - as it shares them
    return terms


KIND = Kind(
    name="offer_terms",
    summary="Sends a registered offer only while it can be had, and on the terms that were registered.",
    properties={
        "registered": {
            "type": "boolean",
            "default": False,
            "description": "Whether an offer must be registered (`POST /v1/offers`) to be sent at all.",
        },
    },
    reason_codes={
        "offer.contradicts": (
            "The candidate says something else than was registered; the facts name the fields. It never will hold."
        ),
        "offer.not_begun": "The offer can't be had yet; `holds_from` says from when on.",
        "offer.ended": "The offer can't be had any more, by its terms or by the candidate's own `offer.expires_at`.",
        "offer.withdrawn": "The offer was withdrawn.",
        "offer.sold_out": "The offer's stock is taken.",
        "offer.no_payment": "The service is not set up for the offer's payment method: nobody could redeem it.",
        "offer.unregistered": "The offer was never registered, and the policy demands it.",
    },
    example="""\
- id: offers-are-registered
  kind: offer_terms
  title: Only offers with registered terms are sent
  applies_to: {offer.id: {exists: true}}
  registered: true
""",
    lower=lower,
    doubts=doubts,
)
