"""Offers: what can be bought or redeemed, and everything that becomes of it."""

from __future__ import annotations

from guardrails.offers.conversion_store import MemoryConversions, SqlConversions
from guardrails.offers.offer_store import MemoryOffers, SqlOffers
from guardrails.offers.redemption_store import MemoryRedemptions, SqlRedemptions
from guardrails.offers.values import Offer, OfferRequest

__all__ = [
    "MemoryConversions",
    "MemoryOffers",
    "MemoryRedemptions",
    "Offer",
    "OfferRequest",
    "SqlConversions",
    "SqlOffers",
    "SqlRedemptions",
]
