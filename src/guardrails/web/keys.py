"""Who calls: finds the configured key that a request presents. Every comparison takes the same time."""

from __future__ import annotations

import hashlib
import hmac

from guardrails.settings import Key
from guardrails.web.problems import Refusal

__all__ = ["Keyring"]

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="guardrails"'),)
_LONGEST_KEY = 512


class Keyring:
    """The configured keys."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = tuple((bytes.fromhex(key.sha256), key) for key in keys)

    def find(self, authorization: str | None) -> Key:
        """The key that an `Authorization` header presents. Raises Refusal (401)."""
        scheme, _, presented = (authorization or "").partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented or len(presented) > _LONGEST_KEY:
            raise Refusal("unauthenticated", "no `Authorization: Bearer <key>` header was sent", headers=_CHALLENGE)
        digest = hashlib.sha256(presented.encode()).digest()
        found = None
        for known, key in self._keys:  # never stops early: the time it takes says nothing about which key it was
            if hmac.compare_digest(known, digest):
                found = key
        if found is None:
            raise Refusal("unauthenticated", "the key is not known", headers=_CHALLENGE)
        return found
