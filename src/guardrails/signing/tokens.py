"""The tokens that an allow carries: of its offer and of its attribution, each a JWS (`signing.jws`) of its own type.

    tokens = Tokens(keys)
    token = tokens.offer(OfferClaims(...))
    claims = tokens.read_offer(token, now)       # SignatureError: not one of ours; ExpiredTokenError: too old
    tokens.is_for(claims.recipient, "r-42")      # whether it is that recipient's

Whoever has the public keys can verify one; whose it is only the service can tell. A recipient's pseudonym is an HMAC of
their id by a key that is derived (HKDF, RFC 5869) from the secret of links; one by a retired secret stays good as long
as that is accepted. That a token is redeemed once is for the store of redemptions to hold.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous.encoding import base64_encode

from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.errors import CandidateError
from guardrails.signing.jws import SignatureError, Signer, verified_payload
from guardrails.signing.keys import SigningKeys

__all__ = ["ATTRIBUTION_TYPE", "OFFER_TYPE", "ExpiredTokenError", "Tokens"]

OFFER_TYPE = "offer+jws"
ATTRIBUTION_TYPE = "attribution+jws"

PSEUDONYM_BYTES = 16
"""Of an HMAC-SHA256: 22 letters in base64url, and no two of 2**64 recipients are likely to share one."""

TOKEN_ID_BYTES = 12

_Claims = TypeVar("_Claims", OfferClaims, AttributionClaims)
_encoder = msgspec.json.Encoder()
_decode_offer = msgspec.json.Decoder(OfferClaims).decode
_decode_attribution = msgspec.json.Decoder(AttributionClaims).decode


class ExpiredTokenError(CandidateError):
    """An offer token is ours and unaltered, and its time is over. `claims` are what it said."""

    def __init__(self, claims: OfferClaims) -> None:
        super().__init__(f"the offer token expired at {claims.expires_at.isoformat()}")
        self.claims = claims


class Tokens:
    """Makes tokens by the current keys, and reads those by any that are still accepted. Safe to use from threads."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._pseudonyms = _derived(keys.link_secret, b"guardrails.pseudonym.1")
        self._token_ids = _derived(keys.link_secret, b"guardrails.token-id.1")
        self._offers = Signer(OFFER_TYPE, keys)
        self._attributions = Signer(ATTRIBUTION_TYPE, keys)

    def pseudonym(self, recipient: str) -> str:
        """What tokens call the recipient: the same each time, until the secret of links is another."""
        return _keyed(self._pseudonyms, recipient, PSEUDONYM_BYTES)

    def token_id(self, decision_id: str) -> str:
        """The id of the offer token of this decision, of which there is one. Made again it is the same."""
        return _keyed(self._token_ids, decision_id, TOKEN_ID_BYTES)

    def offer(self, claims: OfferClaims) -> str:
        """The token of these claims."""
        return self._offers.sign(_encoder.encode(claims))

    def attribution(self, claims: AttributionClaims) -> str:
        """The token of these claims."""
        return self._attributions.sign(_encoder.encode(claims))

    def read_offer(self, token: str, now: datetime) -> OfferClaims:
        """What an offer token says. Raises SignatureError that says why it is none of ours, or ExpiredTokenError."""
        claims = self._read(token, OFFER_TYPE, _decode_offer)
        if now.timestamp() >= claims.expires_at_seconds:
            raise ExpiredTokenError(claims)
        return claims

    def read_attribution(self, token: str) -> AttributionClaims:
        """What an attribution token says; it has no end of its own. Raises SignatureError."""
        return self._read(token, ATTRIBUTION_TYPE, _decode_attribution)

    def is_for(self, pseudonym: str, recipient: str) -> bool:
        """Whether the pseudonym of a token is this recipient's, by any secret that is still accepted."""
        told = pseudonym.encode()
        known = (
            _keyed(_derived(secret, b"guardrails.pseudonym.1"), recipient, PSEUDONYM_BYTES)
            for secret in self._keys.accepted_link_secrets()
        )
        return any(hmac.compare_digest(told, each.encode()) for each in known)

    def _read(self, token: str, typ: str, decode: Callable[[bytes], _Claims]) -> _Claims:
        payload = verified_payload(token, typ, self._keys.public())
        try:
            return decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SignatureError(f"what is signed is not what such a token says: {error}") from error


@lru_cache(maxsize=64)
def _derived(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), SHA256.digest_size, salt=None, info=info).derive(secret)


def _keyed(key: bytes, text: str, size: int) -> str:
    return base64_encode(hmac.digest(key, text.encode(), hashlib.sha256)[:size]).decode()
