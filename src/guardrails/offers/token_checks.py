"""Whether an offer token that came back is good for what is asked with it, each refusal with a code of its own.

    token.invalid (422)           none of ours: altered, truncated, of another type, signed by nobody's key
    token.expired (410)           ours, and its time is over
    token.other_recipient (409)   ours, and another recipient's

What became of its decision, its offer and its redemption is for whoever reads them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from guardrails.core.claims import OfferClaims
from guardrails.errors import CandidateError, ConflictError, GoneError
from guardrails.signing import ExpiredTokenError, SignatureError

__all__ = ["OfferTokens", "TokenChecked", "check_token"]


class OfferTokens(Protocol):
    """Reads offer tokens, as `signing.Tokens` does."""

    def read_offer(self, token: str, now: datetime) -> OfferClaims:
        """What a token says. Raises SignatureError or ExpiredTokenError."""

    def is_for(self, pseudonym: str, recipient: str) -> bool:
        """Whether the pseudonym of a token is this recipient's."""


class TokenChecked(msgspec.Struct, frozen=True):
    """What a token says, None where it is none of ours, and why it is not good, if so."""

    claims: OfferClaims | None
    refusal: CandidateError | None = None


def check_token(tokens: OfferTokens, token: str, *, recipient: str, now: datetime) -> TokenChecked:
    """Whether the token is good at `now` in the hands of this recipient.

    The refusal is a value, so that a request sent again is answered as the first time although its token has expired.
    """
    refusal: CandidateError | None = None
    try:
        claims = tokens.read_offer(token, now)
    except SignatureError as error:
        message = f"the token is no offer token of ours: {error}"
        return TokenChecked(None, CandidateError(message, problems=(("/token", str(error)),), code="token.invalid"))
    except ExpiredTokenError as error:
        claims, refusal = error.claims, GoneError(str(error), code="token.expired")
    if not tokens.is_for(claims.recipient, recipient):
        refusal = ConflictError("the offer token is another recipient's", code="token.other_recipient")
    return TokenChecked(claims, refusal)
