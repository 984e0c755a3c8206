"""What registered terms mean for a candidate: they complete it, contradict it, and begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.core.candidate import Candidate
from guardrails.core.needs import BenefitTerms, OfferTerms
from guardrails.core.offer_terms import completed, contradictions, next_change, state_at

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARE = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1"},
    "content": {"class": "sponsored"},
    "offer": {"id": "upgrade"},
}
TERMS = OfferTerms(
    "live",
    amount_minor=1900,
    currency="EUR",
    begins_at=NOON,
    ends_at=NOON + HOUR,
    title="Sea view",
    sponsor="acme",
    campaign="autumn",
    affiliate="partner",
    affiliate_bps=1000,
    commission_bps=500,
    steps=("view", "pay"),
    session_seconds=300,
    lifetime_seconds=3600,
    benefit=BenefitTerms(500, "credits", "5 % back"),
)
UNREGISTERED = OfferTerms("unregistered")
SPARE = OfferTerms("live", amount_minor=1900, currency="EUR", sponsor="acme")


def candidate(**parts):
    return msgspec.convert({**BARE, **parts}, Candidate)


def changed(**parts):
    return msgspec.structs.replace(TERMS, **parts)


def test_terms_complete_a_candidate_that_says_nothing():
    assert completed(candidate(), TERMS) == candidate(
        content={"class": "sponsored", "steps": 2},
        offer={"id": "upgrade", "amount_minor": 1900, "currency": "EUR", "expires_at": (NOON + HOUR).isoformat()},
        sponsor={"id": "acme"},
        campaign={"id": "autumn"},
        affiliate={"id": "partner"},
        benefit={"share_bps": 500, "form": "credits", "text": "5 % back"},
        conversion={"max_seconds": 300},
    )


def test_terms_that_say_less_complete_less():
    assert completed(candidate(), SPARE) == candidate(
        offer={"id": "upgrade", "amount_minor": 1900, "currency": "EUR"}, sponsor={"id": "acme"}
    )


def test_terms_override_nothing_that_was_stated():
    stated = candidate(
        content={"class": "sponsored", "steps": 1},
        offer={"id": "upgrade", "amount_minor": 1, "currency": "USD", "expires_at": NOON.isoformat()},
        sponsor={"id": "other"},
        campaign={"id": "winter", "arm": "b"},
        affiliate={"id": "friend"},
        benefit={"share_bps": 1, "form": "discount", "text": "something"},
        conversion={"hosts": ["pay.example.com"], "max_seconds": 60},
    )
    assert completed(stated, TERMS) == stated


def test_a_part_that_is_stated_in_part_is_completed():
    stated = candidate(benefit={"text": "5 % zurück"}, campaign={"id": "autumn", "arm": "b"})
    done = completed(stated, TERMS)
    assert msgspec.to_builtins(done.benefit) == {"share_bps": 500, "form": "credits", "text": "5 % zurück"}
    assert done.campaign == stated.campaign


@pytest.mark.parametrize(
    ("stated", "terms"), [(candidate(), UNREGISTERED), (candidate(offer=None), TERMS)], ids=["unregistered", "no offer"]
)
def test_where_there_is_nothing_registered_a_candidate_stays_as_it_is(stated, terms):
    assert completed(stated, terms) is stated
    assert contradictions(stated, terms) == ()


@pytest.mark.parametrize(
    ("field", "parts"),
    [
        ("content.steps", {"content": {"class": "sponsored", "steps": 3}}),
        ("campaign.id", {"campaign": {"id": "winter"}}),
        ("sponsor.id", {"sponsor": {"id": "other"}}),
        ("affiliate.id", {"affiliate": {"id": "friend"}}),
        ("offer.amount_minor", {"offer": {"id": "upgrade", "amount_minor": 0}}),
        ("offer.currency", {"offer": {"id": "upgrade", "currency": "USD"}}),
        ("offer.expires_at", {"offer": {"id": "upgrade", "expires_at": (NOON + 2 * HOUR).isoformat()}}),
        ("benefit.share_bps", {"benefit": {"share_bps": 501}}),
        ("benefit.form", {"benefit": {"form": "discount"}}),
        ("conversion.max_seconds", {"conversion": {"hosts": [], "max_seconds": 60}}),
    ],
)
def test_a_field_that_says_something_else_is_named(field, parts):
    assert contradictions(candidate(**parts), TERMS) == (field,)


def test_what_completes_a_candidate_contradicts_nothing():
    assert contradictions(completed(candidate(), TERMS), TERMS) == ()
    assert contradictions(candidate(), TERMS) == ()


def test_an_earlier_end_and_another_sentence_are_no_contradiction():
    stated = candidate(
        offer={"id": "upgrade", "expires_at": NOON.isoformat()}, benefit={"share_bps": 500, "text": "5 % zurück"}
    )
    assert contradictions(stated, TERMS) == ()


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ({"benefit": {"share_bps": 500}}, ("benefit.share_bps",)),
        ({"benefit": {"share_bps": 500, "form": "credits"}}, ("benefit.share_bps", "benefit.form")),
        ({"benefit": {"form": "credits", "text": "half of it is yours"}}, ("benefit.form", "benefit.text")),
        ({"benefit": {}}, ()),
        ({"benefit": {"share_bps": 0, "form": "credits"}}, ()),
        ({"affiliate": {"id": "friend"}}, ("affiliate.id",)),
        ({"campaign": {"id": "any"}}, ()),
        ({"content": {"class": "sponsored", "steps": 3}}, ()),
        ({"offer": {"id": "upgrade", "expires_at": (NOON + 2 * HOUR).isoformat()}}, ()),
    ],
)
def test_a_share_that_the_terms_do_not_have_is_promised_by_nobody(parts, fields):
    assert contradictions(candidate(**parts), SPARE) == fields


@pytest.mark.parametrize(
    ("terms", "at", "state", "change"),
    [
        (TERMS, NOON - HOUR, "not_begun", NOON),
        (TERMS, NOON, "live", NOON + HOUR),
        (TERMS, NOON + HOUR, "ended", None),
        (SPARE, NOON, "live", None),
        (changed(status="sold_out"), NOON - HOUR, "not_begun", NOON),
        (changed(status="sold_out"), NOON, "sold_out", NOON + HOUR),
        (changed(status="withdrawn"), NOON - HOUR, "withdrawn", None),
        (UNREGISTERED, NOON, "unregistered", None),
    ],
)
def test_an_offer_can_be_had_from_its_begin_until_its_end(terms, at, state, change):
    assert (state_at(candidate(), terms, at), next_change(candidate(), terms, at)) == (state, change)


def test_an_offer_ends_where_the_candidate_ends_it_sooner():
    sooner = candidate(offer={"id": "upgrade", "expires_at": (NOON + HOUR / 2).isoformat()})
    assert next_change(sooner, TERMS, NOON) == NOON + HOUR / 2
    assert state_at(sooner, TERMS, NOON + HOUR / 2) == "ended"
    assert state_at(candidate(offer=None), TERMS, NOON) == "live"


def test_an_offer_of_which_nothing_is_registered_ends_where_the_candidate_says():
    ending = candidate(offer={"id": "upgrade", "expires_at": NOON.isoformat()})
    before = NOON - timedelta(microseconds=1)
    assert (state_at(ending, UNREGISTERED, before), next_change(ending, UNREGISTERED, before)) == ("unregistered", NOON)
    assert (state_at(ending, UNREGISTERED, NOON), next_change(ending, UNREGISTERED, NOON)) == ("ended", None)
