"""Candidates: what is refused, what is bounded, and which facts they carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.core.candidate import Candidate, candidate_facts, effective_time
from guardrails.core.facts import BENEFIT_FORMS, CHANNELS, CONTENT_CLASSES, LANES, PLACEMENTS, VOCABULARY
from guardrails.errors import CandidateError

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
LEAST = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1"},
    "content": {"class": "sponsored"},
}
FULL = {
    **LEAST,
    "send_at": None,
    "recipient": {
        "id": "r-42",
        "timezone": "Europe/Berlin",
        "country": "DE",
        "region": "DE-BE",
        "age": 34,
        "locale": "de-DE",
    },
    "content": {
        "class": "sponsored",
        "topic": "upgrade",
        "tags": ["promotional"],
        "disclosure": "Sponsored by Acme Air",
        "steps": 2,
    },
    "campaign": {"id": "cmp-7", "arm": "b"},
    "sponsor": {"id": "acme-air"},
    "affiliate": {"id": "partner-3"},
    "offer": {"id": "o-1", "amount_minor": 1500, "currency": "EUR", "expires_at": "2026-12-01T12:00:00Z"},
    "context": {"kind": "booking", "id": "b-9", "at": "2026-12-01T18:00:00Z"},
    "benefit": {"share_bps": 1000, "form": "credits", "text": "You get a tenth of what we earn"},
    "spend": {"amount_minor": 40, "currency": "EUR"},
    "conversion": {"hosts": ["pay.example.com"], "max_seconds": 180},
    "disclosure": {
        "on_behalf_of": "Acme Air",
        "paid_by": "Acme Air",
        "item_label": "Ad",
        "placement": "before_first_tap",
    },
    "attributes": {},
}


def decode(body):
    return msgspec.json.decode(msgspec.json.encode(body), type=Candidate)


def test_the_facts_of_a_full_candidate_are_the_vocabulary():
    assert set(candidate_facts(decode(FULL))) == set(VOCABULARY)


def test_what_is_absent_or_null_is_missing():
    nulls = {**LEAST, "campaign": None, "recipient": {"id": "r-1", "age": None}, "attributes": {"a": None}}
    wanted = {"lane": "monetized", "channel": "push", "recipient.id": "r-1", "content.class": "sponsored"}
    assert candidate_facts(decode(LEAST)) == wanted
    assert candidate_facts(decode(nulls)) == wanted


def test_attributes_are_flattened_with_dots():
    attributes = {"plan": {"tier": 2, "labels": ["a", "b"]}, "trial": True}
    facts = candidate_facts(decode({**LEAST, "attributes": attributes}))
    assert {name: value for name, value in facts.items() if name.startswith("attributes.")} == {
        "attributes.plan.tier": 2,
        "attributes.plan.labels": ("a", "b"),
        "attributes.trial": True,
    }


def test_the_words_of_the_vocabulary_are_those_that_a_candidate_may_use():
    hints = {field.name: field.type for field in msgspec.structs.fields(Candidate)}
    content = msgspec.inspect.type_info(Candidate).fields
    by_name = {field.name: field.type for field in content}
    assert hints["lane"]
    assert set(by_name["lane"].values) == set(LANES)
    assert set(by_name["channel"].values) == set(CHANNELS)
    assert set(by_name["content"].fields[0].type.values) == set(CONTENT_CLASSES)
    schema = msgspec.json.schema(Candidate)["$defs"]
    assert schema["Benefit"]["properties"]["form"]["anyOf"][0]["enum"] == sorted(BENEFIT_FORMS)
    assert schema["Disclosure"]["properties"]["placement"]["anyOf"][0]["enum"] == sorted(PLACEMENTS)


def test_hosts_are_facts_in_their_one_form_and_none_at_all_is_one_too():
    written = ["Pay.Example.COM.", "bücher.example"]
    facts = candidate_facts(decode({**LEAST, "conversion": {"hosts": written}}))
    assert facts["conversion.hosts"] == ("pay.example.com", "xn--bcher-kva.example")
    assert candidate_facts(decode({**LEAST, "conversion": {"hosts": []}}))["conversion.hosts"] == ()
    assert "conversion.hosts" not in candidate_facts(decode({**LEAST, "conversion": {"max_seconds": 60}}))
    decoded = decode({**LEAST, "conversion": {"hosts": written}})
    assert decoded == msgspec.convert(msgspec.to_builtins(decoded), Candidate)


def nested(depth):
    return {"a": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"recipient": {"id": "r", "mail": "a@b.c"}},
        {"id": ""},
        {"id": "x" * 201},
        {"id": "line\nbreak"},
        {"id": "nul\0"},
        {"id": "last line break\n"},
        {"recipient": {"id": "r", "country": "DE\n"}},
        {"recipient": {"id": "r", "region": "US-C\n"}},
        {"offer": {"id": "o", "currency": "EUR\n"}},
        {"lane": "other"},
        {"channel": "pigeon"},
        {"content": {"class": "sponsored", "steps": 2.5}},
        {"content": {"class": "sponsored", "steps": True}},
        {"content": {"class": "sponsored", "disclosure": " "}},
        {"content": {"class": "sponsored", "tags": ["x"] * 51}},
        {"offer": {"id": "o", "amount_minor": 15.0000001}},
        {"offer": {"id": "o", "amount_minor": -1}},
        {"offer": {"id": "o", "currency": "eur"}},
        {"campaign": {"id": "c", "arm": ""}},
        {"affiliate": {}},
        {"benefit": {"share_bps": 10_001}},
        {"benefit": {"share_bps": -1}},
        {"benefit": {"form": "money"}},
        {"benefit": {"text": " "}},
        {"spend": {"amount_minor": 1}},
        {"spend": {"currency": "EUR"}},
        {"spend": {"amount_minor": -1, "currency": "EUR"}},
        {"spend": {"amount_minor": 2**53 + 1, "currency": "EUR"}},
        {"conversion": {"hosts": ["pay.example.com:8443"]}},
        {"conversion": {"hosts": ["pay.example.com", "https://pay.example.com"]}},
        {"conversion": {"hosts": ["*.example.com"]}},
        {"conversion": {"hosts": ["a.example"] * 21}},
        {"conversion": {"max_seconds": 0}},
        {"conversion": {"max_seconds": 86_401}},
        {"conversion": {"max_seconds": 1.5}},
        {"disclosure": {"paid_by": ""}},
        {"disclosure": {"placement": "somewhere"}},
        {"offer": {"id": "o", "expires_at": "2026-12-01T12:00:00"}},
        {"offer": {"id": "o", "expires_at": "9999-12-31T23:59:59Z"}},
        {"context": {"kind": "b", "at": "0001-01-01T00:00:00Z"}},
        {"send_at": "1969-12-31T23:59:59Z"},
        {"attributes": {f"a{number}": 1 for number in range(65)}},
        {"attributes": {f"a{number}": None for number in range(65)}},
        {"attributes": {f"a{number}": {} for number in range(65)}},
        {"attributes": {f"a{number}": {"b": None} for number in range(33)}},
        {"attributes": {"a": 2**64}},
        {"attributes": {"a": [-(2**64)]}},
        {"attributes": {"a": {f"b{number}": 1 for number in range(60)}} | {f"c{number}": 1 for number in range(5)}},
        {"attributes": nested(5)},
        {"attributes": {"a.b": 1}},
        {"attributes": {"": 1}},
        {"attributes": {"x" * 101: 1}},
        {"attributes": {"a": "x" * 1001}},
        {"attributes": {"a": ["x"] * 1001}},
        {"attributes": {"a": ["x" * 1001]}},
        {"attributes": {"a": [{"deep": [[[[[[1]]]]]]}]}},
    ],
)
def test_what_is_malformed_or_out_of_bounds_is_refused(change):
    with pytest.raises(msgspec.ValidationError):
        decode({**LEAST, **change})


def test_attributes_within_their_bounds_are_taken():
    attributes = {**{f"a{number}": number for number in range(62)}, "most": {"least": [2**64 - 1, -(2**64) + 1, 1e308]}}
    assert len(candidate_facts(decode({**LEAST, "attributes": attributes}))) == len(candidate_facts(decode(LEAST))) + 63


@pytest.mark.parametrize(
    "change",
    [
        {"send_at": NOW.replace(tzinfo=None)},
        {"attributes": {"a": float("nan")}},
        {"attributes": {"a": [float("inf")]}},
        {"attributes": {"a": NOW}},
        {"attributes": {"a": b"bytes"}},
        {"attributes": {"a": {1, 2}}},
        {"attributes": {"a": object()}},
    ],
)
def test_what_the_audit_entry_could_not_give_back_is_refused(change):
    body = decode(LEAST)
    with pytest.raises(ValueError, match="`"):
        msgspec.structs.replace(body, **change)


def test_the_effective_time_is_send_at_or_now_and_never_the_past():
    assert effective_time(decode(LEAST), NOW) == NOW
    assert effective_time(decode({**LEAST, "send_at": NOW}), NOW) == NOW
    with pytest.raises(CandidateError) as caught:
        effective_time(decode({**LEAST, "send_at": NOW - timedelta(microseconds=1)}), NOW)
    assert caught.value.problems[0][0] == "/send_at"
