"""What an allow demands of its sender, and that an e-mail sent by a consent lets its reader take it back."""

from __future__ import annotations

import msgspec
import pytest

from guardrails.bootstrap import Outside
from guardrails.consent import ConsentRequest
from guardrails.signing import Links, SigningKeys
from route import NOW, Route, candidate

KEYS = SigningKeys.generate(NOW)
LINKS = Links("https://example.org", KEYS.link_secret)
POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: labelled, kind: disclosure_required, applies_to: {content.class: sponsored}}
  - {id: opt-in, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored}
  - {id: fresh, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored, max_age: 365d}
  - {id: partners, kind: consent_required, applies_to: {content.topic: travel}, purpose: partners}
  - {id: watched, kind: consent_required, applies_to: {lane: monetized}, purpose: watched, mode: monitor}
  - {id: calm, kind: content_toggle, applies_to: {lane: monetized}, toggle: sponsored, default: "on"}
  - {id: receipts, kind: rule, applies_to: {lane: transactional}, deny_when: {content.topic: blocked}}
  - {id: advice, kind: consent_required, applies_to: {content.topic: advice}, purpose: advice}
"""
EMAIL = {"channel": "email", "content": {"class": "sponsored", "disclosure": "Advertisement", "topic": "upgrade"}}
TRAVEL = {"channel": "email", "content": {"class": "sponsored", "disclosure": "Advertisement", "topic": "travel"}}


def opened(links):
    route = Route(policies=POLICIES, outside=Outside(keys=lambda: KEYS, links=links))
    for purpose in ("sponsored", "partners", "advice"):
        request = ConsentRequest(recipient="r-1", purpose=purpose, state="granted", method="form")
        route.application.consents.record(request, now=NOW)
    return route


@pytest.fixture
def linked():
    return opened(LINKS)


def ask(route, candidate_id="c-1", **rest):
    (answer,) = route.decide(candidate(candidate_id, **rest))
    assert answer.decision.effect == "allow"
    return answer


def way_out(answer):
    (obligation,) = (each for each in answer.decision.obligations if each.type == "unsubscribe")
    return obligation


def types(answer):
    return [obligation.type for obligation in answer.decision.obligations]


def test_an_email_that_rests_on_a_consent_carries_the_headers_to_take_it_back(linked):
    answer = ask(linked, **EMAIL)
    obligation = way_out(answer)
    url = obligation.values["List-Unsubscribe"].removeprefix("<").removesuffix(">")
    assert obligation.policy == "opt-in"
    assert obligation.values == {
        "purposes": ("sponsored",),
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert url.startswith("https://example.org/unsubscribe/")
    link = LINKS.read_unsubscribe(url.rpartition("/")[2])
    assert (link.recipient, link.purposes, link.channel) == ("r-1", ("sponsored",), "email")
    assert link.decision_id == answer.decision.decision_id


def test_it_stands_after_what_policies_demand(linked):
    assert types(ask(linked, **EMAIL)) == ["show_disclosure", "carry_attribution", "unsubscribe"]


def test_all_purposes_that_it_rests_on_are_taken_back_together(linked):
    answer = ask(linked, **TRAVEL)
    assert types(answer).count("unsubscribe") == 1
    assert way_out(answer).values["purposes"] == ("sponsored", "partners")


@pytest.mark.parametrize("channel", ["push", "sms", "in_app"])
def test_elsewhere_there_are_no_such_headers(linked, channel):
    assert types(ask(linked, **(EMAIL | {"channel": channel}))) == ["show_disclosure", "carry_attribution"]


def test_an_email_that_rests_on_no_consent_owes_nothing(linked):
    receipt = {"lane": "transactional", "channel": "email", "content": {"class": "transactional", "topic": "receipt"}}
    assert types(ask(linked, **receipt)) == []


def test_the_transactional_lane_owes_it_as_well_where_it_rests_on_a_consent(linked):
    advice = {"lane": "transactional", "channel": "email", "content": {"class": "transactional", "topic": "advice"}}
    assert way_out(ask(linked, **advice)).values["purposes"] == ("advice",)


def test_a_deny_owes_nothing(linked):
    (denied,) = linked.decide(candidate(**(EMAIL | {"recipient": {"id": "r-2"}})))
    assert (denied.decision.effect, denied.decision.obligations) == ("deny", ())


def test_without_a_public_url_the_duty_stands_and_the_sender_finds_its_own_way():
    route = opened(None)
    assert way_out(ask(route, **EMAIL)).values == {"purposes": ("sponsored",)}


def test_the_same_candidate_again_gets_the_same_bytes_link_included(linked):
    first = ask(linked, **EMAIL)
    again = ask(linked, **EMAIL)
    assert (again.repeated, again.body) == (True, first.body)
    assert b"List-Unsubscribe-Post" in first.body


def test_the_entry_says_what_was_answered(linked):
    answer = ask(linked, **EMAIL)
    (entry,) = linked.entries()
    assert msgspec.json.encode(entry.decision) == answer.body


def test_replay_agrees_whatever_the_link_and_with_what_was_recorded_without_one(linked):
    ask(linked, **EMAIL)
    ask(linked, "c-2", channel="push", content=EMAIL["content"])
    assert linked.replayed()[0] == []
    entry = linked.entries()[0]
    older = msgspec.structs.replace(entry.decision, obligations=entry.decision.obligations[:-1])
    _, replay = linked.replayed()
    data = msgspec.json.encode(msgspec.structs.replace(entry, decision=older))
    assert list(replay.check([(0, data)])) == []
    forged = msgspec.structs.replace(entry.decision, obligations=())
    data = msgspec.json.encode(msgspec.structs.replace(entry, decision=forged))
    assert [difference.what for difference in replay.check([(0, data)])] == ["obligations"]


def test_a_dry_run_names_the_duty_and_makes_no_link(linked):
    explained = linked.application.explainer.explain(candidate(**EMAIL))
    assert explained.decision.obligations[-1].values == {"purposes": ("sponsored",)}
