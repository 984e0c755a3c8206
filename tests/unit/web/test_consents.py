from __future__ import annotations

from urllib.parse import quote

import pytest

NOW = "2026-03-10T12:00:00Z"
GRANT = {"id": "k-1", "recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "banner"}
RECORDED = GRANT | {"at": NOW, "recorded_at": NOW}


@pytest.fixture
def post(client):
    def post(path, value):
        return client.post(path, json=value, headers={"Replay-At": NOW})

    return post


def test_a_consent_is_recorded_and_read_back(client, post):
    answer = post("/v1/consents", GRANT)
    assert (answer.status_code, answer.get_json()) == (201, RECORDED)
    history = client.get("/v1/recipients/r-1/consents").get_json()
    assert history == {"recipient": "r-1", "consents": [RECORDED]}


def test_the_same_consent_again_is_recorded_once(client, post):
    post("/v1/consents", GRANT)
    assert post("/v1/consents", GRANT).get_json() == RECORDED
    assert len(client.get("/v1/recipients/r-1/consents").get_json()["consents"]) == 1


def test_the_same_id_with_another_content_is_a_conflict(post):
    post("/v1/consents", GRANT)
    answer = post("/v1/consents", GRANT | {"state": "withdrawn"})
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (409, "/id")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"state": "maybe"}, "/state"),
        ({"at": "2026-03-10T12:05:01Z"}, "/at"),
        ({"expires_at": "2026-03-10T12:00:00Z"}, "/expires_at"),
        ({"purpose": ""}, "/purpose"),
        ({"evidence": {"text": "x" * 4000}}, "/evidence"),
        ({"email": "x@example.org"}, "/email"),
    ],
    ids=["state", "future", "expired", "empty", "evidence", "unknown"],
)
def test_a_wrong_consent_is_refused_by_pointer(post, change, pointer):
    answer = post("/v1/consents", GRANT | change)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [pointer])


def test_a_batch_answers_each_consent_in_its_place(client, post):
    wrong = GRANT | {"id": "k-2", "state": "maybe"}
    future = GRANT | {"id": "k-3", "at": "2026-03-11T12:00:00Z"}
    other = GRANT | {"method": "call"}
    answer = post("/v1/consents/batch", {"consents": [wrong, GRANT, future, other, GRANT | {"id": "k-4"}]})
    results = answer.get_json()["results"]
    assert answer.status_code == 200
    assert [result.get("status", result.get("id")) for result in results] == [422, "k-1", 422, 409, "k-4"]
    kept = client.get("/v1/recipients/r-1/consents").get_json()["consents"]
    assert [consent["id"] for consent in kept] == ["k-1", "k-4"]


def test_nobody_has_an_empty_history(client):
    assert client.get("/v1/recipients/nobody/consents").get_json() == {"recipient": "nobody", "consents": []}


def test_preferences_are_set_one_by_one_and_read_back(client):
    path = "/v1/recipients/r-1/preferences"
    assert client.get(path).get_json() == {"recipient": "r-1", "toggles": {}}
    client.put(path, json={"toggles": {"sponsored_content": True, "badges": False}})
    answer = client.put(path, json={"toggles": {"sponsored_content": False}})
    expected = {"recipient": "r-1", "toggles": {"sponsored_content": False, "badges": False}}
    assert (answer.status_code, answer.get_json()) == (200, expected)
    assert client.get(path).get_json() == expected


@pytest.mark.parametrize("value", [{}, {"toggles": {}}, {"toggles": {"a": "on"}}, {"toggles": {"a": True}, "x": 1}, []])
def test_wrong_preferences_are_refused(client, value):
    assert client.put("/v1/recipients/r-1/preferences", json=value).status_code == 422


@pytest.mark.parametrize(
    "recipient",
    ["crm/42", "/crm", "crm/", "/", "a//b", "a/preferences", "../x", "?a=b#c", "a b", "a\u00a0b", "ä%2Fö", "r" * 200],
)
def test_whatever_id_a_candidate_may_have_can_stand_in_a_path(client, recipient):
    path = f"/v1/recipients/{quote(recipient, safe='')}/preferences"
    client.put(path, json={"toggles": {"badges": True}})
    assert client.get(path).get_json() == {"recipient": recipient, "toggles": {"badges": True}}


@pytest.mark.parametrize("recipient", ["r" * 201, "a%00b", "a%0ab", "a%7fb"])
def test_what_can_be_no_id_is_not_found(client, recipient):
    answer = client.get(f"/v1/recipients/{recipient}/preferences")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
