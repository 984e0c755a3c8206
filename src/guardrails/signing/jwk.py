"""JSON Web Keys (RFC 7517, 8037) as this service has them: Ed25519 pairs and link secrets, checked as they are read.

    {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "...", "x": "...", "d": "...", "created_at": "2026-11-22T..."},
              {"kty": "oct", "kid": "...", "k": "...", "created_at": "2026-11-22T..."}]}

A key's id is its thumbprint (RFC 7638). Of each sort the first in a set is the current one, which signs; the others are
retired and only verify. A retired pair has lost its private half, `d`.
"""

from __future__ import annotations

import binascii
import secrets
from datetime import datetime
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from itsdangerous.encoding import base64_encode
from joserfc.jwk import OctKey, OKPKey
from msgspec import UNSET, UnsetType

__all__ = ["ALGORITHM", "KeyPair", "KeySet", "LinkSecret", "public_jwk", "public_key", "thumbprint"]

ALGORITHM = "EdDSA"
KEY_OCTETS = 32


class KeyPair(msgspec.Struct, frozen=True, kw_only=True, tag_field="kty", tag="OKP"):
    """An Ed25519 key; `d` is its private half, which a retired one has no more. Raises ValueError."""

    kid: str
    created_at: datetime
    x: str
    d: str | UnsetType = UNSET
    crv: Literal["Ed25519"] = "Ed25519"

    def __post_init__(self) -> None:
        """Check that the halves belong together; msgspec turns a ValueError into one of its own, with the path."""
        if self.d is not UNSET and _public_half(_octets(self.d)) != self.x:
            raise ValueError("`x` and `d` are of different keys")
        if self.kid != thumbprint(self.x):
            raise ValueError("`kid` is not the key's thumbprint")

    def __repr__(self) -> str:
        """Without the private half: it must not get into a log."""
        return f"KeyPair({self.kid!r})"

    @classmethod
    def generate(cls, now: datetime) -> KeyPair:
        """A new one."""
        private = Ed25519PrivateKey.generate().private_bytes_raw()
        x = _public_half(private)
        kid = thumbprint(x)
        return cls.generate(now) if _is_like_an_option(kid) else cls(kid=kid, created_at=now, x=x, d=_text(private))

    def private_key(self) -> OKPKey:
        """What signs. Raises ValueError for a retired one."""
        return OKPKey.import_key({"kty": "OKP", "crv": self.crv, "x": self.x, "d": _text(self.private_octets())})

    def private_octets(self) -> bytes:
        """The private half. Raises ValueError for a retired one."""
        if self.d is UNSET:
            raise ValueError(f"key `{self.kid}` is retired")
        return _octets(self.d)

    def retired(self) -> KeyPair:
        """The same without its private half."""
        return msgspec.structs.replace(self, d=UNSET)


class LinkSecret(msgspec.Struct, frozen=True, kw_only=True, tag_field="kty", tag="oct"):
    """A secret of 32 random octets, from which the links' own keys are derived. Raises ValueError."""

    kid: str
    created_at: datetime
    k: str

    def __post_init__(self) -> None:
        """Check that it is whole."""
        _octets(self.k)
        if self.kid != _secret_thumbprint(self.k):
            raise ValueError("`kid` is not the key's thumbprint")

    def __repr__(self) -> str:
        """Without the secret: it must not get into a log."""
        return f"LinkSecret({self.kid!r})"

    @classmethod
    def generate(cls, now: datetime) -> LinkSecret:
        """A new one."""
        k = _text(secrets.token_bytes(KEY_OCTETS))
        kid = _secret_thumbprint(k)
        return cls.generate(now) if _is_like_an_option(kid) else cls(kid=kid, created_at=now, k=k)

    @property
    def octets(self) -> bytes:
        """The secret itself."""
        return _octets(self.k)


class KeySet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a keys file holds. Raises ValueError where nothing in it could sign."""

    keys: tuple[KeyPair | LinkSecret, ...]

    def __post_init__(self) -> None:
        """Check that there is a current key of each sort, and none twice."""
        if not self.pairs or self.pairs[0].d is UNSET:
            raise ValueError("the first key of kty OKP must have its private half, `d`")
        if not self.link_secrets:
            raise ValueError("there is no key of kty oct, for links")
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("one key is there twice")

    @classmethod
    def generate(cls, now: datetime) -> KeySet:
        """A new set: one key of each sort."""
        return cls((KeyPair.generate(now), LinkSecret.generate(now)))

    @property
    def pairs(self) -> tuple[KeyPair, ...]:
        """The Ed25519 keys, the current one first."""
        return tuple(key for key in self.keys if isinstance(key, KeyPair))

    @property
    def link_secrets(self) -> tuple[LinkSecret, ...]:
        """The secrets of links, the current one first."""
        return tuple(key for key in self.keys if isinstance(key, LinkSecret))

    def rotated(self, now: datetime) -> KeySet:
        """The set with a new key of each sort in front, and the former ones retired."""
        retired = (key.retired() if isinstance(key, KeyPair) else key for key in self.keys)
        return KeySet((KeyPair.generate(now), LinkSecret.generate(now), *retired))

    def without(self, kid: str) -> KeySet:
        """The set without a retired key. Raises ValueError where it is none of these."""
        found = next((key for key in self.keys if key.kid == kid), None)
        if found is None:
            raise ValueError(f"there is no key `{kid}`")
        if self.is_current(found):
            raise ValueError(f"key `{kid}` signs now; rotate first")
        return KeySet(tuple(key for key in self.keys if key is not found))

    def is_current(self, key: KeyPair | LinkSecret) -> bool:
        """Whether it signs."""
        return key in (self.pairs[0], self.link_secrets[0])


def public_key(x: str) -> OKPKey:
    """The key whose public half is `x`. Raises ValueError."""
    _octets(x)
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})


def public_jwk(kid: str, x: str) -> dict[str, str]:
    """What everybody may know of a key, as a JWK."""
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": ALGORITHM}


def thumbprint(x: str) -> str:
    """The RFC 7638 thumbprint of the key whose public half is `x`. Raises ValueError."""
    return public_key(x).thumbprint()


def _octets(text: str) -> bytes:
    """The 32 octets that base64url without padding spells. Raises ValueError."""
    try:
        octets = binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=", strict_mode=True)
    except ValueError:
        octets = b""
    if len(octets) != KEY_OCTETS or _text(octets) != text:
        raise ValueError(f"a key is not {KEY_OCTETS} octets in base64url")
    return octets


def _is_like_an_option(kid: str) -> bool:
    """Whether it couldn't be typed on a command line; one in 64 begins so."""
    return kid.startswith("-")


def _text(octets: bytes) -> str:
    return base64_encode(octets).decode()


def _public_half(private: bytes) -> str:
    return _text(Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def _secret_thumbprint(k: str) -> str:
    return OctKey.import_key({"kty": "oct", "k": k}).thumbprint()
