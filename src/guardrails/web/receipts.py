"""The room of receipts: what a recipient agreed to, signed, and the keys that anybody verifies it by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from guardrails.consent.receipts import Receipt, Receipts
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route, path_id

__all__ = ["ReceiptRoom"]

JWK_SET = "application/jwk-set+json"

KEYS_SECONDS = 300
"""So long may anybody keep the keys: a key is published for longer than that before it signs (docs/operations.md)."""

CACHED = (("Cache-Control", f"public, max-age={KEYS_SECONDS}"),)

_encoder = msgspec.json.Encoder()


class Jwk(msgspec.Struct, frozen=True):
    """A public Ed25519 key (RFC 8037). `kid`, its thumbprint (RFC 7638), is what signatures name."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class JwkSet(msgspec.Struct, frozen=True):
    """A JWK set (RFC 7517): the key that signs now, and those that did."""

    keys: tuple[Jwk, ...]


class ReceiptRoom:
    """The handlers."""

    def __init__(self, receipts: Receipts, clock: Callable[[], datetime]) -> None:
        self._receipts = receipts
        self._clock = clock

    def issue(self, exchange: Exchange, consent_id: str) -> Reply:
        """`GET /v1/consents/{consent_id}/receipt`."""
        receipt = self._receipts.issue(path_id(consent_id), now=exchange.now(self._clock))
        return Reply(200, _encoder.encode(receipt))

    def keys(self, exchange: Exchange) -> Reply:
        """`GET /.well-known/jwks.json`."""
        del exchange
        return Reply(200, _encoder.encode(self._receipts.jwks()), JWK_SET, CACHED)

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="GET",
                path="/v1/consents/{consent_id}/receipt",
                handler=self.issue,
                name="issue_receipt",
                tag="consents",
                summary="The receipt for one consent record, signed",
                description="The fields of ISO/IEC TS 27560:2023 as JSON-LD, in the words of W3C's DPV, with all that "
                "became of the consent until now; and the same as a compact JWS (Ed25519), verified by the keys "
                "at `/.well-known/jwks.json`.",
                scope="consent:read",
                gives=Receipt,
                problems=("unavailable",),
                example=EXAMPLE,
            ),
            Route(
                method="GET",
                path="/.well-known/jwks.json",
                handler=self.keys,
                name="jwks",
                tag="consents",
                summary="The keys that receipts and tokens are verified by, as a JWK set",
                description=f"They may be kept for {KEYS_SECONDS} seconds. Where a `kid` is not among them, ask again.",
                headers={"Cache-Control": "how long the keys may be kept"},
                scope=None,
                for_recipients=True,
                gives=JwkSet,
                answers=JWK_SET,
            ),
        )


EXAMPLE: dict[str, Any] = {
    "receipt": {
        "@context": {"dct": "http://purl.org/dc/terms/", "dpv": "https://w3id.org/dpv#"},
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": "4f9c1a7be20d43f1a8a5b3a0c1f7e6d2",
        "dct:created": "2026-11-22T12:00:00Z",
        "dpv:hasRecordOfActivity": {
            "@type": "dpv:ConsentRecord",
            "dct:identifier": "consent-1",
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": "r-42"},
            "dpv:hasConsentStatus": [
                {
                    "@type": ["dpv:ConsentGiven", "dpv:ExpressedConsent"],
                    "dct:identifier": "consent-1",
                    "dpv:isIndicatedAtTime": "2026-11-20T08:30:00Z",
                    "dpv:isIndicatedBy": "dpv:DataSubject",
                    "dpv:hasIndicationMethod": "settings_screen",
                }
            ],
        },
    },
    "jws": "eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiIsInR5cCI6ImNvbnNlbnQtcmVjZWlwdCtqd3MifQ.eyIuLi4iOiIuLi4ifQ.c2ln",
}
