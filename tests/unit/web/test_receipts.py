from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from guardrails.consent.receipts import verify_receipt
from guardrails.settings import Key
from guardrails.signing import PublicKeys

NOW = "2026-03-10T12:00:00Z"
GRANT = {"id": "k/1", "recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "banner"}


@pytest.fixture
def recorded(client):
    client.post("/v1/consents", json=GRANT, headers={"Replay-At": NOW})


def published(client):
    return PublicKeys.from_jwks(client.get("/.well-known/jwks.json").data)


def test_a_receipt_is_verified_by_the_published_keys(client, recorded):
    answer = client.get("/v1/consents/k/1/receipt", headers={"Replay-At": NOW})
    issued = answer.get_json()
    assert answer.status_code == 200
    assert issued["receipt"]["dct:created"] == NOW
    assert issued["receipt"]["dpv:hasRecordOfActivity"]["dct:identifier"] == "k/1"
    assert verify_receipt(issued["jws"], published(client)) == issued["receipt"]


def test_it_is_as_of_now_where_no_instant_is_asked_for(client, recorded):
    created = client.get("/v1/consents/k/1/receipt").get_json()["receipt"]["dct:created"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(created)).days) < 1  # noqa: TID251 - the service's own clock


def test_the_published_keys_are_public_and_of_the_type_that_the_rfc_names(client):
    answer = client.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.content_type) == (200, "application/jwk-set+json")
    (key,) = json.loads(answer.data)["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert answer.headers.get_all("Cache-Control") == ["public, max-age=300"]


def test_whoever_has_a_receipt_reaches_the_keys_by_the_public_name_and_needs_none(make_client):
    key = Key("reader", hashlib.sha256(b"a-long-enough-key").hexdigest(), frozenset({"consent:read"}))
    for service in (make_client(public_url="https://notify.example.org"), make_client(keys=(key,))):
        for headers in ({"Host": "notify.example.org"}, {"Host": "10.0.0.7:8080", "Authorization": "Bearer nobody"}):
            answer = service.get("/.well-known/jwks.json", headers=headers)
            assert (answer.status_code, len(answer.get_json(force=True)["keys"])) == (200, 1)
    misdirected = make_client().get("/v1/consents/k/1/receipt", headers={"Host": "notify.example.org"})
    assert misdirected.status_code == 421


def test_there_is_no_receipt_for_an_unknown_consent(client):
    answer = client.get("/v1/consents/nope/receipt")
    assert (answer.status_code, answer.get_json()["detail"]) == (404, "there is no consent `nope`")


def test_a_record_whose_id_ends_like_the_route_is_told_from_its_receipt(client, recorded):
    client.post("/v1/consents", json=GRANT | {"id": "k/1/receipt"}, headers={"Replay-At": NOW})
    assert "jws" in client.get("/v1/consents/k/1/receipt").get_json()
    assert "jws" in client.get("/v1/consents/k/1/receipt/receipt").get_json()
