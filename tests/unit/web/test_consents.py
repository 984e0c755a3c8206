from __future__ import annotations

import hashlib
from urllib.parse import quote

import pytest

from guardrails.settings import Key

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


@pytest.mark.parametrize(
    "name", ["id", "notice_id", "notice_version", "language", "jurisdiction", "captured_by", "method", "at"]
)
def test_no_text_is_empty_for_a_file_could_not_tell_it_from_what_was_left_out(post, name):
    answer = post("/v1/consents", GRANT | {name: ""})
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [f"/{name}"])


def test_a_language_is_a_tag_and_not_its_name(post):
    answer = post("/v1/consents", GRANT | {"language": "English"})
    assert (answer.status_code, answer.get_json()["errors"]) == (
        422,
        [{"pointer": "/language", "detail": "`English` is not the tag of a language, such as `de` or `pt-BR`"}],
    )


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


def test_a_batch_may_be_of_several_recipients(client, post):
    results = post("/v1/consents/batch", {"consents": [GRANT, GRANT | {"id": "k-2", "recipient": "r-2"}]})
    assert [each["recipient"] for each in results.get_json()["results"]] == ["r-1", "r-2"]


# --- purposes, double opt-in, notices ---------------------------------------------------------------------------

WAITING = GRANT | {"id": "p-1", "purpose": "partner_offers", "state": "pending"}
NOTICE = {
    "id": "offers",
    "version": "3",
    "language": "en",
    "purposes": ["sponsored_content"],
    "text": "Would you like to see offers?",
}


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"purpose": "sponsored_contents"}, "/purpose", "did you mean `sponsored_content`?"),
        ({"purpose": "partner_offers"}, "/state", "record it as `pending`"),
        ({"notice_id": "offers", "notice_version": "4"}, "/notice_id", "no notice `offers` of version `4`"),
        ({"notice_id": "offers"}, "/notice_version", "is needed"),
    ],
)
def test_what_the_policies_do_not_allow_is_refused_by_pointer(post, change, pointer, said):
    answer = post("/v1/consents", GRANT | change)
    ((error_pointer, detail),) = [(error["pointer"], error["detail"]) for error in answer.get_json()["errors"]]
    assert (answer.status_code, error_pointer, said in detail) == (422, pointer, True)


def test_a_pending_consent_is_confirmed_once(client, post):
    post("/v1/consents", WAITING)
    confirmed = post("/v1/consents/p-1/confirmation", None)
    granted = confirmed.get_json()
    assert (confirmed.status_code, granted["state"], granted["confirms"]) == (200, "granted", "p-1")
    assert granted["method"] == "double_opt_in"
    assert post("/v1/consents/p-1/confirmation", None).get_json() == granted
    assert client.get(f"/v1/consents/{granted['id']}").get_json() == granted


def test_what_was_withdrawn_meanwhile_is_a_conflict_and_what_waited_too_long_is_gone(client, post):
    post("/v1/consents", WAITING)
    post("/v1/consents", WAITING | {"id": "p-2", "recipient": "r-2"})
    post("/v1/consents", WAITING | {"id": "w-1", "state": "withdrawn"})
    void = post("/v1/consents/p-1/confirmation", None)
    late = client.post("/v1/consents/p-2/confirmation", headers={"Replay-At": "2026-03-17T12:00:00Z"})
    missing = post("/v1/consents/p-3/confirmation", None)
    assert [answer.status_code for answer in (void, late, missing)] == [409, 410, 404]
    assert [answer.get_json()["type"].rpartition("-")[2] for answer in (void, late)] == ["conflict", "gone"]


def test_what_does_not_hold_for_a_newer_record_is_answered_with_what_does(client, post):
    post("/v1/consents", GRANT | {"channels": ["push", "email"]})
    earlier = GRANT | {"id": "w-1", "state": "withdrawn", "at": "2026-03-10T11:00:00Z"}
    told = post("/v1/consents", earlier).get_json()
    assert {name: value for name, value in told.items() if name != "outdone_by"} == (
        client.get("/v1/consents/w-1").get_json()
    )
    ((channels, record, state),) = [(each["channels"], each["record"], each["state"]) for each in told["outdone_by"]]
    assert (channels, record, state) == (["push", "email"], "k-1", "granted")
    on_sms = earlier | {"id": "w-2", "channels": ["sms"]}
    (again, holds) = post("/v1/consents/batch", {"consents": [earlier, on_sms]}).get_json()["results"]
    assert ("outdone_by" in again, "outdone_by" in holds) == (True, False)


def test_what_was_confirmed_and_withdrawn_can_not_be_confirmed_again(post):
    post("/v1/consents", WAITING)
    confirmed = post("/v1/consents/p-1/confirmation", None)
    post("/v1/consents", WAITING | {"id": "w-1", "state": "withdrawn"})
    again = post("/v1/consents/p-1/confirmation", None)
    assert (confirmed.status_code, again.status_code) == (200, 409)


def test_a_consent_carries_the_hash_of_the_notice_that_it_names(post):
    kept = post("/v1/notices", NOTICE)
    recorded = post("/v1/consents", GRANT | {"notice_id": "offers", "notice_version": "3"})
    assert (kept.status_code, recorded.get_json()["notice_hash"]) == (201, kept.get_json()["hash"])


def test_notices_are_listed_and_read_in_all_their_versions(client, post):
    first = post("/v1/notices", NOTICE).get_json()
    assert post("/v1/notices", NOTICE).get_json() == first
    second = post("/v1/notices", NOTICE | {"version": "4"}).get_json()
    assert client.get("/v1/notices/offers").get_json() == {"id": "offers", "notices": [first, second]}
    summaries = client.get("/v1/notices").get_json()["notices"]
    assert [(each["version"], each["hash"], "text" in each) for each in summaries] == [
        ("3", first["hash"], False),
        ("4", second["hash"], False),
    ]
    assert client.get("/v1/notices/other").status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"text": "Would you?"}, 409, "/version"),
        ({"version": "5", "purposes": ["sponsored_contents"]}, 422, "/purposes/0"),
        ({"language": "e n"}, 422, "/language"),
    ],
)
def test_a_notice_that_can_not_be_kept_is_refused_by_pointer(post, change, status, pointer):
    post("/v1/notices", NOTICE)
    answer = post("/v1/notices", NOTICE | change)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (status, [pointer])


def test_who_may_record_consents_may_not_say_what_is_asked(make_client):
    key = Key("capture", hashlib.sha256(b"secret").hexdigest(), frozenset({"consent:write", "consent:read"}))
    client = make_client(keys=(key,))
    headers = {"Authorization": "Bearer secret"}
    assert client.post("/v1/consents", json=GRANT, headers=headers).status_code == 201
    assert client.post("/v1/notices", json=NOTICE, headers=headers).status_code == 403
    assert client.get("/v1/notices", headers=headers).status_code == 200


# --- reading back -----------------------------------------------------------------------------------------------

EARLY, LATER = "2026-03-09T12:00:00Z", "2026-03-10T13:00:00Z"


@pytest.fixture
def told(post):
    """A grant, and a withdrawal for one channel a day later."""
    post("/v1/consents", GRANT | {"at": EARLY})
    post("/v1/consents", GRANT | {"id": "w-1", "state": "withdrawn", "at": NOW, "channels": ["email"]})


def test_one_record_is_read_by_its_id(client, told):
    assert client.get("/v1/consents/w-1").get_json()["channels"] == ["email"]
    assert client.get("/v1/consents/nothing").status_code == 404


@pytest.mark.parametrize("consent_id", ["batch", "crm/7", "a/confirmation", "ä b"])
def test_whatever_id_a_consent_has_can_stand_in_a_path(client, post, consent_id):
    post("/v1/consents", GRANT | {"id": consent_id})
    assert client.get(f"/v1/consents/{quote(consent_id, safe='')}").get_json()["id"] == consent_id


def test_a_history_is_read_as_of_an_instant_and_by_purpose(client, told):
    def ids(query):
        found = client.get(f"/v1/recipients/r-1/consents{query}").get_json()
        return [each["id"] for each in found["consents"]]

    assert ids("") == ids("?purpose=sponsored_content") == ["k-1", "w-1"]
    assert ids("?as_of=2026-03-10T11:59:59Z") == ["k-1"]
    assert ids("?as_of=2026-03-10T13:00:00%2B01:00") == ["k-1", "w-1"]
    assert ids("?after=k-1") == ["w-1"]
    assert ids("?purpose=partner_offers") == []


def test_a_long_history_comes_in_pages(client, post):
    many = [GRANT | {"id": f"k-{number}", "state": "denied"} for number in range(600)]
    post("/v1/consents/batch", {"consents": many})
    first = client.get("/v1/recipients/r-1/consents").get_json()
    second = client.get(f"/v1/recipients/r-1/consents?after={first['next']}").get_json()
    assert [len(first["consents"]), len(second["consents"]), "next" in second] == [500, 100, False]
    assert [each["id"] for each in first["consents"] + second["consents"]] == [each["id"] for each in many]


def test_what_holds_is_told_now_and_as_of_an_instant(client, told):
    path = "/v1/recipients/r-1/consents/state"
    now = client.get(path, headers={"Replay-At": LATER}).get_json()
    assert (now["recipient"], now["as_of"]) == ("r-1", LATER)
    assert [(each["state"], each["record"], "email" in each["channels"]) for each in now["standings"]] == [
        ("granted", "k-1", False),
        ("withdrawn", "w-1", True),
    ]
    (then,) = client.get(f"{path}?as_of=2026-03-10T11:00:00Z").get_json()["standings"]
    assert (then["state"], "email" in then["channels"]) == ("granted", True)
    assert client.get(f"{path}?as_of={EARLY[:-1]}%2B01:00").get_json()["standings"] == []


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/recipients/r-1/consents?as_of=yesterday", "/as_of"),
        ("/v1/recipients/r-1/consents?after=nothing", "/after"),
        ("/v1/recipients/r-1/consents?limit=3", "/limit"),
        ("/v1/recipients/r-1/consents/state?as_of=2026-03-10", "/as_of"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_pointer(client, path, pointer):
    answer = client.get(path)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [pointer])


# --- preferences ------------------------------------------------------------------------------------------------


def test_preferences_are_set_one_by_one_and_read_back(client):
    path = "/v1/recipients/r-1/preferences"
    nothing = {"recipient": "r-1", "toggles": {}, "paused_until": None, "limits": {}, "timezone": None}
    assert client.get(path).get_json() == nothing
    client.put(path, json={"toggles": {"sponsored_content": True, "badges": False}})
    answer = client.put(path, json={"toggles": {"sponsored_content": False}})
    expected = nothing | {"toggles": {"sponsored_content": False, "badges": False}}
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
    told = client.get(path).get_json()
    assert (told["recipient"], told["toggles"]) == (recipient, {"badges": True})


@pytest.mark.parametrize("recipient", ["r" * 201, "a%00b", "a%0ab", "a%7fb"])
def test_what_can_be_no_id_is_not_found(client, recipient):
    answer = client.get(f"/v1/recipients/{recipient}/preferences")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
