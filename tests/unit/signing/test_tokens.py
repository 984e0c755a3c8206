"""The tokens of an allow: what they say, how long they are, and every attempt to pass off another."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.signing import ExpiredTokenError, SignatureError, SigningKeys, Tokens, sign
from guardrails.signing.key_file import change_keys
from guardrails.signing.tokens import ATTRIBUTION_TYPE, OFFER_TYPE

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEYS, OTHERS = SigningKeys.generate(NOW), SigningKeys.generate(NOW)
TOKENS = Tokens(KEYS)
OFFER_MOST = 700
"""Bytes of an offer token: small enough beside the rest of a push payload, which may have 4,096 (APNs, FCM)."""

CLAIMS = OfferClaims(
    offer="upgrade-premium",
    recipient=TOKENS.pseudonym("r-1"),
    amount_minor=1250,
    currency="EUR",
    decision_id="0199ab12cd34" + "e" * 20,
    expires_at_seconds=int((NOW + timedelta(hours=2)).timestamp()),
    token_id=TOKENS.token_id("0199ab12cd34" + "e" * 20),
)
TOKEN = TOKENS.offer(CLAIMS)
LONGEST = OfferClaims(
    offer="~" * 64,
    recipient=CLAIMS.recipient,
    amount_minor=2**53,
    currency="EUR",
    decision_id="f" * 32,
    expires_at_seconds=int(datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()),
    token_id=CLAIMS.token_id,
)
ATTRIBUTION = AttributionClaims(
    decision_id=CLAIMS.decision_id,
    audit_index=1_000_000,
    lane="monetized",
    evaluated_at_ms=int(NOW.timestamp() * 1000) + 125,
    policy_revision="sha256:" + "0" * 64,
    recipient=CLAIMS.recipient,
    campaign="autumn",
    sponsor="acme",
    offer="upgrade-premium",
    affiliate="partner",
    arm="b",
    benefit_bps=500,
    affiliate_bps=1000,
)


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def payload(**other):
    return msgspec.to_builtins(CLAIMS) | other


def by_hand(head, said, *, key=None):
    signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(said).encode())}"
    key = key or Ed25519PrivateKey.from_private_bytes(unb64(KEYS.current.d))
    return f"{signed}.{b64(key.sign(signed.encode()))}"


def header(**other):
    return {"alg": "EdDSA", "kid": KEYS.current.kid, "typ": OFFER_TYPE} | other


def by_secret(secret):
    signed = f"{b64(json.dumps(header(alg='HS256')).encode())}.{b64(json.dumps(payload()).encode())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def flattened(token):
    protected, said, signature = token.split(".")
    return json.dumps({"payload": said, "protected": protected, "signature": signature})


def general(token):
    protected, said, signature = token.split(".")
    return json.dumps({"payload": said, "signatures": [{"protected": protected, "signature": signature}]})


def test_an_offer_token_says_what_it_was_made_of():
    assert TOKENS.read_offer(TOKEN, NOW) == CLAIMS
    assert CLAIMS.expires_at == NOW + timedelta(hours=2)


def test_an_attribution_token_says_what_it_was_made_of():
    assert TOKENS.read_attribution(TOKENS.attribution(ATTRIBUTION)) == ATTRIBUTION
    assert ATTRIBUTION.evaluated_at == NOW + timedelta(milliseconds=125)


def test_what_a_candidate_has_none_of_takes_no_room_in_its_token():
    bare = AttributionClaims(
        decision_id="d-1", audit_index=0, lane="monetized", evaluated_at_ms=1, policy_revision="v", recipient="r"
    )
    assert msgspec.to_builtins(bare) == {"d": "d-1", "i": 0, "l": "monetized", "t": 1, "v": "v", "r": "r"}
    assert TOKENS.read_attribution(TOKENS.attribution(bare)) == bare


def test_the_same_claims_make_the_same_token():
    assert Tokens(KEYS).offer(CLAIMS) == TOKEN


def test_another_implementation_verifies_a_token_by_the_published_keys():
    (published,) = KEYS.public().as_jwks()["keys"]
    head, said, signature = TOKEN.split(".")
    Ed25519PublicKey.from_public_bytes(unb64(published["x"])).verify(unb64(signature), f"{head}.{said}".encode())
    assert json.loads(unb64(head)) == header()
    assert json.loads(unb64(said)) == {
        "o": "upgrade-premium",
        "r": CLAIMS.recipient,
        "a": 1250,
        "c": "EUR",
        "d": CLAIMS.decision_id,
        "e": CLAIMS.expires_at_seconds,
        "j": CLAIMS.token_id,
    }


def test_the_longest_offer_token_is_small_enough_for_a_push_payload():
    longest = TOKENS.offer(LONGEST)
    assert len(longest.encode()) == 481
    assert len(longest.encode()) <= OFFER_MOST
    assert len(TOKEN.encode()) == 400
    assert TOKENS.read_offer(longest, NOW) == LONGEST


ATTEMPTS = {
    "empty": "",
    "truncated by a letter": TOKEN[:-1],
    "truncated to its payload": TOKEN.rpartition(".")[0],
    "without its signature": TOKEN.rpartition(".")[0] + ".",
    "another amount, the old signature": ".".join(
        [TOKEN.split(".")[0], b64(json.dumps(payload(a=1)).encode()), TOKEN.split(".")[2]]
    ),
    "alg none, unsigned": f"{b64(json.dumps(header(alg='none')).encode())}.{TOKEN.split('.')[1]}.",
    "alg none, signed": by_hand(header(alg="none"), payload()),
    "alg HS256 by the public key": by_secret(unb64(KEYS.current.x)),
    "alg HS256 by the public key's text": by_secret(KEYS.current.x.encode()),
    "alg HS256 by the secret of links": by_secret(KEYS.link_secret),
    "the algorithm's newer name": by_hand(header(alg="Ed25519"), payload()),
    "of another type: attribution": TOKENS.attribution(ATTRIBUTION),
    "the claims of an offer as another type": sign(payload(), ATTRIBUTION_TYPE, KEYS),
    "the claims of an attribution as this type": sign(msgspec.to_builtins(ATTRIBUTION), OFFER_TYPE, KEYS),
    "the key of nobody": Tokens(OTHERS).offer(CLAIMS),
    "another's key under our id": by_hand(header(), payload(), key=Ed25519PrivateKey.generate()),
    "a key of its own in the header": by_hand(header(jwk=OTHERS.public().as_jwks()["keys"][0]), payload()),
    "a critical extension": by_hand(header(crit=["exp"], exp=1), payload()),
    "JSON serialization, flattened": flattened(TOKEN),
    "JSON serialization, general": general(TOKEN),
    "a padded signature": TOKEN + "==",
    "a line break": TOKEN + "\n",
    "a space before it": " " + TOKEN,
    "letters beyond ASCII": TOKEN + "é",
    "signed, and one claim too few": sign(
        {key: value for key, value in payload().items() if key != "e"}, OFFER_TYPE, KEYS
    ),
    "signed, and one claim too many": sign(payload(z=1), OFFER_TYPE, KEYS),
    "signed, and an amount that is a text": sign(payload(a="1250"), OFFER_TYPE, KEYS),
    "signed, and an amount that is no integer": sign(payload(a=12.5), OFFER_TYPE, KEYS),
    "signed, and no JSON": TOKENS._offers.sign(b"{"),
    "signed, and no UTF-8": TOKENS._offers.sign(b'"\xff"'),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_what_is_no_token_of_an_offer_is_refused(attempt):
    with pytest.raises(SignatureError):
        TOKENS.read_offer(attempt, NOW)


def test_a_token_that_is_altered_in_any_byte_is_refused():
    for place, letter in enumerate(TOKEN):
        for other in {chr(ord(letter) ^ 1), chr(ord(letter) ^ 32), "A", "_", "."} - {letter}:
            with pytest.raises(SignatureError):
                TOKENS.read_offer(TOKEN[:place] + other + TOKEN[place + 1 :], NOW)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_the_last_letter_of_no_part_can_be_another_even_where_base64_reads_the_same(part):
    parts = TOKEN.split(".")
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if letter != parts[part][-1]:
            with pytest.raises(SignatureError):
                TOKENS.read_offer(".".join([*parts[:part], parts[part][:-1] + letter, *parts[part + 1 :]]), NOW)


def test_a_token_is_good_until_the_instant_it_ends_at():
    last = CLAIMS.expires_at - timedelta(microseconds=1)
    assert TOKENS.read_offer(TOKEN, last) == CLAIMS
    with pytest.raises(ExpiredTokenError, match="expired at 2026-11-22T14:00:00") as refused:
        TOKENS.read_offer(TOKEN, CLAIMS.expires_at)
    assert refused.value.claims == CLAIMS


def test_a_pseudonym_is_its_recipients_and_nobody_elses():
    assert TOKENS.is_for(CLAIMS.recipient, "r-1")
    assert not TOKENS.is_for(CLAIMS.recipient, "r-2")
    assert not TOKENS.is_for("", "r-1")
    assert not TOKENS.is_for("r-1", "r-1")
    assert not TOKENS.is_for("ü" * 22, "r-1")


def test_a_pseudonym_tells_nothing_of_whose_it_is_to_another_service():
    assert Tokens(OTHERS).pseudonym("r-1") != TOKENS.pseudonym("r-1")
    assert not Tokens(OTHERS).is_for(CLAIMS.recipient, "r-1")
    assert len(TOKENS.pseudonym("r-1")) == 22


def test_the_id_of_a_token_is_its_decisions_alone_and_no_pseudonym():
    assert TOKENS.token_id("d-1") == TOKENS.token_id("d-1")
    assert TOKENS.token_id("d-1") != TOKENS.token_id("d-2")
    assert not TOKENS.pseudonym("d-1").startswith(TOKENS.token_id("d-1"))


def test_tokens_outlive_the_keys_that_made_them(tmp_path):
    path = tmp_path / "keys.json"
    before = Tokens(SigningKeys.open(path, now=NOW))
    claims = msgspec.structs.replace(CLAIMS, recipient=before.pseudonym("r-1"))
    token = before.offer(claims)
    change_keys(path, lambda keys: keys.rotated(NOW))
    after = Tokens(SigningKeys.open(path, now=NOW))
    assert after.read_offer(token, NOW) == claims
    assert after.is_for(claims.recipient, "r-1")
    assert after.pseudonym("r-1") != claims.recipient
    assert before.read_offer(after.offer(claims), NOW) == claims  # a process that was not started anew


def test_a_key_that_was_removed_verifies_nothing_more(tmp_path):
    path = tmp_path / "keys.json"
    keys = SigningKeys.open(path, now=NOW)
    token = Tokens(keys).offer(CLAIMS)
    change_keys(path, lambda held: held.rotated(NOW))
    change_keys(path, lambda held: held.without(keys.current.kid))
    with pytest.raises(SignatureError, match="not among the published ones"):
        Tokens(SigningKeys.open(path, now=NOW)).read_offer(token, NOW)
