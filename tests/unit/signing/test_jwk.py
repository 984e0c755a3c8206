from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.signing import jwk
from guardrails.signing.jwk import KeyPair, KeySet, LinkSecret

NOW, LATER = datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
KEYS = KeySet.generate(NOW)
OTHERS = KeySet.generate(NOW)


def thumbprint(**members):
    """As RFC 7638 has it: the members in order, without space."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def test_a_new_set_has_one_key_of_each_sort_that_signs():
    assert [type(key) for key in KEYS.keys] == [KeyPair, LinkSecret]
    assert all(KEYS.is_current(key) for key in KEYS.keys)
    assert len(KEYS.link_secrets[0].octets) == 32


def test_ids_are_thumbprints():
    pair, secret = KEYS.pairs[0], KEYS.link_secrets[0]
    assert pair.kid == thumbprint(crv="Ed25519", kty="OKP", x=pair.x)
    assert secret.kid == thumbprint(k=secret.k, kty="oct")


@pytest.mark.parametrize("sort", [KeyPair, LinkSecret])
def test_no_id_looks_like_an_option_of_a_command(sort, monkeypatch):
    seen = []

    def is_like_an_option(kid):
        seen.append(kid)
        return len(seen) == 1

    monkeypatch.setattr(jwk, "_is_like_an_option", is_like_an_option)
    assert sort.generate(NOW).kid == seen[1] != seen[0]
    monkeypatch.undo()
    assert [jwk._is_like_an_option(kid) for kid in ("-x", "x-")] == [True, False]


def test_a_set_stands_the_way_through_json():
    encoded = msgspec.json.encode(KEYS)
    assert msgspec.json.decode(encoded, type=KeySet) == KEYS
    assert [key["kty"] for key in json.loads(encoded)["keys"]] == ["OKP", "oct"]


def test_rotation_puts_new_keys_in_front_and_destroys_what_signed():
    rotated = KEYS.rotated(LATER)
    new_pair, new_secret, old_pair, old_secret = rotated.keys
    assert (old_pair.kid, old_pair.x, old_pair.d) == (KEYS.pairs[0].kid, KEYS.pairs[0].x, msgspec.UNSET)
    assert old_secret == KEYS.link_secrets[0]
    assert [rotated.is_current(key) for key in rotated.keys] == [True, True, False, False]
    assert {new_pair.created_at, new_secret.created_at} == {LATER}
    with pytest.raises(ValueError, match="is retired"):
        old_pair.private_key()


def test_a_retired_key_can_be_removed():
    rotated = KEYS.rotated(LATER)
    assert rotated.without(KEYS.pairs[0].kid).without(KEYS.link_secrets[0].kid).keys == rotated.keys[:2]


def test_what_signs_can_not_be_removed():
    with pytest.raises(ValueError, match="signs now; rotate first"):
        KEYS.without(KEYS.link_secrets[0].kid)


def test_what_is_not_there_can_not_be_removed():
    with pytest.raises(ValueError, match="there is no key `x`"):
        KEYS.without("x")


def test_no_secret_is_shown_where_a_key_is_printed():
    shown = repr(KEYS)
    assert KEYS.pairs[0].kid in shown
    assert not any(secret in shown for secret in (KEYS.pairs[0].d, KEYS.link_secrets[0].k))


def _keys(change):
    keys = json.loads(msgspec.json.encode(KEYS))["keys"]
    return change(keys) or keys


WRONG = {
    "no keys": (lambda _: [{}], "missing required field `kty`"),
    "another sort": (lambda keys: keys[0].update(kty="RSA"), "Invalid value 'RSA'"),
    "another curve": (lambda keys: keys[0].update(crv="X25519"), "Invalid enum value 'X25519'"),
    "halves of two keys": (lambda keys: keys[0].update(d=OTHERS.pairs[0].d), "`x` and `d` are of different keys"),
    "another's id": (lambda keys: keys[0].update(kid=OTHERS.pairs[0].kid), "`kid` is not the key's thumbprint"),
    "another secret": (lambda keys: keys[1].update(k=OTHERS.link_secrets[0].k), "`kid` is not the key's thumbprint"),
    "short": (lambda keys: keys[0].update(d=keys[0]["d"][:-4]), "not 32 octets in base64url"),
    "padded": (lambda keys: keys[0].update(d=keys[0]["d"] + "="), "not 32 octets in base64url"),
    "plain base64": (lambda keys: keys[1].update(k="+" * 43), "not 32 octets in base64url"),
    "beyond ASCII": (lambda keys: keys[1].update(k="é" * 43), "not 32 octets in base64url"),
    "public only": (lambda keys: keys[0].pop("d") and None, "must have its private half"),
    "no pair": (lambda keys: keys[1:], "must have its private half"),
    "no secret": (lambda keys: keys[:1], "no key of kty oct"),
    "twice": (lambda keys: [*keys, keys[1]], "one key is there twice"),
    "no time": (lambda keys: keys[0].pop("created_at") and None, "missing required field `created_at`"),
}


@pytest.mark.parametrize(("change", "problem"), WRONG.values(), ids=WRONG)
def test_keys_that_are_not_whole_are_refused(change, problem):
    with pytest.raises(msgspec.ValidationError, match=problem):
        msgspec.json.decode(json.dumps({"keys": _keys(change)}), type=KeySet)
