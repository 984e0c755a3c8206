"""Preferences over HTTP beyond toggles: a pause, limits, a zone, what is refused, and their history."""

from __future__ import annotations

import pytest

from guardrails.web.preferences import HISTORY_MOST

NOW = "2026-03-10T12:00:00Z"
PATH = "/v1/recipients/r-1/preferences"
NOTHING = {"recipient": "r-1", "toggles": {}, "paused_until": None, "limits": {}, "timezone": None}


@pytest.fixture
def put(client):
    def put(value, at=NOW):
        return client.put(PATH, json=value, headers={"Replay-At": at})

    return put


def test_everything_can_be_chosen_at_once_and_taken_back_one_by_one(client, put):
    chosen = {
        "toggles": {"sponsored": True, "topic:travel": False},
        "paused_until": "2026-03-12T08:00:00+01:00",
        "limits": {"three-sponsored-a-day": 1, "no-policy-is-called-so": 0},
        "timezone": "Europe/Berlin",
    }
    answer = put(chosen)
    assert (answer.status_code, answer.get_json()) == (200, NOTHING | chosen)
    back = {
        "toggles": {"topic:travel": None},
        "limits": {"no-policy-is-called-so": None},
        "paused_until": None,
        "timezone": None,
    }
    put(back)
    left = NOTHING | {"toggles": {"sponsored": True}, "limits": {"three-sponsored-a-day": 1}}
    assert client.get(PATH).get_json() == left


def test_a_sponsors_toggle_takes_the_longest_id_that_a_sponsor_has(put):
    name = f"sponsor:{'s' * 200}"
    assert put({"toggles": {name: False}}).get_json()["toggles"] == {name: False}
    assert put({"toggles": {f"{name}s": False}}).status_code == 422


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"paused_until": "2036-03-07T12:00:00.000001Z"}, "/paused_until"),
        ({"paused_until": "1969-12-31T23:59:59Z"}, "/paused_until"),
        ({"paused_until": "2026-03-12T08:00:00"}, "/paused_until"),
        ({"paused_until": "tomorrow"}, "/paused_until"),
        ({"limits": {"cap": -1}}, "/limits/cap"),
        ({"limits": {"cap": 1001}}, "/limits/cap"),
        ({"limits": {"cap": "2"}}, "/limits/cap"),
        ({"timezone": "Mars/Olympus_Mons"}, "/timezone"),
        ({"timezone": "europe/berlin"}, "/timezone"),
        ({"timezone": ""}, "/timezone"),
        ({"timezone": "x" * 65}, "/timezone"),
        ({"toggles": {"": True}}, "/toggles"),
        ({"at": NOW}, ""),
    ],
)
def test_what_can_not_be_is_refused_with_its_place(put, value, pointer):
    answer = put(value)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [pointer])


def test_a_pause_of_ten_years_may_be(put):
    assert put({"paused_until": "2036-03-07T12:00:00Z"}).status_code == 200


def test_a_pause_that_is_over_may_be_told_of(put):
    assert put({"paused_until": "2026-03-01T12:00:00Z"}).get_json()["paused_until"] == "2026-03-01T12:00:00Z"


def test_the_history_holds_every_choice_in_order_of_time(client, put):
    put({"toggles": {"sponsored": False}, "limits": {"cap": 2}})
    put({"toggles": {"sponsored": None}}, at="2026-03-11T12:00:00Z")
    put({"paused_until": "2026-03-20T12:00:00Z", "timezone": "Asia/Tokyo", "at": "2026-03-09T12:00:00Z"})
    early = {"at": "2026-03-09T12:00:00Z", "recorded_at": NOW}
    first = {"at": NOW, "recorded_at": NOW}
    later = {"at": "2026-03-11T12:00:00Z", "recorded_at": "2026-03-11T12:00:00Z"}
    assert client.get(f"{PATH}/history").get_json() == {
        "recipient": "r-1",
        "choices": [
            {"name": "pause", "value": "2026-03-20T12:00:00+00:00", **early},
            {"name": "timezone", "value": "Asia/Tokyo", **early},
            {"name": "toggle:sponsored", "value": False, **first},
            {"name": "limit:cap", "value": 2, **first},
            {"name": "toggle:sponsored", "value": None, **later},
        ],
        "truncated": False,
    }


def test_who_never_chose_has_an_empty_history(client):
    answer = client.get("/v1/recipients/nobody/preferences/history")
    assert answer.get_json() == {"recipient": "nobody", "choices": [], "truncated": False}


def test_of_a_long_history_the_newest_are_told(client, put):
    for start in range(0, HISTORY_MOST + 1, 91):
        put({"toggles": {f"t-{number:04}": True for number in range(start, start + 91)}})
    told = client.get(f"{PATH}/history").get_json()
    assert (len(told["choices"]), told["truncated"]) == (HISTORY_MOST, True)
    assert told["choices"][-1]["name"] == "toggle:t-1000"
    assert told["choices"][0]["name"] == "toggle:t-0001"


def test_a_decision_goes_by_what_was_chosen_before_it(client, put):
    client.post(
        "/v1/consents",
        json={"recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "form"},
        headers={"Replay-At": NOW},
    )
    put({"paused_until": "2026-03-12T08:00:00Z"})
    candidate = {
        "id": "c-1",
        "lane": "monetized",
        "channel": "push",
        "recipient": {"id": "r-1", "timezone": "Europe/Berlin", "age": 34},
        "content": {"class": "sponsored", "disclosure": "Sponsored by Acme Air", "steps": 2},
        "campaign": {"id": "cmp-7"},
    }
    denied = client.post("/v1/decisions", json=candidate, headers={"Replay-At": NOW}).get_json()
    assert [reason["code"] for reason in denied["reasons"]] == ["pause.active"]
    assert denied["retry_at"] == "2026-03-12T09:00:00+01:00"
