from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.core.candidate import Candidate
from guardrails.core.needs import OfferTerms
from guardrails.policyfile.kinds.offer_terms import ContradictionsNeed, StateNeed

STATE, CONTRADICTS = "terms.p.state", "terms.p.contradicts"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
CANDIDATE = msgspec.convert(
    {
        "id": "c-1",
        "lane": "monetized",
        "channel": "push",
        "recipient": {"id": "r-1"},
        "content": {"class": "sponsored"},
        "sponsor": {"id": "other"},
        "offer": {"id": "upgrade"},
    },
    Candidate,
)
WITHOUT_OFFER = msgspec.structs.replace(CANDIDATE, offer=None)
TERMS = OfferTerms("live", sponsor="acme", begins_at=NOON, ends_at=NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({STATE: "live"}, "satisfied"),
        ({STATE: "unregistered"}, "satisfied"),
        ({STATE: "not_begun"}, "offer.not_begun"),
        ({STATE: "ended"}, "offer.ended"),
        ({STATE: "withdrawn"}, "offer.withdrawn"),
        ({STATE: "sold_out"}, "offer.sold_out"),
        ({STATE: "unpayable"}, "offer.no_payment"),
        ({STATE: "live", CONTRADICTS: ("sponsor.id",)}, "offer.contradicts"),
        ({STATE: "ended", CONTRADICTS: ("sponsor.id",)}, "offer.contradicts"),
        ({}, "undetermined"),
    ],
)
def test_an_offer_is_sent_while_it_can_be_had_on_its_own_terms(policy, outcome, facts, expected):
    assert outcome(policy("kind: offer_terms\n"), facts) == expected


def test_registration_may_be_demanded(policy, outcome):
    demanding = policy("kind: offer_terms\nregistered: true\n")
    assert outcome(demanding, {STATE: "unregistered"}) == "offer.unregistered"
    assert outcome(demanding, {STATE: "live"}) == "satisfied"


def test_it_asks_nothing_of_its_own_and_nothing_at_all_without_an_offer(policy):
    needs = policy("kind: offer_terms\n").needs
    assert needs == (StateNeed(STATE), ContradictionsNeed(CONTRADICTS))
    assert {need.queries(CANDIDATE, NOON) for need in needs} == {()}
    assert {need.queries(WITHOUT_OFFER, NOON) for need in needs} == {None}
    assert {(need.fields, need.shares) for need in needs} == {(("offer.id",), ("offer",))}


def test_its_facts_are_made_of_the_terms():
    state, contradicts = StateNeed(STATE), ContradictionsNeed(CONTRADICTS)
    assert state.value((TERMS,), CANDIDATE, NOON) == "live"
    assert state.next_change((TERMS,), CANDIDATE, NOON) == NOON + timedelta(hours=1)
    assert contradicts.value((TERMS,), CANDIDATE, NOON) == ("sponsor.id",)
    assert contradicts.value((OfferTerms("live"),), CANDIDATE, NOON) is None
    assert contradicts.next_change((TERMS,), CANDIDATE, NOON) is None
