from __future__ import annotations

from guardrails.core.needs import BenefitTerms, OfferQuery, OfferTerms
from offer_terms import offer
from stores import instant

FULL = {
    "title": 'Zimmer "Möwe" 🙂',
    "begins_at": "2026-12-01T10:00:00+01:00",
    "ends_at": "2026-12-02T10:00:00.000001Z",
    "stock": 3,
    "per_recipient": 2,
    "steps": ["look", "buy"],
    "session_seconds": 60,
    "lifetime_seconds": 3600,
    "campaign": {"id": "winter"},
    "affiliate": {"id": "guide", "share_bps": 4000},
    "benefit": {"share_bps": 6000, "form": "discount", "text": "You pay less."},
    "commission_bps": 1250,
    "payment": "provider",
}


def insert(do, *offers):
    do(lambda session: session.offers.insert(offers))


def read(do, *ids):
    found = do(lambda session: session.offers.read([OfferQuery(each) for each in ids]))
    return [found[OfferQuery(each)] for each in ids]


def test_an_offer_comes_back_as_it_was_kept(do):
    insert(do, offer("a", **FULL), offer("b"))
    assert dict(do(lambda session: session.offers.by_id(["b", "a", "c"]))) == {
        "a": offer("a", **FULL),
        "b": offer("b"),
    }


def test_what_is_asked_for_is_answered_with_the_terms_or_that_there_are_none(do):
    insert(do, offer("a", **FULL), offer("b"))
    assert read(do, "a", "b", "c") == [
        OfferTerms(
            status="live",
            amount_minor=1900,
            currency="EUR",
            begins_at=instant(9),
            ends_at=instant(10).replace(day=2, microsecond=1),
            title='Zimmer "Möwe" 🙂',
            sponsor="hotel",
            campaign="winter",
            affiliate="guide",
            affiliate_bps=4000,
            commission_bps=1250,
            steps=("look", "buy"),
            session_seconds=60,
            lifetime_seconds=3600,
            benefit=BenefitTerms(6000, "discount", "You pay less."),
        ),
        OfferTerms(
            status="live",
            amount_minor=1900,
            currency="EUR",
            title="Sea view tonight",
            sponsor="hotel",
            commission_bps=0,
            steps=("view", "confirm", "pay"),
            session_seconds=300,
            lifetime_seconds=86_400,
        ),
        OfferTerms(status="unregistered"),
    ]


def test_units_are_taken_and_given_back(do):
    insert(do, offer("a", stock=2), offer("b"), offer("c", stock=2))
    do(lambda session: session.offers.take({"a": 2, "b": 5, "nothing": 1}))
    do(lambda session: session.offers.take({"a": 1, "b": -3}))
    found = do(lambda session: session.offers.by_id(["a", "b", "c"]))
    assert [(each.taken, each.left) for each in map(found.__getitem__, "abc")] == [(3, 0), (2, None), (0, 2)]
    assert [each.status for each in read(do, "a", "b", "c")] == ["sold_out", "live", "live"]


def test_an_offer_stays_withdrawn_at_the_instant_at_which_it_was_first(do):
    insert(do, offer("a"), offer("b"), offer("c"))
    do(lambda session: session.offers.withdraw(["a"], instant(10, 0, 0, 1)))
    do(lambda session: session.offers.withdraw(["b", "a", "nothing"], instant(11)))
    found = do(lambda session: session.offers.by_id(["a", "b", "c"]))
    assert [found[each].withdrawn_at for each in "abc"] == [instant(10, 0, 0, 1), instant(11), None]
    assert [each.status for each in read(do, "a", "b", "c")] == ["withdrawn", "withdrawn", "live"]


def test_offers_are_paged_in_the_order_of_their_ids(do):
    insert(do, *(offer(each) for each in ("b", "a.1", "B", "a", "a-1")))

    def page(after, most):
        return [each.id for each in do(lambda session: session.offers.page(after, most))]

    assert page("", 3) == ["B", "a", "a-1"]
    assert page("a-1", 3) == ["a.1", "b"]
    assert page("b", 3) == []
