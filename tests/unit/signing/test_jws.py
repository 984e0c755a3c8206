"""Signing, and every attempt to pass off what was not signed. Independent of joserfc: RFC 7515 by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import UnsupportedAlgorithmError

from guardrails.signing import PublicKeys, SignatureError, SigningKeys, jws, sign, verify
from guardrails.signing.key_file import change_keys

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS, OTHERS = SigningKeys.generate(NOW), SigningKeys.generate(NOW)
TYPE = "thing+jws"
PAYLOAD = {"id": "consent-1", "text": "Größe", "list": [1, 2]}
TOKEN = sign(PAYLOAD, TYPE, KEYS)


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(**more):
    return {"alg": "EdDSA", "kid": KEYS.current.kid, "typ": TYPE} | more


def token(said, payload=PAYLOAD, *, key=None, signature=None):
    """A JWS by hand, by the service's own key unless another key or signature is given."""
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = f"{b64(said if isinstance(said, bytes) else json.dumps(said).encode())}.{b64(content)}"
    if signature is None:
        key = key or Ed25519PrivateKey.from_private_bytes(unb64(KEYS.current.d))
        signature = key.sign(signed.encode())
    return f"{signed}.{b64(signature)}"


def by_secret(secret, **more):
    signed = f"{b64(json.dumps(header(alg='HS256', **more)).encode())}.{b64(json.dumps(PAYLOAD).encode())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def test_another_implementation_verifies_what_was_signed():
    head, payload, signature = TOKEN.split(".")
    public = Ed25519PublicKey.from_public_bytes(unb64(KEYS.public().as_jwks()["keys"][0]["x"]))
    public.verify(unb64(signature), f"{head}.{payload}".encode())
    assert json.loads(unb64(head)) == {"alg": "EdDSA", "kid": KEYS.current.kid, "typ": TYPE}
    assert json.loads(unb64(payload)) == PAYLOAD


def test_what_another_implementation_signed_with_the_key_is_verified():
    assert verify(token(header()), TYPE, KEYS.public()) == PAYLOAD


def test_a_signature_outlives_the_key_that_made_it(tmp_path):
    path = tmp_path / "keys.json"
    signed = sign(PAYLOAD, TYPE, SigningKeys.open(path, now=NOW))
    change_keys(path, lambda keys: keys.rotated(NOW))
    rotated = SigningKeys.open(path, now=NOW)
    assert verify(signed, TYPE, rotated.public()) == PAYLOAD
    assert verify(sign(PAYLOAD, TYPE, rotated), TYPE, rotated.public()) == PAYLOAD


PUBLIC = unb64(KEYS.current.x)
ATTEMPTS = {
    "empty": "",
    "no JWS": "hello",
    "two parts": TOKEN.rpartition(".")[0],
    "four parts": f"{TOKEN}.e30",
    "five parts, as an encrypted one has": "e30.e30.e30.e30.e30",
    "no signature": TOKEN.rpartition(".")[0] + ".",
    "alg none, unsigned": token(header(alg="none"), signature=b""),
    "alg none, signed": token(header(alg="none")),
    "alg None": token(header(alg="None"), signature=b""),
    "the public key as the secret of an HMAC": by_secret(PUBLIC),
    "its text as the secret of an HMAC": by_secret(KEYS.current.x.encode()),
    "the link secret": by_secret(KEYS.link_secret),
    "the algorithm's newer name": token(header(alg="Ed25519")),
    "an algorithm of another key": token(header(alg="ES256")),
    "an algorithm that is a list": token(header(alg=["EdDSA"])),
    "no algorithm": token({"kid": KEYS.current.kid, "typ": TYPE}),
    "another type": token(header(typ="other+jws")),
    "no type": token({"alg": "EdDSA", "kid": KEYS.current.kid}),
    "no key id": token({"alg": "EdDSA", "typ": TYPE}),
    "an unknown key": sign(PAYLOAD, TYPE, OTHERS),
    "another's key under our id": token(header(), key=Ed25519PrivateKey.generate()),
    "a key id that is a list": token(header(kid=[KEYS.current.kid])),
    "a key of its own in the header": token(
        header(jwk=OTHERS.public().as_jwks()["keys"][0]),
        key=Ed25519PrivateKey.from_private_bytes(unb64(OTHERS.current.d)),
    ),
    "a place to fetch keys from": token(header(jku="https://example.org/jwks.json")),
    "a critical extension": token(header(crit=["exp"], exp=1)),
    "an unencoded payload (RFC 7797)": token(header(b64=False, crit=["b64"])),
    "a header that is a list": token(b"[]"),
    "a header that is a text": token(b'"alg"'),
    "a header that is no JSON": token(b"{"),
    "a header that is no UTF-8": token(b"\xff"),
    "a payload that is no object": token(header(), [PAYLOAD]),
    "a payload that is no JSON": token(header(), b"{"),
    "a detached payload": TOKEN.partition(".")[0] + ".." + TOKEN.rpartition(".")[2],
    "another payload": ".".join([TOKEN.split(".")[0], b64(b'{"id":"consent-2"}'), TOKEN.split(".")[2]]),
    "a padded signature": TOKEN + "==",
    "letters that base64 passes over": TOKEN + "!",
    "a line break": TOKEN + "\n",
    "letters beyond ASCII": TOKEN + "é",
    "half a surrogate": TOKEN + "\ud800",
    "a header that is no base64": "A." + TOKEN.partition(".")[2],
    "a long header": token(header(more="x" * 5000)),
    "a long signed payload": token(header(), {"text": "x" * 3_000_000}),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_whatever_else_is_refused(attempt):
    with pytest.raises(SignatureError):
        verify(attempt, TYPE, KEYS.public())


def test_no_letter_of_a_token_can_be_another():
    for place in range(len(TOKEN)):
        for letter in "AQgw.-":
            if letter != TOKEN[place]:
                with pytest.raises(SignatureError):
                    verify(TOKEN[:place] + letter + TOKEN[place + 1 :], TYPE, KEYS.public())


@given(text=st.text(max_size=200))
def test_no_text_makes_it_fail_otherwise(text):
    with pytest.raises(SignatureError):
        verify(text, TYPE, KEYS.public())


@given(
    head=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(KEYS.current.kid) | st.just(TYPE),
    )
)
def test_no_header_makes_it_fail_otherwise(head):
    with pytest.raises(SignatureError):
        verify(token(head), TYPE, KEYS.public())


HEADER_FORM = (
    "it is no JWS of ours: its first part has to be the base64url of a JSON object with `alg`, `kid` and `typ` alone"
)


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        ("another type", "its type is `other+jws`, and not `thing+jws`"),
        ("an unknown key", f"it was signed with key `{OTHERS.current.kid}`, which is not among the published ones"),
        ("another payload", "its signature is not by the key that it names: it was altered, or forged"),
        ("no JWS", "it is no JWS: it has to be three parts in base64url, with dots between them"),
        ("a header that is no base64", HEADER_FORM),
        ("a long signed payload", "it is no JWS: it has to be three parts in base64url, with dots between them"),
        ("alg none, signed", "its algorithm is `none`, and ours is `EdDSA`"),
        ("a payload that is no object", "what is signed is no JSON object: Expected `object`, got `array`"),
    ],
)
def test_a_refusal_says_what_is_wrong(attempt, said):
    with pytest.raises(SignatureError) as refused:
        verify(ATTEMPTS[attempt], TYPE, KEYS.public())
    assert str(refused.value) == said


def test_as_much_as_a_receipt_may_hold_is_signed_and_verified():
    large = {"text": "x" * 1_400_000}
    assert verify(sign(large, TYPE, KEYS), TYPE, KEYS.public()) == large


def test_nothing_verifies_by_no_keys():
    with pytest.raises(SignatureError, match="not among the published ones"):
        verify(TOKEN, TYPE, PublicKeys({}))


@pytest.mark.parametrize("name", ["none", "HS256", "RS256", "ES256", "Ed25519", "eddsa", ""])
def test_no_other_algorithm_is_even_known(name):
    with pytest.raises(UnsupportedAlgorithmError):
        jws._registry.get_alg(name)
