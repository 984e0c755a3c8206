"""An offer, tokens of it, and the service of conversion sessions over any store, for its tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from guardrails.core.claims import OfferClaims
from guardrails.decide.ports import Transactor
from guardrails.offers import Offer, OfferRequest
from guardrails.offers.conversion_service import Conversions
from guardrails.offers.values import Named
from guardrails.signing import SigningKeys, Tokens
from stores import run

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
KEYS = SigningKeys.generate(NOON)
TOKENS = Tokens(KEYS)
RECIPIENT = "r-1"


def offer(id_: str = "upgrade", **changes: Any) -> Offer:
    """A paid offer of three steps in five minutes."""
    fields = {
        "id": id_,
        "title": "Sea view tonight",
        "amount_minor": 1900,
        "currency": "EUR",
        "sponsor": Named(id="hotel-meridian"),
    }
    return Offer(terms=OfferRequest(**(fields | changes)), recorded_at=NOON)


FREE = offer("free", amount_minor=0, payment="none", steps=("view", "confirm"))


def token(
    decision_id: str = "d-1",
    of: Offer | None = None,
    *,
    recipient: str = RECIPIENT,
    expires_at: datetime = NOON + timedelta(hours=1),
) -> str:
    """The token that an allow with this offer carries."""
    return token_by(TOKENS, decision_id, of or offer(), recipient=recipient, expires_at=expires_at)


def token_by(
    tokens: Tokens,
    decision_id: str,
    of: Offer,
    *,
    recipient: str = RECIPIENT,
    expires_at: datetime = NOON + timedelta(hours=1),
) -> str:
    """The same, by the keys of somebody else."""
    return tokens.offer(
        OfferClaims(
            offer=of.id,
            recipient=tokens.pseudonym(recipient),
            amount_minor=of.terms.amount_minor,
            currency=of.terms.currency,
            decision_id=decision_id,
            expires_at_seconds=int(expires_at.timestamp()),
            token_id=tokens.token_id(decision_id),
        )
    )


def conversions_over(transactor: Transactor, *offers: Offer) -> Conversions:
    """The service, with these offers kept, or a paid one and a free one."""
    run(transactor, lambda session: session.offers.insert(offers or (offer(), FREE)))
    numbers = count(1)
    return Conversions(transactor, tokens=lambda: TOKENS, new_id=lambda: f"k-{next(numbers)}")
