from __future__ import annotations

import msgspec
import pytest

from guardrails.decoding import Decoder
from guardrails.errors import CandidateError
from guardrails.offers import OfferRequest
from offer_terms import offer, terms
from stores import instant

OFFER = Decoder(OfferRequest)
LEAST = {"id": "u", "title": "t", "amount_minor": 1, "currency": "EUR", "sponsor": {"id": "s"}}


def problems(**changes) -> tuple[tuple[str, str], ...]:
    with pytest.raises(CandidateError) as caught:
        OFFER.decode(msgspec.json.encode(LEAST | changes))
    return caught.value.problems


def test_an_offer_needs_few_words():
    assert OFFER.decode(msgspec.json.encode(LEAST)).steps == ("view", "confirm", "pay")


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/id", {"id": ""}),
        ("/id", {"id": "-a"}),
        ("/id", {"id": "a" * 65}),
        ("/id", {"id": "a/b"}),
        ("/title", {"title": ""}),
        ("/title", {"title": "a" * 101}),
        ("/amount_minor", {"amount_minor": -1}),
        ("/amount_minor", {"amount_minor": 2**53 + 1}),
        ("/amount_minor", {"amount_minor": 1.5}),
        ("/currency", {"currency": "eur"}),
        ("/stock", {"stock": 0}),
        ("/per_recipient", {"per_recipient": 0}),
        ("/steps", {"steps": []}),
        ("/steps", {"steps": ["a", "b", "c", "d"]}),
        ("/steps/1", {"steps": ["a", "a"]}),
        ("/steps/0", {"steps": ["pay", "confirm"]}),
        ("/session_seconds", {"session_seconds": 29}),
        ("/session_seconds", {"session_seconds": 3601}),
        ("/lifetime_seconds", {"lifetime_seconds": 30 * 86_400 + 1}),
        ("/commission_bps", {"commission_bps": 10_001}),
        ("/payment", {"payment": "none"}),
        ("/payment", {"amount_minor": 0}),
        ("/payment", {"payment": "cash"}),
        ("/ends_at", {"begins_at": "2026-12-01T10:00:00Z", "ends_at": "2026-12-01T11:00:00+01:00"}),
        ("/begins_at", {"begins_at": "1969-12-31T23:59:59Z"}),
        ("/ends_at", {"ends_at": "2200-01-01T00:00:00Z"}),
        ("/ends_at", {"ends_at": "2026-12-01T10:00:00"}),
        ("/benefit/share_bps", {"affiliate": {"id": "a", "share_bps": 5001}, "benefit": {"share_bps": 5000}}),
        ("/price", {"price": 1}),
    ],
)
def test_what_makes_no_sense_is_refused_in_its_place(pointer, changes):
    assert [each for each, _ in problems(**changes)] == [pointer]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a" * 64, "title": "a" * 100, "amount_minor": 2**53},
        {"stock": 1, "per_recipient": 1, "session_seconds": 30, "lifetime_seconds": 60, "steps": ["a"]},
        {"session_seconds": 3600, "lifetime_seconds": 30 * 86_400, "commission_bps": 10_000},
        {"benefit": {"share_bps": 0, "text": "x"}},
        {"benefit": {"share_bps": 10_000, "text": "x" * 500}},
        {"begins_at": "2026-12-01T10:00:00Z", "ends_at": "2026-12-01T10:00:00.000001Z"},
    ],
)
def test_the_least_and_the_most_of_each_is_taken(changes):
    OFFER.decode(msgspec.json.encode(LEAST | changes))


def test_shares_may_be_all_there_is():
    OFFER.decode(
        msgspec.json.encode(LEAST | {"affiliate": {"id": "a", "share_bps": 5000}, "benefit": {"share_bps": 5000}})
    )


def test_what_stands_in_a_store_is_read_as_it_was_whatever_defaults_become():
    assert set(msgspec.json.decode(msgspec.json.encode(terms()))) == set(OfferRequest.__struct_fields__)


def test_an_offer_is_sold_out_where_all_is_taken_and_withdrawn_first_of_all():
    assert [offer(stock=2, taken=each).status for each in (0, 1, 2, 3)] == ["live", "live", "sold_out", "sold_out"]
    assert offer(taken=10**6).status == "live"
    withdrawn = msgspec.structs.replace(offer(stock=1, taken=1), withdrawn_at=instant(9))
    assert withdrawn.status == "withdrawn"


def test_terms_in_a_currency_that_was_withdrawn_since_are_read_again():
    assert OFFER.decode(msgspec.json.encode(LEAST | {"currency": "BGN"})).currency == "BGN"
