"""`GET /v1/recipients/{id}/usage`: what it answers, what it may be asked with, and what it refuses."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import jsonschema
import pytest

from guardrails.settings import Key
from guardrails.web.usage import EXAMPLE

NOW = "2026-03-10T12:00:00Z"
HEADERS = {"Replay-At": NOW}
EDITORIAL = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1", "timezone": "Europe/Berlin", "age": 34},
    "content": {"class": "editorial", "topic": "news"},
}
GAP = {
    "policy": "an-hour-apart",
    "title": "An hour between a paid-for notification and the one before",
    "mode": "enforce",
    "key": {"recipient.id": "r-1"},
    "shared": False,
    "used": 1,
    "limit": 1,
    "policy_limit": 1,
    "currency": None,
    "count_on": "reserved",
    "window": "rolling 1h",
    "next_slot_at": "2026-03-10T13:00:00Z",
    "note": None,
}


@pytest.fixture
def usage(client):
    """What is answered of a recipient, as of NOW."""

    def usage(recipient="r-1", query=""):
        path = f"/v1/recipients/{quote(recipient, safe='')}/usage"
        return client.get(path, query_string=query, headers=HEADERS)

    return usage


def caps(answer):
    assert answer.status_code == 200
    return {cap["policy"]: cap for cap in answer.get_json()["caps"]}


def test_what_a_decision_took_is_told_with_the_time_at_which_there_is_room_again(client, usage):
    assert client.post("/v1/decisions", json=EDITORIAL, headers=HEADERS).get_json()["effect"] == "allow"
    answer = usage(query="timezone=Europe/Berlin")
    told = answer.get_json()
    assert caps(answer)["an-hour-apart"] == GAP
    assert caps(answer)["eight-a-day-on-a-channel"]["key"] == {"recipient.id": "r-1", "channel": "push"}
    assert (told["recipient"], told["as_of"], told["truncated"]) == ("r-1", NOW, False)
    assert told["unused"] == ["campaign-ten-a-week", "affiliate-partner-every-two-days", "upgrade-before-a-booking"]


def test_of_whom_nothing_is_recorded_nothing_is_used(usage):
    answer = usage("nobody", "timezone=Europe/Berlin")
    assert {name: (cap["used"], cap["next_slot_at"]) for name, cap in caps(answer).items()} == {
        "three-sponsored-a-day": (0, NOW),
        "an-hour-apart": (0, NOW),
        "moments-stay-small": (0, NOW),
        "praise-stays-special": (0, NOW),
    }


@pytest.mark.parametrize(
    "recipient", ["crm/42", "a//b", "a/usage", "a b", "a\u00a0b", "ä%2Fö", "r" * 200, "\U0001f600"]
)
def test_whatever_id_a_candidate_may_have_can_stand_in_the_path(usage, recipient):
    assert usage(recipient).get_json()["recipient"] == recipient


@pytest.mark.parametrize("recipient", ["r" * 201, "a\x00b", "a\nb"])
def test_what_can_be_no_id_is_not_found(usage, recipient):
    assert usage(recipient).status_code == 404


# --- the query --------------------------------------------------------------------------------------------------


UNKNOWN = "the recipient's zone is not known: "
NEEDED = "`timezone`, `country` or `region` is needed to say what counts"
THE_MOST = "the most that counts in any zone that they may be in"


@pytest.mark.parametrize(
    ("query", "used", "note"),
    [
        ("", None, UNKNOWN + NEEDED),
        ("timezone=", None, UNKNOWN + NEEDED),
        ("timezone=Etc/GMT+5", 0, None),
        ("timezone=Etc%2FGMT%2B5&country=DE", 0, None),
        ("country=DE", 0, UNKNOWN + THE_MOST),
        ("region=US-NY", 0, UNKNOWN + THE_MOST),
    ],
)
def test_the_query_says_where_the_recipient_is(usage, query, used, note):
    cap = caps(usage(query=query))["three-sponsored-a-day"]
    assert (cap["used"], cap["note"]) == (used, note)


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("country=de", [("/country", "`de` is not two capital letters, such as `DE`")]),
        (
            "country=de&region=DE",
            [
                ("/country", "`de` is not two capital letters, such as `DE`"),
                ("/region", "`DE` is not a country and a part of it, such as `US-NY`"),
            ],
        ),
        ("timezone=" + "x" * 65, [("/timezone", "is 65 characters long; at most 64 are taken")]),
        (
            "timezone=Mars/Phobos",
            [("/timezone", "there is no zone `Mars/Phobos`; a zone is named like `Europe/Berlin`")],
        ),
        ("timezon=Europe/Berlin", [("/timezon", "unknown field `timezon`; did you mean `timezone`?")]),
        ("country=DE&country=FR", [("/country", "is given twice")]),
    ],
)
def test_a_wrong_query_is_refused_by_pointer(usage, query, errors):
    answer = usage(query=query)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert [(error["pointer"], error["detail"]) for error in answer.get_json()["errors"]] == errors


@pytest.mark.parametrize("query", ["timezone", "timezone=%ff", "&&", "&".join(f"a{n}=1" for n in range(101))])
def test_a_query_that_can_not_be_read_is_malformed(usage, query):
    assert usage(query=query).status_code == 400


# --- who may, and when it can't ---------------------------------------------------------------------------------


def test_it_takes_the_scope_of_reading_decisions_back(make_client):
    keys = tuple(
        Key(scope, hashlib.sha256(scope.encode()).hexdigest(), frozenset({scope})) for scope in ("audit:read", "decide")
    )
    client = make_client(keys=keys)
    statuses = {
        key: client.get("/v1/recipients/r-1/usage", headers={"Authorization": f"Bearer {key}"}).status_code
        for key in ("audit:read", "decide", "other")
    }
    assert statuses == {"audit:read": 200, "decide": 403, "other": 401}


def test_without_a_store_it_says_so(make_client, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    answer = client.get("/v1/recipients/r-1/usage")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


# --- what the document says -------------------------------------------------------------------------------------


@pytest.fixture
def operation(client):
    document = client.get("/openapi.json").get_json()
    return document, document["paths"]["/v1/recipients/{recipient_id}/usage"]["get"]


def media(document, operation, status):
    (said,) = operation["responses"][status]["content"].values()
    return said, jsonschema.Draft202012Validator(said["schema"] | {"components": document["components"]})


def test_the_document_describes_the_query(operation):
    _, said = operation
    asked = [parameter for parameter in said["parameters"] if parameter["in"] == "query"]
    assert [parameter["name"] for parameter in asked] == ["timezone", "country", "region"]
    assert [parameter["schema"] for parameter in asked] == [
        {"type": "string", "maxLength": 64},
        {"type": "string", "pattern": "^[A-Z]{2}(?!\\n)$"},
        {"type": "string", "pattern": "^[A-Z]{2}-[A-Z0-9]{1,3}(?!\\n)$"},
    ]
    assert not any(parameter["required"] for parameter in asked)


def test_the_example_and_the_answers_are_what_the_document_says(operation, usage):
    said, validator = media(*operation, "200")
    assert said["example"] == EXAMPLE
    for value in (EXAMPLE, usage().get_json(), usage(query="country=US").get_json()):
        validator.validate(value)
    media(*operation, "422")[1].validate(usage(query="x=1").get_json())


def test_the_docs_page_says_what_it_may_be_asked_with(client):
    assert "<code>?timezone=</code> Their zone, such as <code>Europe/Berlin</code>." in client.get("/docs").text
