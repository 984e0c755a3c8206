"""Offers for tests: one word each for what most of them have in common."""

from __future__ import annotations

from typing import Any

import msgspec

from guardrails.offers import Offer, OfferRequest
from stores import instant


def terms(id_: str = "upgrade", **changes: Any) -> OfferRequest:
    """The terms of an offer, as JSON would say them; redeemed without a session, which has tests of its own."""
    said = {
        "id": id_,
        "title": "Sea view tonight",
        "amount_minor": 1900,
        "currency": "EUR",
        "sponsor": {"id": "hotel"},
        "session": "optional",
    }
    return msgspec.convert(said | changes, OfferRequest)


def offer(id_: str = "upgrade", *, taken: int = 0, **changes: Any) -> Offer:
    return Offer(terms=terms(id_, **changes), recorded_at=instant(9), taken=taken)
