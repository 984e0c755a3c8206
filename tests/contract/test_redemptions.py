"""Redemptions by wallet, and of what is free, over every store: each once, however often it is asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.core.bookkeeping import Account
from offer_terms import offer
from redeeming import NOW, SPONSOR, Rig, ready, refused, wallet


def test_a_wallet_pays_within_the_unit_that_reserves(transactor):
    rig = ready(transactor, stock=1)
    redemption = rig.redeem(rig.token(), id="r-1")
    assert (redemption.state, redemption.settled_at, redemption.due_at) == ("settled", NOW, None)
    assert rig.balances(wallet(), SPONSOR) == [3100, 1900]
    assert rig.taken() == 1
    assert rig.settled == ["r-1"]
    assert rig.entered == [("r-1", "settled")]
    assert rig.events() == [("redemption.settled", "r-1")]
    assert rig.redemptions.read("r-1") == redemption


def test_a_wallet_with_too_little_in_it_declines_and_holds_nothing(transactor):
    rig = ready(transactor, stock=1, amount_minor=5001)
    token = rig.token(amount_minor=5001)
    redemption = rig.redeem(token, id="r-1")
    assert (redemption.state, redemption.reason) == ("declined", "payment.insufficient_funds")
    assert rig.balances(wallet(), SPONSOR) == [5000, 0]
    assert (rig.taken(), rig.settled) == (0, [])
    assert rig.redeem(token, id="r-1") == redemption
    assert rig.redeem(token, id="r-2").state == "declined"


def test_what_costs_nothing_settles_without_a_posting(transactor):
    rig = ready(transactor, amount_minor=0, payment="none")
    assert rig.redeem(rig.token(amount_minor=0)).state == "settled"
    assert rig.do(lambda session: session.ledger.last_seq()) == 1  # the top-up


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_amounts_of_any_currency_are_in_its_own_minor_units(transactor, currency):
    rig = Rig(transactor)
    rig.register(offer(currency=currency, amount_minor=2**53))
    rig.decided()
    rig.top_up(amount=2**53 + 1, currency=currency)
    rig.redeem(rig.token(amount_minor=2**53, currency=currency))
    assert rig.balances(wallet(currency=currency), Account("sponsor", "hotel", currency)) == [1, 2**53]


def test_the_same_id_is_answered_with_the_same_redemption(transactor):
    rig = ready(transactor)
    first = rig.redeem(rig.token(), id="r-1")
    assert rig.redeem(rig.token(), id="r-1", now=NOW + timedelta(hours=2)) == first
    assert rig.balances(wallet()) == [3100]


def test_the_same_id_with_another_body_is_a_conflict(transactor):
    rig = ready(transactor, decisions=(1, 2), per_recipient=2)
    rig.redeem(rig.token(), id="r-1")
    assert refused(rig, rig.token(2), id="r-1") == "redemption.other_body"


def test_without_an_id_the_token_tells_the_request_again(transactor):
    rig = ready(transactor)
    assert rig.redeem(rig.token()) == rig.redeem(rig.token())
    assert rig.balances(wallet()) == [3100]


def test_a_token_that_is_held_is_refused_to_any_other_redemption(transactor):
    rig = ready(transactor, per_recipient=2)
    rig.redeem(rig.token(), id="r-1")
    assert refused(rig, rig.token(), id="r-2") == "redemption.held"
    assert refused(rig, rig.token(), conversion="k-1") == "redemption.held"


def test_a_token_may_be_tried_again_after_it_was_declined(transactor):
    rig = Rig(transactor)
    rig.register(offer(stock=1))
    rig.decided()
    assert rig.redeem(rig.token()).state == "declined"
    rig.top_up()
    assert rig.redeem(rig.token()).state == "settled"
    assert rig.events() == [("redemption.declined", "own-1"), ("redemption.settled", "own-2")]
