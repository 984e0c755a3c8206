"""Which consent records an allow names: those that it relied on, in policy order, and no others."""

from __future__ import annotations

import json

import pytest

from guardrails.consent import ConsentRequest
from guardrails.stores import open_stores
from route import NOW, TRANSACTIONAL, Route, candidate, faulty_route

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: partners, kind: consent_required, applies_to: {content.topic: travel}, purpose: partners}
  - {id: opt-in, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored}
  - {id: fresh, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored, max_age: 365d}
  - {id: watched, kind: consent_required, applies_to: {lane: monetized}, purpose: watched, mode: monitor}
  - {id: switched-off, kind: consent_required, applies_to: {lane: monetized}, purpose: watched, mode: "off"}
  - {id: by-hand, kind: rule, applies_to: {content.topic: urgent}, deny_when: {channel: voice}, overrides: [opt-in]}
"""


@pytest.fixture
def route(url):
    made = Route(open_stores(url), policies=POLICIES)
    for purpose in ("sponsored", "partners", "watched"):
        request = ConsentRequest(id=f"k-{purpose}", recipient="r-1", purpose=purpose, state="granted", method="form")
        made.application.consents.record(request, now=NOW)
    yield made
    made.close()


def ask(route, candidate_id="c-1", **rest):
    (answer,) = route.decide(candidate(candidate_id, **rest))
    return answer


@pytest.mark.parametrize(
    ("asked", "effect", "consents"),
    [
        ({}, "allow", ("k-sponsored",)),
        ({"content": {"class": "sponsored", "topic": "travel"}}, "allow", ("k-partners", "k-sponsored")),
        ({"content": {"class": "sponsored", "topic": "urgent"}}, "allow", ("k-sponsored",)),
        ({"recipient": {"id": "r-2"}}, "deny", ()),
        (TRANSACTIONAL, "allow", ()),
    ],
    ids=["each once", "in policy order", "not for what stands aside", "a deny", "none needed"],
)
def test_an_allow_names_the_consents_that_it_relied_on(route, asked, effect, consents):
    answer = ask(route, **asked)
    assert (answer.decision.effect, answer.decision.consents) == (effect, consents)
    assert json.loads(answer.body)["consents"] == list(consents)
    (entry,) = route.entries()
    assert entry.decision.consents == consents
    assert route.replayed()[0] == []


def test_what_stands_aside_is_not_relied_on(url):
    policies = POLICIES.replace(", overrides: [opt-in]", ", overrides: [opt-in, fresh]")
    route = Route(open_stores(url), policies=policies)
    route.grant()
    answer = ask(route, content={"class": "sponsored", "topic": "urgent"})
    assert (answer.decision.effect, answer.decision.consents) == ("allow", ())
    route.close()


def test_the_same_candidate_again_names_the_same_whatever_was_recorded_since(route):
    first = ask(route)
    again = ConsentRequest(id="newer", recipient="r-1", purpose="sponsored", state="granted", method="form")
    route.application.consents.record(again, now=NOW)
    assert (ask(route).body, ask(route, "c-2").decision.consents) == (first.body, ("newer",))


def test_what_could_not_be_decided_relied_on_nothing():
    route = faulty_route(ZeroDivisionError())
    route.grant()
    for lane in ({}, TRANSACTIONAL):
        assert ask(route, f"c-{len(lane)}", sponsor={"id": "faulty"}, **lane).decision.consents == ()


def test_an_allow_that_a_lost_store_turns_into_a_deny_relied_on_nothing():
    route = Route(
        policies=POLICIES
        + """\
  - {id: counted, kind: frequency_cap, applies_to: {lane: monetized}, on_missing: allow, limit: 9,
     per: [recipient], window: {rolling: 24h}}
"""
    )
    request = ConsentRequest(id="k", recipient="r-1", purpose="sponsored", state="granted", method="form")
    route.application.consents.record(request, now=NOW)
    route.stores.lost = {"caps.read"}
    answer = ask(route)
    assert (answer.decision.effect, answer.decision.degraded, answer.decision.consents) == ("deny", True, ())


def test_a_dry_run_names_them_too(route):
    assert route.application.explainer.explain(candidate()).decision.consents == ("k-sponsored",)
