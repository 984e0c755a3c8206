from __future__ import annotations

import pytest

from guardrails.decide.entry import EventEntry, decode_entry
from guardrails.errors import CandidateError, ConflictError, NotFoundError
from guardrails.offers.service import Offers
from guardrails.policyfile.currencies import currency_words
from offer_terms import terms
from stores import instant


@pytest.fixture
def offers(transactor) -> Offers:
    return Offers(transactor)


def events(do):
    entries = do(lambda session: [decode_entry(entry) for _, entry in session.audit.read(0, 100)])
    return [(each.event, each.at, each.body["id"]) for each in entries if isinstance(each, EventEntry)]


def test_the_same_terms_again_are_answered_with_the_first_offer(offers, do):
    first, is_new = offers.register(terms(stock=3), now=instant(9))
    again = offers.register(terms(stock=3, steps=["view", "confirm", "pay"]), now=instant(10))
    assert (is_new, again) == (True, (first, False))
    assert (first.offer.recorded_at, first.offer.left, first.settled) == (instant(9), 3, 0)
    assert events(do) == [("offer.registered", instant(9), "upgrade")]


def test_terms_never_change(offers):
    first, _ = offers.register(terms(), now=instant(9))
    with pytest.raises(ConflictError) as caught:
        offers.register(terms(amount_minor=1901), now=instant(9))
    assert caught.value.code == "offer.other_terms"
    assert offers.read("upgrade") == first


@pytest.mark.parametrize("currency", ["XTS", "ABC", "DEM", "BGN"])
def test_a_currency_is_one_in_use_by_iso_4217(offers, currency):
    with pytest.raises(CandidateError) as caught:
        offers.register(terms(currency=currency), now=instant(9))
    assert caught.value.problems == (("/currency", currency_words(currency)),)


@pytest.mark.parametrize("ends_at", [instant(8), instant(9)])
def test_a_new_offer_is_not_over_yet(offers, ends_at):
    with pytest.raises(CandidateError) as caught:
        offers.register(terms(ends_at=ends_at), now=instant(9))
    assert caught.value.problems == (("/ends_at", "lies in the past: it is 2026-12-01T09:00:00+00:00 now"),)
    assert offers.register(terms(ends_at=instant(9, 1)), now=instant(9)).is_new


def test_what_was_registered_is_answered_again_though_nobody_can_pay_for_it_any_more(offers, transactor):
    kept = terms(ends_at=instant(10), payment="provider")
    first, _ = offers.register(kept, now=instant(9))
    later = Offers(transactor, unpayable=frozenset({"provider"}))
    again, is_new = later.register(kept, now=instant(11))
    assert (again.offer, is_new) == (first.offer, False)


def test_a_withdrawn_offer_stays_withdrawn_since_the_first_time(offers, do):
    offers.register(terms(), now=instant(9))
    assert offers.withdraw("upgrade", now=instant(10)).offer.withdrawn_at == instant(10)
    assert offers.withdraw("upgrade", now=instant(11)).offer.withdrawn_at == instant(10)
    assert events(do)[1:] == [("offer.withdrawn", instant(10), "upgrade")]


def test_what_there_is_none_of_is_not_found(offers):
    for ask in (offers.read, lambda id_: offers.withdraw(id_, now=instant(9))):
        with pytest.raises(NotFoundError) as caught:
            ask("nothing")
        assert caught.value.code == "offer.unregistered"


def test_offers_are_listed_by_id(offers):
    for id_ in ("b", "a", "c"):
        offers.register(terms(id_), now=instant(9))
    assert [each.offer.id for each in offers.page(most=2)] == ["a", "b"]
    assert [each.offer.id for each in offers.page(after="b", most=2)] == ["c"]
