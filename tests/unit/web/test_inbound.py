from __future__ import annotations

import pytest

NOW = "2026-03-10T12:00:00Z"
REPLY = {"id": "sms-7", "recipient": "r-42", "channel": "sms", "text": "Stop!"}


@pytest.fixture
def post(client):
    def post(**change):
        return client.post("/v1/inbound", json=REPLY | change, headers={"Replay-At": NOW})

    return post


@pytest.fixture
def records(client):
    return lambda: client.get("/v1/recipients/r-42/consents").get_json()["consents"]


def test_a_keyword_is_answered_with_what_was_withdrawn(post, records):
    answer = post()
    said = answer.get_json()
    assert (answer.status_code, said["recognised"], said["keyword"]) == (200, True, "stop")
    assert {record["purpose"] for record in said["withdrawn"]} == {"sponsored_content", "partner_offers"}
    assert said["withdrawn"] == records()
    assert {record["state"] for record in records()} == {"withdrawn"}
    assert records()[0]["evidence"] == {"text": "Stop!", "message": "sms-7"}


def test_other_words_are_not_recognised_and_leave_nothing(post, records):
    said = post(text="When does my train leave?").get_json()
    assert said == {"recognised": False, "keyword": None, "withdrawn": [], "outdone_by": []}
    assert records() == []


def test_the_same_message_again_is_answered_alike(post, records):
    first = post().get_json()
    assert post().get_json() == first
    assert records() == first["withdrawn"]


def test_a_message_of_before_they_agreed_anew_is_answered_with_what_holds_instead(client, post):
    agreed = {"id": "k-1", "recipient": "r-42", "purpose": "sponsored_content", "state": "granted", "method": "form"}
    client.post("/v1/consents", json=agreed, headers={"Replay-At": NOW})
    said = post(at="2026-03-10T11:00:00Z").get_json()
    assert [(each["purpose"], each["state"]) for each in said["withdrawn"]] == [
        ("partner_offers", "withdrawn"),
        ("sponsored_content", "withdrawn"),
    ]
    assert said["outdone_by"] == [
        {
            "purpose": "sponsored_content",
            "channels": ["sms"],
            "state": "granted",
            "since": NOW,
            "record": "k-1",
            "method": "form",
        }
    ]


def test_another_message_under_the_same_id_is_a_conflict(post):
    post()
    assert post(text="quit").status_code == 409


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"channel": "fax"}, "/channel"),
        ({"recipient": ""}, "/recipient"),
        ({"text": "x" * 10_001}, "/text"),
        ({"at": "2026-03-11T12:00:00Z"}, "/at"),
        ({"from": "+49"}, "/from"),
    ],
    ids=["channel", "recipient", "text", "future", "unknown"],
)
def test_a_wrong_request_is_refused_by_pointer(post, records, change, pointer):
    answer = post(**change)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [pointer])
    assert records() == []


def test_the_log_says_what_became_of_it_and_not_what_was_written(post, log_lines):
    post()
    (line,) = [line for line in log_lines if line.get("route") == "/v1/inbound"]
    assert (line["recognised"], line["withdrawn"]) == (True, 2)
    assert "Stop!" not in str(log_lines)
