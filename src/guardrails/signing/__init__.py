"""Signing: a service's keys, what they sign for others (JWS, tokens), and the links that come back from recipients."""

from __future__ import annotations

from guardrails.signing.jws import SignatureError, sign, verify
from guardrails.signing.keys import PublicKeys, SigningKeys
from guardrails.signing.links import ConfirmationLink, LinkError, Links, PageLink, UnsubscribeLink
from guardrails.signing.tokens import ExpiredTokenError, Tokens

__all__ = [
    "ConfirmationLink",
    "ExpiredTokenError",
    "LinkError",
    "Links",
    "PageLink",
    "PublicKeys",
    "SignatureError",
    "SigningKeys",
    "Tokens",
    "UnsubscribeLink",
    "sign",
    "verify",
]
