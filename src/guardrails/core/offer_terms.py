"""What the registered terms of an offer mean for the candidate that carries it: they complete it, never override it.

    completed(candidate, terms)        the candidate, with the terms where it says nothing
    contradictions(candidate, terms)   the fields in which it says something else
    state_at(candidate, terms, at)     whether the offer can be had at an instant

Pure, so that a candidate is completed again as it was from its audit entry. Of an offer that was never registered
nothing is known: the candidate stays as it came and contradicts nothing, and until its own end, if it says one, its
state is `unregistered`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from guardrails.core.candidate import Affiliate, Benefit, Campaign, Candidate, Content, Conversion, Offer, Sponsor
from guardrails.core.needs import OfferTerms

__all__ = ["OfferState", "completed", "contradictions", "next_change", "state_at"]

OfferState = Literal["unregistered", "live", "not_begun", "ended", "withdrawn", "sold_out", "unpayable"]

_Part = TypeVar("_Part", Benefit, Content, Conversion, Offer)
_BENEFIT = ("share_bps", "form", "text")


def completed(candidate: Candidate, terms: OfferTerms) -> Candidate:
    """The candidate with what the terms say of its offer, and of who sells and shares it, where it says nothing."""
    if candidate.offer is None or terms.status == "unregistered":
        return candidate
    benefit = terms.benefit
    parts: dict[str, Any] = {
        "offer": _filled(
            candidate.offer, amount_minor=terms.amount_minor, currency=terms.currency, expires_at=terms.ends_at
        ),
        "content": _filled(candidate.content, steps=None if terms.steps is None else len(terms.steps)),
    }
    if terms.session_seconds is not None:
        parts["conversion"] = _filled(candidate.conversion or Conversion(), max_seconds=terms.session_seconds)
    if candidate.sponsor is None and terms.sponsor is not None:
        parts["sponsor"] = Sponsor(id=terms.sponsor)
    if candidate.campaign is None and terms.campaign is not None:
        parts["campaign"] = Campaign(id=terms.campaign)
    if candidate.affiliate is None and terms.affiliate is not None:
        parts["affiliate"] = Affiliate(id=terms.affiliate)
    if benefit is not None:
        stated = candidate.benefit or Benefit()
        parts["benefit"] = _filled(stated, share_bps=benefit.share_bps, form=benefit.form, text=benefit.text)
    return msgspec.structs.replace(candidate, **parts)


def contradictions(candidate: Candidate, terms: OfferTerms) -> tuple[str, ...]:
    """The candidate's fields that say something else than the terms, in the order of the vocabulary.

    A benefit or an affiliate's share that the terms don't have is one, and an end later than theirs. An earlier end is
    none, and neither is the sentence that tells of a benefit they have: it may be in another language.
    """
    if candidate.offer is None or terms.status == "unregistered":
        return ()
    return tuple(_contradictions(candidate, candidate.offer, terms))


def state_at(candidate: Candidate, terms: OfferTerms, at: datetime) -> OfferState:
    """Whether the offer can be had at an instant: from `begins_at` on, and until it ends, here or by its terms."""
    if terms.status == "withdrawn":
        return terms.status
    ends_at = _ends_at(candidate, terms)
    if ends_at is not None and at >= ends_at:
        return "ended"
    if terms.begins_at is not None and at < terms.begins_at:
        return "not_begun"
    return terms.status


def next_change(candidate: Candidate, terms: OfferTerms, at: datetime) -> datetime | None:
    """The first instant after `at` when its state may differ if nothing but time passes, or None: never."""
    if terms.status == "withdrawn":
        return None
    bounds = (terms.begins_at, _ends_at(candidate, terms))
    return min((bound for bound in bounds if bound is not None and bound > at), default=None)


def _filled(part: _Part, **terms: object) -> _Part:
    missing = {name: value for name, value in terms.items() if value is not None and getattr(part, name) is None}
    return msgspec.structs.replace(part, **missing) if missing else part


def _ends_at(candidate: Candidate, terms: OfferTerms) -> datetime | None:
    stated = None if candidate.offer is None else candidate.offer.expires_at
    return min((end for end in (stated, terms.ends_at) if end is not None), default=None)


def _contradictions(candidate: Candidate, offer: Offer, terms: OfferTerms) -> Iterator[str]:
    steps = None if terms.steps is None else len(terms.steps)
    if _differ(candidate.content.steps, steps):
        yield "content.steps"
    if candidate.campaign is not None and _differ(candidate.campaign.id, terms.campaign):
        yield "campaign.id"
    if candidate.conversion is not None and _differ(candidate.conversion.max_seconds, terms.session_seconds):
        yield "conversion.max_seconds"
    if candidate.sponsor is not None and _differ(candidate.sponsor.id, terms.sponsor):
        yield "sponsor.id"
    if candidate.affiliate is not None and candidate.affiliate.id != terms.affiliate:
        yield "affiliate.id"
    if _differ(offer.amount_minor, terms.amount_minor):
        yield "offer.amount_minor"
    if _differ(offer.currency, terms.currency):
        yield "offer.currency"
    if offer.expires_at is not None and terms.ends_at is not None and offer.expires_at > terms.ends_at:
        yield "offer.expires_at"
    if candidate.benefit is not None:
        yield from _benefit_contradictions(candidate.benefit, terms)


def _benefit_contradictions(stated: Benefit, terms: OfferTerms) -> Iterator[str]:
    if terms.benefit is None:
        if stated.share_bps != 0:  # 0 says itself that there is none
            yield from (f"benefit.{name}" for name in _BENEFIT if getattr(stated, name) is not None)
        return
    if _differ(stated.share_bps, terms.benefit.share_bps):
        yield "benefit.share_bps"
    if _differ(stated.form, terms.benefit.form):
        yield "benefit.form"


def _differ(stated: object, registered: object) -> bool:
    """Whether both say something, and not the same."""
    return stated is not None and registered is not None and stated != registered
