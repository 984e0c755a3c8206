from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from guardrails.errors import SettingsError
from guardrails.signing import PublicKeys, SigningKeys
from guardrails.signing.key_file import change_keys

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signing-keys.json"


def test_published_are_public_halves_and_what_they_are_for():
    keys = SigningKeys.generate(NOW)
    assert keys.public().as_jwks() == {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": keys.current.x,
                "kid": keys.current.kid,
                "use": "sig",
                "alg": "EdDSA",
            }
        ]
    }


def test_a_process_verifies_by_the_file_as_it_is_and_signs_with_the_keys_that_it_opened(path):
    keys = SigningKeys.open(path, now=NOW)
    first, secret = keys.current, keys.link_secret
    rotated = change_keys(path, lambda old: old.rotated(NOW))
    assert [key["kid"] for key in keys.public().as_jwks()["keys"]] == [rotated.pairs[0].kid, first.kid]
    assert keys.accepted_link_secrets() == (rotated.link_secrets[0].octets, secret)
    assert (keys.current, keys.link_secret) == (first, secret)
    assert keys.public() is keys.public()  # the file is read once a change, and not once a signature
    assert SigningKeys.open(path, now=NOW).current == rotated.pairs[0]


def test_what_was_removed_from_the_file_verifies_no_more(path):
    first = SigningKeys.open(path, now=NOW)
    change_keys(path, lambda old: old.rotated(NOW))
    keys = SigningKeys.open(path, now=NOW)
    change_keys(path, lambda old: old.without(first.current.kid))
    assert keys.public().find(first.current.kid) is None
    assert keys.public().find(keys.current.kid) is not None


@pytest.mark.parametrize(
    "harm", [lambda path: path.write_bytes(b"{"), lambda path: path.unlink()], ids=["broken", "removed"]
)
def test_a_file_that_is_damaged_meanwhile_changes_nothing(path, harm):
    keys = SigningKeys.open(path, now=NOW)
    harm(path)
    assert keys.public().find(keys.current.kid) is not None
    assert keys.accepted_link_secrets() == (keys.link_secret,)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.write_bytes(b"{"), "this is no file of signing keys"),
        (lambda path: path.unlink(), "the signing keys are gone"),
        (lambda path: path.chmod(0o644), "the signing keys are open to others"),
    ],
    ids=["broken", "removed", "open"],
)
def test_who_looks_after_the_file_is_told_that_it_is_damaged(path, harm, said):
    keys = SigningKeys.open(path, now=NOW)
    change_keys(path, lambda old: old.rotated(NOW))
    harm(path)
    for _ in range(2):
        with pytest.raises(SettingsError, match=said):
            keys.refresh()


def test_a_file_that_only_its_mode_kept_from_being_read_is_read_once_that_is_right(path):
    keys = SigningKeys.open(path, now=NOW)
    rotated = change_keys(path, lambda old: old.rotated(NOW))
    path.chmod(0o644)
    assert keys.public().find(rotated.pairs[0].kid) is None
    path.chmod(0o600)
    assert keys.public().find(rotated.pairs[0].kid) is not None


def test_a_file_that_is_mended_is_read_again(path):
    keys = SigningKeys.open(path, now=NOW)
    whole = path.read_bytes()
    path.write_bytes(b"{")
    assert keys.public().find(keys.current.kid) is not None
    path.write_bytes(whole)
    rotated = change_keys(path, lambda old: old.rotated(NOW))
    assert keys.public().find(rotated.pairs[0].kid) is not None


def test_keys_that_others_publish_are_found_by_their_ids():
    keys = SigningKeys.generate(NOW)
    published = keys.public().as_jwks()
    published["keys"][0]["more"] = "is passed over"
    assert PublicKeys.from_jwks(json.dumps(published).encode()).find(keys.current.kid) is not None


def test_a_published_key_without_an_id_has_its_thumbprint_for_one():
    keys = SigningKeys.generate(NOW)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": keys.current.x}
    assert PublicKeys.from_jwks(json.dumps({"keys": [jwk]}).encode()).find(keys.current.kid) is not None


def test_published_keys_for_anything_else_are_passed_over():
    ours = SigningKeys.generate(NOW).public().as_jwks()["keys"][0]
    others = [
        {"kty": "oct", "kid": "a", "k": "AAAA"},
        {"kty": "RSA", "kid": "b", "n": "AQ", "e": "AQAB"},
        ours | {"kid": "c", "use": "enc"},
        ours | {"kid": "d", "alg": "HS256"},
        ours | {"kid": "e", "crv": "X25519"},
    ]
    keys = PublicKeys.from_jwks(json.dumps({"keys": [*others, ours]}).encode())
    assert [key["kid"] for key in keys.as_jwks()["keys"]] == [ours["kid"]]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `keys`"),
        (b'{"keys": []}', "it holds no Ed25519 key for signatures"),
        (b'{"keys": [{"kty": "oct"}]}', "it holds no Ed25519 key for signatures"),
        (b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "a"}]}', "not 32 octets in base64url"),
    ],
)
def test_what_is_no_set_of_keys_is_refused(content, problem):
    with pytest.raises(ValueError, match=problem):
        PublicKeys.from_jwks(content)
