"""Candidates that carry an offer: what was registered completes them, and they are judged by it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.core.needs import OFFER, OfferTerms
from guardrails.decide.entry import DecisionEntry
from guardrails.stores import open_stores
from offer_terms import offer
from route import NOW, TRANSACTIONAL, Route, candidate, codes, effects

HOUR = timedelta(hours=1)
POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: small, kind: rule, applies_to: {lane: monetized}, deny_when: {offer.amount_minor: {gt: 5000}}}
  - {id: one-a-sponsor, kind: frequency_cap, applies_to: {sponsor.id: hotel}, limit: 1, per: [recipient, sponsor],
     window: {rolling: 24h}}
  - {id: steps, kind: conversion_steps, applies_to: {lane: monetized}, max: 3}
"""
CARRIES = {"offer": {"id": "upgrade"}}


@pytest.fixture
def sold(url):
    made = Route(open_stores(url), policies=POLICIES)
    yield made
    made.close()


def register(route, *offers):
    route.read(lambda session: session.offers.insert(offers))


def facts_of(answer):
    return {field: value for reason in answer.decision.reasons for field, value in reason.facts.items()}


def test_what_policies_ask_for_is_asked_of_the_completed_candidate(sold):
    register(sold, offer())
    answers = sold.decide(candidate("c-1", **CARRIES), candidate("c-2", **CARRIES))
    assert effects(answers) == ["allow", "deny"]
    assert codes(answers[1]) == ["cap.exceeded"]  # of the registered sponsor, whom no candidate names


def test_an_offer_that_nobody_registered_completes_nothing(sold):
    (answer,) = sold.decide(candidate(**CARRIES))
    assert set(codes(answer)) == {"facts.missing"}
    missing = {field for field, value in facts_of(answer).items() if value is None}
    assert missing >= {"offer.amount_minor", "sponsor.id", "content.steps"}


def test_the_log_keeps_the_candidate_as_it_was_sent_and_what_was_registered(sold):
    register(sold, offer())
    sold.decide(candidate(**CARRIES))
    (entry,) = sold.entries()
    assert isinstance(entry, DecisionEntry)
    assert entry.candidate == candidate(**CARRIES)
    assert entry.answers[OFFER] == (offer().answer,)
    assert sold.replayed()[0] == []


def test_the_terms_that_were_registered_decide_again_whatever_became_of_the_offer(sold):
    register(sold, offer(stock=1))
    sold.decide(candidate(**CARRIES))
    sold.read(lambda session: session.offers.withdraw(["upgrade"], NOW))
    (answer,) = sold.decide(candidate("c-2", **CARRIES))
    assert codes(answer)[-1] == "offer.withdrawn"
    assert sold.replayed()[0] == []


def test_a_candidate_that_says_something_else_is_denied_for_good(sold):
    register(sold, offer())
    (answer,) = sold.decide(candidate(offer={"id": "upgrade", "amount_minor": 100}, sponsor={"id": "other"}))
    assert codes(answer) == ["offer.contradicts"]
    assert facts_of(answer)["terms.guardrails-offer-terms.contradicts"] == ("sponsor.id", "offer.amount_minor")
    assert (answer.decision.retry_at, answer.decision.blocked_by) == (None, "guardrails-offer-terms")


def test_an_offer_that_is_yet_to_begin_may_be_sent_from_then_on(sold):
    register(sold, offer(begins_at=NOW + HOUR))
    (answer,) = sold.decide(candidate(**CARRIES))
    assert (codes(answer), answer.decision.retry_at) == (["offer.not_begun"], NOW + HOUR)


@pytest.mark.parametrize(
    ("registered", "code"),
    [
        (offer(ends_at=NOW), "offer.ended"),
        (offer(stock=2, taken=2), "offer.sold_out"),
    ],
)
def test_an_offer_that_can_not_be_had_is_not_sent(sold, registered, code):
    register(sold, registered)
    (answer,) = sold.decide(candidate(**CARRIES))
    assert (codes(answer), answer.decision.retry_at) == ([code], None)


def test_an_offer_that_nobody_can_pay_for_any_more_is_not_sent_and_is_decided_again_as_it_was(url):
    route = Route(open_stores(url, unpayable={"provider"}), policies=POLICIES)
    register(route, offer(payment="provider"), offer("own"), offer("gone", payment="provider", stock=1, taken=1))
    carrying = (candidate(id_, offer={"id": id_}) for id_ in ("upgrade", "own", "gone"))
    denied, allowed, gone = route.decide(*carrying)
    assert (codes(denied), denied.decision.retry_at) == (["offer.no_payment"], None)
    assert effects([allowed]) == ["allow"]
    assert codes(gone)[-1] == "offer.sold_out"
    assert route.replayed()[0] == []
    route.close()


def test_a_policy_about_terms_that_is_about_everything_denies_what_carries_no_offer(url):
    route = Route(open_stores(url), policies=f"{POLICIES}  - {{id: terms, kind: offer_terms}}\n")
    (answer,) = route.decide(candidate(content={"class": "sponsored", "steps": 1}, offer=None))
    assert [reason.policy for reason in answer.decision.reasons if reason.code == "facts.missing"][-1] == "terms"
    route.close()


def test_one_question_is_asked_for_a_whole_group(sold):
    register(sold, offer(), offer("other", sponsor={"id": "spa"}))
    asked = []

    class Counting:
        def __init__(self, offers):
            self._offers = offers

        def read(self, queries):
            asked.append([query.offer for query in queries])
            return self._offers.read(queries)

    class Watched:
        def __init__(self, session):
            self._session = session
            self.offers = Counting(session.offers)

        def __getattr__(self, name):
            return getattr(self._session, name)

    inner = sold.stores._transactor
    call = inner.call
    inner.call = lambda handler, item, **how: call(lambda session, items: handler(Watched(session), items), item, **how)
    try:
        sold.decide(
            candidate("c-1", **CARRIES),
            candidate("c-2", offer={"id": "other"}),
            candidate("c-3"),
            candidate("c-4", **CARRIES),
        )
    finally:
        inner.call = call
    assert asked == [["upgrade", "other"]]


def test_explain_completes_a_candidate_too(sold):
    register(sold, offer(amount_minor=9900))
    explanation = sold.application.explainer.explain(candidate(**CARRIES))
    assert [reason.code for reason in explanation.decision.reasons] == ["rule.denied"]


def test_without_the_store_a_monetized_offer_is_denied_and_a_transactional_one_goes_out_degraded(sold):
    sold.stores.is_down = True
    answers = sold.decide(candidate("c-1", **CARRIES), candidate("c-2", **TRANSACTIONAL, **CARRIES))
    assert effects(answers) == ["deny", "allow"]
    assert "facts.unavailable" in codes(answers[0])
    assert answers[1].decision.degraded


def test_a_log_from_before_offers_were_registered_replays(sold):
    sold.decide(candidate(**CARRIES), candidate("c-2", offer={"id": "upgrade", "amount_minor": 1}))
    older = []
    for index, data in sold.application.audit.entries():
        said = msgspec.json.decode(data)
        assert said["answers"].pop(OFFER) == [msgspec.to_builtins(OfferTerms("unregistered"))]
        older.append((index, msgspec.json.encode(said)))
    _, replay = sold.replayed()
    assert list(replay.check(older)) == []


def test_terms_may_bring_policies_that_ask_what_nobody_else_asks(url):
    text = """
apiVersion: guardrails/v1
policies:
  - {id: may, kind: content_toggle, applies_to: {sponsor.id: hotel}, per: sponsor, default: "off"}
  - {id: fine, kind: conversion_steps, applies_to: {lane: monetized}, max: 3}
"""
    made = Route(open_stores(url), policies=text)
    register(made, offer())
    (answer,) = made.decide(candidate(**CARRIES))
    assert codes(answer) == ["toggle.off"]
    assert made.replayed()[0] == []
    made.close()


def test_a_store_of_offers_that_fails_is_an_outage(sold):
    sold.stores.lost.add("offers.read")
    answers = sold.decide(candidate(**CARRIES))
    assert [answer.decision.degraded for answer in answers] == [True]
    assert effects(answers) == ["deny"]
