"""Every attempt to redeem what is not yours, not good any more, or not an offer token at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from guardrails.core.claims import AttributionClaims
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError
from guardrails.offers.redemptions import RedemptionRequest
from guardrails.signing import SigningKeys, Tokens, sign
from guardrails.stores import open_stores
from offer_terms import offer
from redeeming import NOW, Rig
from stores import instant

KEYS, OTHERS = SigningKeys.generate(instant(0)), SigningKeys.generate(instant(0))


@pytest.fixture
def rig():
    transactor = open_stores("memory:")
    rig = Rig(transactor, keys=KEYS)
    rig.register(offer(), offer("withdrawn"))
    rig.do(lambda session: session.offers.withdraw(["withdrawn"], instant(9)))
    rig.decided(1)
    rig.decided(2, state="cancelled")
    rig.top_up()
    yield rig
    transactor.close()


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, object]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def with_header(token: str, **changes) -> str:
    header, payload, signature = token.split(".")
    return ".".join((encoded(decoded(header) | changes), payload, signature))


def with_claims(token: str, **changes) -> str:
    header, payload, signature = token.split(".")
    return ".".join((header, encoded(decoded(payload) | changes), signature))


def by_public_key(token: str) -> str:
    """HS256 with the public key for its secret: what trusts the header takes it."""
    _, payload, _ = token.split(".")
    header = encoded({"alg": "HS256", "kid": KEYS.current.kid, "typ": "offer+jws"})
    signature = hmac.digest(KEYS.current.x.encode(), f"{header}.{payload}".encode(), hashlib.sha256)
    return f"{header}.{payload}." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def of_attribution(rig: Rig) -> str:
    claims = AttributionClaims(
        decision_id="d-1",
        audit_index=1,
        lane="monetized",
        evaluated_at_ms=1,
        policy_revision="sha256:0",
        recipient=rig.tokens.pseudonym("anna"),
    )
    return rig.tokens.attribution(claims)


ATTEMPTS = {
    "nothing": lambda rig: "",
    "no token": lambda rig: "upgrade",
    "two parts": lambda rig: rig.token().rpartition(".")[0],
    "no signature": lambda rig: rig.token().rpartition(".")[0] + ".",
    "cut short": lambda rig: rig.token()[:-1],
    "one letter more": lambda rig: rig.token() + "A",
    "its JSON form": lambda rig: json.dumps(
        dict(zip(("protected", "payload", "signature"), rig.token().split("."), strict=True))
    ),
    "alg none": lambda rig: with_header(rig.token(), alg="none"),
    "alg none, unsigned": lambda rig: with_header(rig.token(), alg="none").rpartition(".")[0] + ".",
    "alg HS256 by the public key": lambda rig: by_public_key(rig.token()),
    "alg ES256": lambda rig: with_header(rig.token(), alg="ES256"),
    "a key of its own": lambda rig: with_header(rig.token(), jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
    "a kid of nobody": lambda rig: with_header(rig.token(), kid="nobody"),
    "another type": lambda rig: with_header(rig.token(), typ="attribution+jws"),
    "an attribution token": of_attribution,
    "signed as something else": lambda rig: sign({"o": "upgrade"}, "consent-receipt+jws", KEYS),
    "signed, and no claims": lambda rig: sign({"o": "upgrade"}, "offer+jws", KEYS),
    "of another service": lambda rig: _by(OTHERS, rig),
    "a lower price": lambda rig: with_claims(rig.token(), a=1),
    "another offer": lambda rig: with_claims(rig.token(), o="withdrawn"),
    "another recipient": lambda rig: with_claims(rig.token(), r=rig.tokens.pseudonym("ben")),
    "another decision": lambda rig: with_claims(rig.token(), d="d-2"),
    "a longer life": lambda rig: with_claims(rig.token(), e=2**40),
    "another id": lambda rig: with_claims(rig.token(), j="mine"),
}


def _by(keys: SigningKeys, rig: Rig) -> str:
    ours, rig.tokens = rig.tokens, Tokens(keys)
    token = rig.token()
    rig.tokens = ours
    return token


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_is_no_offer_token_of_ours_is_invalid_and_leaves_no_trace(rig, attempt):
    with pytest.raises(CandidateError) as caught:
        rig.redeem(ATTEMPTS[attempt](rig))
    assert caught.value.code == "token.invalid"
    assert not isinstance(caught.value, ConflictError | GoneError | NotFoundError)
    assert (rig.taken(), rig.events(), rig.entered) == (0, [], [])


@pytest.mark.parametrize(
    ("wanted", "error", "claims", "recipient"),
    [
        ("token.expired", GoneError, {"expires_at_seconds": int(NOW.timestamp())}, "anna"),
        ("token.other_recipient", ConflictError, {}, "ben"),
        ("token.other_recipient", ConflictError, {"expires_at_seconds": 1}, "ben"),
        ("decision.unknown", ConflictError, {"decision_id": "d-3"}, "anna"),
        ("decision.cancelled", ConflictError, {"decision_id": "d-2"}, "anna"),
        ("offer.unregistered", NotFoundError, {"offer": "nothing"}, "anna"),
        ("offer.withdrawn", GoneError, {"offer": "withdrawn"}, "anna"),
        ("offer.contradicts", ConflictError, {"amount_minor": 0}, "anna"),
    ],
)
def test_a_token_of_ours_that_is_not_good_is_refused_by_its_own_code(rig, wanted, error, claims, recipient):
    with pytest.raises(error) as caught:
        rig.redeem(rig.token(**claims), recipient)
    assert caught.value.code == wanted
    assert (rig.taken(), rig.events()) == (0, [])


def test_a_token_that_is_altered_at_any_place_is_not_redeemed(rig):
    token = rig.token()
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(CandidateError) as caught:
            rig.redeem(token[:place] + other + token[place + 1 :])
        assert caught.value.code == "token.invalid"


def test_a_token_that_is_replayed_is_answered_by_what_it_redeemed(rig):
    first = rig.redeem(rig.token())
    assert rig.redemptions.redeem(rig.token(), RedemptionRequest(recipient="anna"), now=NOW).is_new is False
    assert rig.redeem(rig.token()) == first
    with pytest.raises(ConflictError) as caught:
        rig.redeem(rig.token(), id="another")
    assert caught.value.code == "redemption.held"
