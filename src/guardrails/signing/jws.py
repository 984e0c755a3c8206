"""JWS (RFC 7515) in its compact form, signed with Ed25519 and nothing else.

    token = sign({"id": "consent-1"}, "consent-receipt+jws", keys)
    payload = verify(token, "consent-receipt+jws", keys.public())    # or SignatureError

Nothing in a token chooses how it is verified (RFC 8725): the algorithm is fixed, the key is looked up among ours by its
id, and the type must be the one that is wanted, so that what was signed for one use passes for no other.
"""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError

from guardrails.errors import CandidateError
from guardrails.policyfile.problems import quote
from guardrails.signing.jwk import ALGORITHM
from guardrails.signing.keys import PublicKeys, SigningKeys

__all__ = ["SignatureError", "Signer", "sign", "verified_payload", "verify"]

TOKEN_MOST = 2_000_000
"""Characters of a token that is looked at; the longest that is ever made has fewer."""

_DOTS = 2


class SignatureError(CandidateError):
    """A token is no JWS of ours: malformed, of another type, signed by none of the keys, or altered since."""


class _OneAlgorithm(jws.JWSRegistry):
    """Knows `EdDSA` only, the name that every verifier knows. RFC 9864 has a newer one, which joserfc warns to use."""

    max_payload_length = TOKEN_MOST

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - joserfc keeps the name of the type to itself
        """The algorithm of this name. Raises UnsupportedAlgorithmError."""
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not supported")
        return self.algorithms[name]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a header of ours says; one that says more was not made here, whoever signed it."""

    alg: str
    kid: str
    typ: str


_registry = _OneAlgorithm()
_decode_header = msgspec.json.Decoder(_Header).decode


def sign(payload: dict[str, Any], typ: str, keys: SigningKeys) -> str:
    """The payload as a compact JWS of this type, by the current key."""
    header = {"alg": ALGORITHM, "kid": keys.current.kid, "typ": typ}
    return jws.serialize_compact(header, msgspec.json.encode(payload), keys.private_key, registry=_registry)


class Signer:
    """Signs what is small and many, all of one type, by the current key: what all of them have is made ahead."""

    def __init__(self, typ: str, keys: SigningKeys) -> None:
        header = {"alg": ALGORITHM, "kid": keys.current.kid, "typ": typ}
        self._head = base64_encode(msgspec.json.encode(header)) + b"."
        self._key = Ed25519PrivateKey.from_private_bytes(keys.current.private_octets())

    def sign(self, payload: bytes) -> str:
        """The payload as a compact JWS: the same each time, as Ed25519 draws no lots."""
        signed = self._head + base64_encode(payload)
        return (signed + b"." + base64_encode(self._key.sign(signed))).decode()


def verify(token: str, typ: str, keys: PublicKeys) -> dict[str, Any]:
    """The payload of a compact JWS of this type that one of `keys` signed. Raises SignatureError that says why not."""
    try:
        return msgspec.json.decode(verified_payload(token, typ, keys), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SignatureError(f"what is signed is no JSON object: {error}") from error


def verified_payload(token: str, typ: str, keys: PublicKeys) -> bytes:
    """The bytes that a compact JWS of this type signs, by one of `keys`. Raises SignatureError that says why not."""
    header = _header(token)
    if header.typ != typ:
        raise SignatureError(f"its type is `{header.typ}`, and not `{typ}`")
    key = keys.find(header.kid)
    if key is None:
        raise SignatureError(f"it was signed with key `{header.kid}`, which is not among the published ones")
    try:
        return jws.deserialize_compact(token, key, registry=_registry).payload
    except JoseError as error:
        raise SignatureError("its signature is not by the key that it names: it was altered, or forged") from error


def _header(token: str) -> _Header:
    """The header. Raises SignatureError where it isn't one of ours."""
    if len(token) > TOKEN_MOST or not token.isascii() or token.count(".") != _DOTS:
        raise SignatureError("it is no JWS: it has to be three parts in base64url, with dots between them")
    try:
        header = _decode_header(base64_decode(token.partition(".")[0]))
    except (BadData, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SignatureError(
            "it is no JWS of ours: its first part has to be the base64url of a JSON object with `alg`, `kid` and `typ` "
            "alone"
        ) from error
    if header.alg != ALGORITHM:
        raise SignatureError(f"its algorithm is {quote(header.alg)}, and ours is `{ALGORITHM}`")
    return header
