"""Signing: the keys of a service, what they sign for others (JWS), and the links that come back from recipients."""

from __future__ import annotations

from guardrails.signing.jws import SignatureError, sign, verify
from guardrails.signing.keys import PublicKeys, SigningKeys
from guardrails.signing.links import ConfirmationLink, LinkError, Links, PageLink, UnsubscribeLink

__all__ = [
    "ConfirmationLink",
    "LinkError",
    "Links",
    "PageLink",
    "PublicKeys",
    "SignatureError",
    "SigningKeys",
    "UnsubscribeLink",
    "sign",
    "verify",
]
