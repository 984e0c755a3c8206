"""What an allow of the monetized lane carries: the token of its offer, and the metadata that its revenue goes back by.

    carry_offer_token  {token, offer, expires_at, payment_request}   where the offer is registered
    carry_attribution  {token, sponsor, campaign, offer, ...}        always; the token says what the other values say

The route itself demands both, and no policy. They are made where the decision is recorded, for a token names the
decision's place in the log; all but the signatures and the recipient's pseudonym follows from the case, so that replay
finds it again. Where there are no keys they are owed by nobody; neither are they where a store was out of reach: the
monetized lane allows nothing then.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.core.decision import Decision, Obligation
from guardrails.core.money import decimal_text
from guardrails.core.needs import OfferTerms
from guardrails.decide.case import Case
from guardrails.decide.ports import SendTokens

__all__ = ["CARRY_ATTRIBUTION", "CARRY_OFFER_TOKEN", "Carried", "Unsigned", "carried", "unsigned"]

CARRY_OFFER_TOKEN = "carry_offer_token"  # noqa: S105 - the name of a duty
CARRY_ATTRIBUTION = "carry_attribution"
END_OFFER = "end_offer"
"""The duty by which a policy ends an offer sooner: its value `ends_at` says when."""

READABLE = ("sponsor", "campaign", "arm", "offer", "affiliate", "benefit_bps", "affiliate_bps")
"""Of the claims of an attribution, those that stand beside the token; the rest the decision says itself."""

BY_SECRETS = ("r", "j")
"""Of the claims, those that are made of the service's secrets."""


class Carried(msgspec.Struct, frozen=True):
    """The obligations that carry tokens, and until when the decision is asked for because of them."""

    obligations: tuple[Obligation, ...]
    needed_until: datetime


class Unsigned:
    """Makes tokens that say everything and prove nothing: to compare what was recorded by."""

    def pseudonym(self, _recipient: str, /) -> str:
        """Nobody's."""
        return ""

    def token_id(self, _decision_id: str, /) -> str:
        """None."""
        return ""

    def offer(self, claims: OfferClaims, /) -> str:
        """The claims between the dots."""
        return _between_dots(claims)

    def attribution(self, claims: AttributionClaims, /) -> str:
        """The claims between the dots."""
        return _between_dots(claims)


def unsigned(duty: Obligation) -> Obligation:
    """The same where it carries a token, with what this says in place of it, but for what secrets make."""
    if duty.type not in {CARRY_OFFER_TOKEN, CARRY_ATTRIBUTION}:
        return duty
    return msgspec.structs.replace(duty, values={**duty.values, "token": _said(duty.values.get("token"))})


def carried(case: Case, decision: Decision, tokens: SendTokens, *, audit_index: int) -> Carried:
    """What the allow carries that this decision is, which will stand at `audit_index` in the log."""
    recipient = tokens.pseudonym(case.candidate.recipient.id)
    attribution = _attribution(case, decision, recipient, audit_index)
    token = tokens.attribution(attribution)
    told = {name: value for name in READABLE if (value := getattr(attribution, name)) is not None}
    if case.candidate.benefit is not None and case.candidate.benefit.form is not None:
        told["benefit_form"] = case.candidate.benefit.form
    duties = [Obligation(CARRY_ATTRIBUTION, None, {"token": token, **told})]
    needed_until = case.at + timedelta(seconds=case.compiled.policy_set.project.attribution.window_seconds)
    offer = _offer(case, decision, tokens, recipient)
    if offer is not None and case.offer is not None:
        values = {
            "token": tokens.offer(offer),
            "offer": offer.offer,
            "expires_at": offer.expires_at,
            **_payment_request(offer, case.offer),
        }
        duties.insert(0, Obligation(CARRY_OFFER_TOKEN, None, values))
        needed_until = max(needed_until, offer.expires_at)
    return Carried(tuple(duties), needed_until.astimezone(UTC))


def _attribution(case: Case, decision: Decision, recipient: str, audit_index: int) -> AttributionClaims:
    candidate, terms = case.candidate, case.offer
    campaign, sponsor, offer = candidate.campaign, candidate.sponsor, candidate.offer
    return AttributionClaims(
        decision_id=decision.decision_id,
        audit_index=audit_index,
        lane=decision.lane,
        evaluated_at_ms=int(case.at.timestamp() * 1000),
        policy_revision=decision.policy_revision,
        recipient=recipient,
        campaign=None if campaign is None else campaign.id,
        sponsor=None if sponsor is None else sponsor.id,
        offer=None if offer is None else offer.id,
        affiliate=None if candidate.affiliate is None else candidate.affiliate.id,
        arm=None if campaign is None else campaign.arm,
        benefit_bps=None if candidate.benefit is None else candidate.benefit.share_bps,
        affiliate_bps=None if terms is None else terms.affiliate_bps,
    )


def _offer(case: Case, decision: Decision, tokens: SendTokens, recipient: str) -> OfferClaims | None:
    """The claims of the offer's token; None where the candidate carries no registered offer.

    It ends with a whole second: the next one, lest it be over as it is made.
    """
    offer, terms = case.candidate.offer, case.offer
    if offer is None or terms is None or terms.amount_minor is None or terms.currency is None:
        return None
    return OfferClaims(
        offer=offer.id,
        recipient=recipient,
        amount_minor=terms.amount_minor,
        currency=terms.currency,
        decision_id=decision.decision_id,
        expires_at_seconds=math.ceil(min(_ends(case.candidate, decision, terms, case.at)).timestamp()),
        token_id=tokens.token_id(decision.decision_id),
    )


def _ends(candidate: Candidate, decision: Decision, terms: OfferTerms, at: datetime) -> Iterator[datetime]:
    """Every instant that ends the token; the first of them does."""
    yield at + timedelta(seconds=terms.lifetime_seconds or 0)
    if candidate.offer is not None and candidate.offer.expires_at is not None:  # of the terms, where it said nothing
        yield candidate.offer.expires_at
    if terms.ends_at is not None:
        yield terms.ends_at
    ends = [duty.values.get("ends_at") for duty in decision.obligations if duty.type == END_OFFER]
    yield from (each for each in ends if isinstance(each, datetime))


def _payment_request(offer: OfferClaims, terms: OfferTerms) -> dict[str, Any]:
    """What `new PaymentRequest(methodData, details)` of W3C's Payment Request API is given for `details`.

    The methods are the app's own to say. Nothing is to be paid for what costs nothing.
    """
    if offer.amount_minor == 0:
        return {}
    amount = {"currency": offer.currency, "value": decimal_text(offer.amount_minor, offer.currency)}
    return {
        "payment_request": {"details": {"id": offer.decision_id, "total": {"label": terms.title, "amount": amount}}}
    }


def _between_dots(claims: OfferClaims | AttributionClaims) -> str:
    return f".{base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode()}."


def _said(token: object) -> object:
    """The claims of a token, by their short names; the token itself where it is none."""
    try:
        _, payload, _ = str(token).split(".")
        said = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        return token
    return {name: value for name, value in said.items() if name not in BY_SECRETS}
