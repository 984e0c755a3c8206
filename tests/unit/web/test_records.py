"""A recipient's whole record over HTTP: who may have it, and that it is whole or not answered."""

from __future__ import annotations

import hashlib
import threading

import msgspec
import pytest

from guardrails.bootstrap import utc_now
from guardrails.recipient_record import RecipientRecord
from guardrails.settings import Key
from guardrails.web.exchange import Exchange
from guardrails.web.problems import Refusal
from guardrails.web.records import EXAMPLE, RecordRoom
from service import CANDIDATE

PATH = "/v1/recipients/crm%2F42/record"
AT = {"Replay-At": "2026-12-01T12:00:00Z"}


@pytest.fixture
def lived(client):
    consent = {"id": "k", "recipient": "crm/42", "purpose": "sponsored_content", "state": "granted", "method": "form"}
    assert client.post("/v1/consents", json=consent, headers=AT).status_code == 201
    client.post("/v1/decisions", json=CANDIDATE | {"recipient": {"id": "crm/42"}}, headers=AT)
    client.post("/v1/decisions", json=CANDIDATE | {"id": "other"}, headers=AT)
    return client


def test_it_is_all_of_the_recipient_as_of_the_instant_that_is_asked_for(lived):
    answer = lived.get(PATH, headers=AT)
    told = msgspec.json.decode(answer.data, type=RecipientRecord)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert (told.recipient, told.as_of.isoformat()) == ("crm/42", "2026-12-01T12:00:00+00:00")
    assert [each.id for each in told.consents] == ["k"]
    assert [each.audit_index for each in told.decisions] == [0]


def test_it_is_as_of_now_where_no_instant_is_asked_for(client):
    told = msgspec.json.decode(client.get(PATH).data, type=RecipientRecord)
    assert abs((utc_now() - told.as_of).days) < 1


def test_of_nobody_it_is_empty(client):
    told = client.get("/v1/recipients/nobody/record", headers=AT).get_json()
    assert [told[name] for name in ("standings", "consents", "notices", "decisions", "outcomes")] == [[]] * 5


def test_the_example_in_the_openapi_document_is_one(client):
    assert list(EXAMPLE) == list(RecipientRecord.__struct_fields__)
    assert (
        msgspec.convert(EXAMPLE | {"decisions": [], "outcomes": [], "events": []}, RecipientRecord).recipient == "r-42"
    )


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        ({"audit:read", "consent:read", "wallet:read"}, 200),
        ({"audit:read", "consent:read"}, 403),
        ({"audit:read", "wallet:read"}, 403),
        ({"consent:read", "wallet:read"}, 403),
    ],
    ids=["all", "no wallet", "no consents", "no audit"],
)
def test_a_key_needs_the_scopes_of_all_that_is_in_it(make_client, scopes, status):
    key = Key("desk", hashlib.sha256(b"a-long-enough-key").hexdigest(), frozenset(scopes))
    answer = make_client(keys=(key,)).get(PATH, headers={"Authorization": "Bearer a-long-enough-key"})
    assert answer.status_code == status


def test_one_is_read_at_a_time_and_the_next_is_told_when_to_ask_again(watched):
    application, _, _ = watched
    room = RecordRoom(application, utc_now)
    reading, go_on = threading.Event(), threading.Event()

    def stand_still(*_):
        reading.set()
        assert go_on.wait(20)
        return utc_now()

    room._clock = stand_still
    slow = threading.Thread(target=room.read, args=(_open(), "r-1"))
    slow.start()
    assert reading.wait(20)
    with pytest.raises(Refusal) as refused:
        room.read(_open(), "r-2")
    go_on.set()
    slow.join()
    assert (refused.value.kind, refused.value.headers) == ("busy", (("Retry-After", "1"),))
    assert room.read(_open(), "r-2").status == 200


def test_one_that_is_too_long_for_an_answer_is_not_cut_short(watched):
    application, _, _ = watched
    with pytest.raises(Refusal) as refused:
        RecordRoom(application, utc_now, limit_bytes=100).read(_open(), "r-1")
    assert (refused.value.kind, "`guardrails recipient record` prints it" in str(refused.value)) == ("too-long", True)
    assert RecordRoom(application, utc_now).read(_open(), "r-1").status == 200


def test_where_a_store_fails_on_the_way_nothing_of_it_is_answered(make_client, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    assert client.get(PATH).status_code == 200
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    answer = client.get(PATH)
    assert (answer.status_code, answer.get_json()["type"]) == (503, "/docs#problem-unavailable")


def _open():
    """A request to a service without keys."""
    exchange = Exchange({})
    exchange.scopes = None
    return exchange
