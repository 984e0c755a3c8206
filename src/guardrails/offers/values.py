"""Offers: what can be bought or redeemed. The terms of an offer never change: they are what people were shown.

    {"id": "upgrade-sea-view", "title": "Sea view tonight", "amount_minor": 1900, "currency": "EUR",
     "sponsor": {"id": "hotel-meridian"}, "stock": 20, "payment": "wallet"}

Amounts are in minor units of an ISO 4217 currency, shares in basis points: 10,000 are all of it. Here is what an offer
must be to make sense by itself; whether it may be sent is for policies to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from guardrails.core.candidate import PRINTABLE, YEARS, BoundsError, Id, Instant, KnownCurrency
from guardrails.core.money import AMOUNT_MOST, BPS
from guardrails.core.needs import BenefitTerms, OfferTerms

__all__ = ["UNREGISTERED", "Affiliate", "Benefit", "Named", "Offer", "OfferId", "OfferRequest", "Payment"]

COUNT_MOST = 2**31 - 1
SESSION_SECONDS = 300
LIFETIME_SECONDS = 86_400
LIFETIME_MOST_SECONDS = 30 * 86_400
STEPS = ("view", "confirm", "pay")

OfferId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}(?!\n)$")]
"""An id that stands in tokens and paths as it is."""

Step = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}(?!\n)$")]
Payment = Literal["wallet", "provider", "none"]
Session = Literal["required", "optional"]

_Bps = Annotated[int, Meta(ge=0, le=BPS)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of an offer: frozen, and without room for unknown fields."""


class Named(_Part, frozen=True):
    """A sponsor or a campaign, by its id."""

    id: Id


class Affiliate(_Part, frozen=True):
    """Who led the recipient here, and the share of the revenue that is theirs."""

    id: Id
    share_bps: _Bps = 0


class Benefit(_Part, frozen=True):
    """What the recipient gets of the revenue: credited to their wallet, or given in the price already.

    `text` is the sentence that tells them.
    """

    share_bps: _Bps
    form: Literal["credits", "discount"] = "credits"
    text: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")] | None = None


class OfferRequest(_Part, frozen=True):
    """The terms of an offer.

    It can be had from `begins_at` on and until `ends_at` (half-open; null: no such bound), `stock` times in all (null:
    as often as asked for) and `per_recipient` times by one recipient. `steps` lead from opening to conversion, within
    `session_seconds`; where a `session` is `optional`, it can be redeemed without one, at a till or by a machine. A
    token of the offer lives for `lifetime_seconds` at most. `commission_bps` of the price are what the platform earns
    with each; the affiliate and the recipient have their shares of that, and the rest is the platform's own.
    """

    id: OfferId
    title: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    amount_minor: Annotated[int, Meta(ge=0, le=AMOUNT_MOST)]
    currency: KnownCurrency
    sponsor: Named
    payment: Payment = "wallet"
    begins_at: Instant | None = None
    ends_at: Instant | None = None
    stock: Annotated[int, Meta(ge=1, le=COUNT_MOST)] | None = None
    per_recipient: Annotated[int, Meta(ge=1, le=COUNT_MOST)] = 1
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=3)] = STEPS
    session: Session = "required"
    session_seconds: Annotated[int, Meta(ge=30, le=3600)] = SESSION_SECONDS
    lifetime_seconds: Annotated[int, Meta(ge=60, le=LIFETIME_MOST_SECONDS)] = LIFETIME_SECONDS
    campaign: Named | None = None
    affiliate: Affiliate | None = None
    benefit: Benefit | None = None
    commission_bps: _Bps = 0

    def __post_init__(self) -> None:
        """What no type can state. Raises BoundsError with all that is wrong."""
        wrong = tuple(_wrong(self))
        if wrong:
            (field, message), *also = wrong
            raise BoundsError(field, message, *also)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer as it is kept. `taken` are the redemptions that hold a unit of its stock; settled ones do."""

    terms: OfferRequest
    recorded_at: datetime
    taken: int = 0
    withdrawn_at: datetime | None = None

    @property
    def id(self) -> str:
        """The offer's id."""
        return self.terms.id

    @property
    def left(self) -> int | None:
        """How many can still be had; None where there is no end to them."""
        return None if self.terms.stock is None else max(self.terms.stock - self.taken, 0)

    @property
    def status(self) -> Literal["live", "withdrawn", "sold_out"]:
        """What people have made of it; its times are another matter."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "sold_out" if self.left == 0 else "live"

    @property
    def answer(self) -> OfferTerms:
        """The answer to a policy's question."""
        terms, benefit = self.terms, self.terms.benefit
        return OfferTerms(
            status=self.status,
            amount_minor=terms.amount_minor,
            currency=terms.currency,
            begins_at=terms.begins_at,
            ends_at=terms.ends_at,
            title=terms.title,
            sponsor=terms.sponsor.id,
            campaign=None if terms.campaign is None else terms.campaign.id,
            affiliate=None if terms.affiliate is None else terms.affiliate.id,
            affiliate_bps=None if terms.affiliate is None else terms.affiliate.share_bps,
            commission_bps=terms.commission_bps,
            steps=terms.steps,
            session_seconds=terms.session_seconds,
            lifetime_seconds=terms.lifetime_seconds,
            benefit=None if benefit is None else BenefitTerms(benefit.share_bps, benefit.form, benefit.text),
        )


UNREGISTERED = OfferTerms(status="unregistered")


def _wrong(terms: OfferRequest) -> Iterator[tuple[str, str]]:
    """Each field that can't be so beside the others, with what is wrong there.

    The currency is none of them: terms that were registered are read again after a currency was withdrawn.
    """
    for field in ("begins_at", "ends_at"):
        instant = getattr(terms, field)
        if instant is not None and instant.year not in YEARS:
            yield field, f"lies outside the years {YEARS.start} to {YEARS.stop - 1}"
    if terms.begins_at is not None and terms.ends_at is not None and terms.begins_at >= terms.ends_at:
        yield "ends_at", "does not lie after `begins_at`"
    for place, step in enumerate(terms.steps):
        if step in terms.steps[:place]:
            yield f"steps.{place}", f"`{step}` stands in the list already"
    if "pay" in terms.steps[:-1]:
        yield f"steps.{terms.steps.index('pay')}", "`pay` is the payment: no step comes after it"
    if terms.amount_minor == 0 and terms.payment != "none":
        yield "payment", f"is `{terms.payment}`, and there is nothing to pay: it is `none` where `amount_minor` is 0"
    if terms.amount_minor > 0 and terms.payment == "none":
        yield "payment", "is `none`, and there is something to pay: it is `wallet` or `provider`"
    shares = sum(part.share_bps for part in (terms.affiliate, terms.benefit) if part is not None)
    if shares > BPS:
        yield "benefit.share_bps", f"together with `affiliate.share_bps` it is {shares} of the revenue's {BPS}"
