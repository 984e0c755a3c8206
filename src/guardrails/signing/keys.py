"""The keys of a service: Ed25519 for what others verify, and a secret for links, which only the service verifies.

    keys = SigningKeys.open(Path("guardrails-state/signing-keys.json"), now=now)
    keys.public().as_jwks()                          # what /.well-known/jwks.json answers

What signs is fixed when the keys are opened; what verifies is what their file holds now, retired keys included. So a
new key is known to every process before the first one that is started anew signs with it, and receipts and links
outlive the keys that signed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from joserfc.jwk import OKPKey

from guardrails.errors import SettingsError
from guardrails.signing.jwk import ALGORITHM, KeyPair, KeySet, public_jwk, public_key, thumbprint
from guardrails.signing.key_file import open_keys, read_keys

__all__ = ["PublicKeys", "SigningKeys"]

_ALGORITHMS = frozenset({None, ALGORITHM, "Ed25519"})


class PublicKeys:
    """Ed25519 keys to verify by: their public halves, by their ids."""

    def __init__(self, halves: Mapping[str, str]) -> None:
        self._halves = dict(halves)
        self._keys = {kid: public_key(x) for kid, x in halves.items()}

    @classmethod
    def from_jwks(cls, content: bytes) -> PublicKeys:
        """The keys of a JWK set, as somebody has published it; those for anything else are passed over.

        Raises ValueError where it is no JWK set, or where none of its keys is of use here.
        """
        published = _decode_set(content)
        keys = cls({key.id: key.x for key in published.keys if key.is_ours})
        if not keys._halves:
            raise ValueError("it holds no Ed25519 key for signatures")
        return keys

    def find(self, kid: str) -> OKPKey | None:
        """The key of this id."""
        return self._keys.get(kid)

    def as_jwks(self) -> dict[str, Any]:
        """The JWK set (RFC 7517) of them."""
        return {"keys": [public_jwk(kid, x) for kid, x in self._halves.items()]}


class SigningKeys:
    """What signs, and what verifies. Safe to use from several threads."""

    def __init__(self, keys: KeySet, path: Path | None = None) -> None:
        """`path`: the file that `keys` were read from, which is looked at again when something is verified."""
        self.current: KeyPair = keys.pairs[0]
        self.link_secret: bytes = keys.link_secrets[0].octets
        self.private_key = self.current.private_key()
        self._path = path
        self._accepted = _Accepted(keys, None)

    @classmethod
    def open(cls, path: Path, *, now: datetime) -> SigningKeys:
        """The keys in the file at `path`; it is made, with new keys, where there is none.

        Raises SettingsError that names the file where it can't be made or read, is open to others, or is damaged.
        """
        return cls(open_keys(path, lambda: KeySet.generate(now)), path)

    @classmethod
    def generate(cls, now: datetime) -> SigningKeys:
        """New keys that go with the process."""
        return cls(KeySet.generate(now))

    def public(self) -> PublicKeys:
        """What signatures verify by: every Ed25519 key of the file, the current one first."""
        return self._look().public

    def accepted_link_secrets(self) -> tuple[bytes, ...]:
        """What the links that come back may be signed with: every secret of the file, the current one first."""
        return self._look().link_secrets

    def refresh(self) -> None:
        """Read the file again if it is another than the one that was read last.

        Raises SettingsError where that can't be: what was read last is what verifies, until the file is mended.
        """
        if self._path is None:
            return
        mark = _mark(self._path)
        if mark is not None and mark == self._accepted.mark:
            return
        try:
            self._accepted = _Accepted(read_keys(self._path), mark)
        except FileNotFoundError:
            raise SettingsError(f"{self._path}: the signing keys are gone; put back a copy of them") from None

    def _look(self) -> _Accepted:
        with suppress(SettingsError):  # a worker's upkeep tells of it
            self.refresh()
        return self._accepted


class _Accepted:
    """What one state of the file verifies by, and the mark of that state, taken before it was read."""

    def __init__(self, keys: KeySet, mark: tuple[int, int, int] | None) -> None:
        self.mark = mark
        self.public = PublicKeys({pair.kid: pair.x for pair in keys.pairs})
        self.link_secrets = tuple(secret.octets for secret in keys.link_secrets)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What tells one state of the file from another: a change puts a new file in its place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class _Jwk(msgspec.Struct, frozen=True):
    """A key as others publish it; what it says beyond this is its own business."""

    kty: str
    crv: str | None = None
    x: str = ""
    kid: str | None = None
    use: str | None = None
    alg: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is an Ed25519 key for signatures."""
        return (self.kty, self.crv) == ("OKP", "Ed25519") and self.use in {None, "sig"} and self.alg in _ALGORITHMS

    @property
    def id(self) -> str:
        """What tokens name it by. Raises ValueError where it is not whole."""
        return self.kid or thumbprint(self.x)


class _JwkSet(msgspec.Struct, frozen=True):
    keys: tuple[_Jwk, ...]


_decode_set = msgspec.json.Decoder(_JwkSet).decode
