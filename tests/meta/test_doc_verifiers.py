"""The verifiers that docs/offer-tokens.md shows take what the service signs, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.signing import SigningKeys, Tokens

PAGE = Path(__file__).parents[2] / "docs" / "offer-tokens.md"
VERIFIERS = re.findall(r"^```python\n(import .*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def _tokens(directory: Path) -> tuple[Tokens, dict]:
    keys = SigningKeys.open(directory / "keys.json", now=NOW)
    return Tokens(keys), keys.public().as_jwks()


@pytest.fixture
def signed(tmp_path):
    """The token of an offer, the keys that verify it, and what is expected of it."""
    tokens, jwks = _tokens(tmp_path)
    claims = OfferClaims(
        offer="upgrade-sea-view",
        recipient=tokens.pseudonym("r-42"),
        amount_minor=1900,
        currency="EUR",
        decision_id="0" * 32,
        expires_at_seconds=SECONDS + 60,
        token_id="t-1",  # noqa: S106 - an id
    )
    expected = {"o": "upgrade-sea-view", "a": 1900, "c": "EUR", "r": tokens.pseudonym("r-42")}
    return tokens, tokens.offer(claims), jwks, expected


@pytest.fixture(params=VERIFIERS, ids=["joserfc", "cryptography"])
def verified(request, tmp_path):
    """A verifier of the page."""
    (tmp_path / "verifier.py").write_text(request.param, encoding="utf-8")
    return runpy.run_path(str(tmp_path / "verifier.py"))["verified"]


def test_what_the_service_signed_is_taken_until_it_ends(verified, signed):
    _, token, jwks, expected = signed
    claims = verified(token, jwks, expected, SECONDS)
    assert {name: claims[name] for name in expected} == expected
    with pytest.raises(ValueError, match="ended"):
        verified(token, jwks, expected, SECONDS + 60)


@pytest.mark.parametrize(
    "other", [{"o": "bottle"}, {"a": 1}, {"c": "USD"}, {"r": "somebody-else"}], ids=["offer", "price", "unit", "whose"]
)
def test_what_is_for_somebody_or_something_else_is_refused(verified, signed, other):
    _, token, jwks, expected = signed
    with pytest.raises(ValueError, match="somebody or something else"):
        verified(token, jwks, expected | other, SECONDS)


def test_what_was_altered_in_any_letter_is_refused(verified, signed):
    _, token, jwks, expected = signed
    for place in range(len(token) - 1):  # of the last letter, most bits mean nothing
        altered = f"{token[:place]}{'A' if token[place] != 'A' else 'B'}{token[place + 1 :]}"
        with pytest.raises(ValueError, match=r"none of the keys|not an offer token"):
            verified(altered, jwks, expected, SECONDS)


def test_what_another_service_signed_is_refused(verified, signed, tmp_path):
    _, token, _, expected = signed
    (tmp_path / "other").mkdir()
    _, jwks = _tokens(tmp_path / "other")
    with pytest.raises(ValueError, match="none of the keys"):
        verified(token, jwks, expected, SECONDS)


def test_a_token_of_another_type_is_no_offer_token(verified, signed):
    tokens, _, jwks, _ = signed
    claims = AttributionClaims(
        decision_id="0" * 32,
        audit_index=1,
        lane="monetized",
        evaluated_at_ms=SECONDS * 1000,
        policy_revision="sha256:0",
        recipient=tokens.pseudonym("r-42"),
    )
    with pytest.raises(ValueError, match="not an offer token"):
        verified(tokens.attribution(claims), jwks, {}, SECONDS)


@pytest.mark.parametrize("alg", ["none", "HS256", "eddsa"])
def test_no_token_chooses_how_it_is_verified(verified, signed, alg):
    _, token, jwks, expected = signed
    head, payload, signature = token.split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))) | {"alg": alg}
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    for last in (signature, ""):
        with pytest.raises(ValueError, match="none of the keys"):
            verified(f"{forged}.{payload}.{last}", jwks, expected, SECONDS)
