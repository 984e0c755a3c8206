"""What the signed tokens of an allow say: the offer that it carries, and to which decision a revenue goes back.

    OfferClaims       in `carry_offer_token`:  who may redeem what, at which price, until when
    AttributionClaims in `carry_attribution`:  which decision allowed the send, and how what it earns is shared

Names are one or two letters on the wire: a push payload is small. No token holds who the recipient is: it names them by
a pseudonym, which only the service can make. `signing.tokens` makes tokens of them and reads them back.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

__all__ = ["AttributionClaims", "OfferClaims"]

_OFFER = {
    "offer": "o",
    "recipient": "r",
    "amount_minor": "a",
    "currency": "c",
    "decision_id": "d",
    "expires_at_seconds": "e",
    "token_id": "j",
}
_ATTRIBUTION = {
    "decision_id": "d",
    "audit_index": "i",
    "lane": "l",
    "evaluated_at_ms": "t",
    "policy_revision": "v",
    "recipient": "r",
    "campaign": "c",
    "sponsor": "s",
    "offer": "o",
    "affiliate": "f",
    "arm": "x",
    "benefit_bps": "b",
    "affiliate_bps": "fb",
}


class _Claims(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Claims: all that such a token says. One that says more was not made by this release."""


class OfferClaims(_Claims, frozen=True, rename=_OFFER):
    """What an offer token entitles to: the recipient with this pseudonym may redeem the offer once, at this price.

    `amount_minor` is in minor units of `currency` (ISO 4217). It ends at `expires_at_seconds` since 1970. `token_id` is
    its own, and no other token's.
    """

    offer: str
    recipient: str
    amount_minor: int
    currency: str
    decision_id: str
    expires_at_seconds: int
    token_id: str

    @property
    def expires_at(self) -> datetime:
        """The first instant at which it is no longer good."""
        return datetime.fromtimestamp(self.expires_at_seconds, UTC)


class AttributionClaims(_Claims, frozen=True, rename=_ATTRIBUTION):
    """The link from what a notification earns back to the decision that allowed it, and to the entry that proves it.

    `evaluated_at_ms` counts milliseconds since 1970. `recipient` is a pseudonym. `benefit_bps` of the revenue go to the
    recipient and `affiliate_bps` to the affiliate, of 10,000; `arm` is the campaign's. What the candidate had none of
    is absent.
    """

    decision_id: str
    audit_index: int
    lane: str
    evaluated_at_ms: int
    policy_revision: str
    recipient: str
    campaign: str | None = None
    sponsor: str | None = None
    offer: str | None = None
    affiliate: str | None = None
    arm: str | None = None
    benefit_bps: int | None = None
    affiliate_bps: int | None = None

    @property
    def evaluated_at(self) -> datetime:
        """The instant that the decision was for."""
        return datetime.fromtimestamp(self.evaluated_at_ms / 1000, UTC)
