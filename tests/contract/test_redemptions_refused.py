"""What can not be redeemed, over every store: each refusal by its own code, and with nothing taken."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.offers.conversions import KeptConversion, StepDone
from guardrails.offers.redemptions import RedemptionRequest
from offer_terms import offer
from redeeming import NOW, Rig, ready, refused, wallet
from stores import instant


def test_stock_is_taken_once(transactor):
    rig = ready(transactor, decisions=(1, 2), stock=1, per_recipient=9)
    rig.redeem(rig.token(1))
    assert refused(rig, rig.token(2)) == "offer.sold_out"


def test_a_recipient_redeems_as_often_as_the_offer_allows(transactor):
    rig = ready(transactor, decisions=(1, 2, 3), per_recipient=2)
    rig.decided(4, "ben")
    rig.top_up("ben")
    rig.redeem(rig.token(1))
    rig.redeem(rig.token(2))
    assert refused(rig, rig.token(3)) == "redemption.recipient_limit"
    assert rig.redeem(rig.token(4, recipient="ben"), "ben").state == "settled"


def test_a_unit_holds_what_its_items_took_before(transactor):
    """Several items of one group are decided by what those before them took, not by what was read."""
    rig = ready(transactor, decisions=(1, 2), stock=1, per_recipient=9)
    takings = [rig.redemptions._taking(rig.token(each), RedemptionRequest(recipient="anna"), NOW) for each in (1, 1, 2)]
    first, again, late = transactor.call(
        lambda session, groups: [rig.redemptions._redeem(session, group) for group in groups], takings
    )
    assert (first.is_new, again.is_new, again.redemption.id, late.code) == (
        True,
        False,
        first.redemption.id,
        "offer.sold_out",
    )


@pytest.mark.parametrize(
    ("wanted", "terms", "claims"),
    [
        ("offer.unregistered", {}, {"offer": "other"}),
        ("offer.contradicts", {}, {"amount_minor": 1}),
        ("offer.contradicts", {}, {"currency": "USD"}),
        ("offer.not_begun", {"begins_at": NOW + timedelta(microseconds=1)}, {}),
        ("offer.ended", {"ends_at": NOW}, {}),
        ("token.expired", {}, {"expires_at_seconds": int(NOW.timestamp())}),
        ("decision.unknown", {}, {"decision_id": "d-9"}),
        ("payment.no_method", {"payment": "none", "amount_minor": 0}, {"amount_minor": 0}),
    ],
)
def test_what_can_not_be_redeemed_is_refused_by_its_own_code(transactor, wanted, terms, claims):
    rig = ready(transactor, **terms)
    del rig.redemptions._methods["none"]
    assert refused(rig, rig.token(**claims)) == wanted
    assert (rig.taken(), rig.events(), rig.balances(wallet())) == (0, [], [5000])


def test_a_withdrawn_offer_is_refused(transactor):
    rig = ready(transactor)
    rig.do(lambda session: session.offers.withdraw(["upgrade"], instant(10)))
    assert refused(rig, rig.token()) == "offer.withdrawn"


@pytest.mark.parametrize(
    ("state", "wanted"), [("cancelled", "decision.cancelled"), ("expired", None), ("failed", None)]
)
def test_the_send_that_was_cancelled_gives_nothing(transactor, state, wanted):
    """A failed or unreported send may have arrived after all: whoever has its token got it."""
    rig = Rig(transactor)
    rig.register(offer(payment="none", amount_minor=0))
    rig.decided(1, state=state)
    if wanted is None:
        assert rig.redeem(rig.token(amount_minor=0)).state == "settled"
    else:
        assert refused(rig, rig.token(amount_minor=0)) == wanted


def test_another_recipient_is_refused_by_the_token_and_by_the_decision(transactor):
    rig = ready(transactor)
    assert refused(rig, rig.token(), "ben") == "token.other_recipient"
    assert refused(rig, rig.token(recipient="ben"), "ben") == "token.other_recipient"
    assert refused(rig, rig.token(decision_id="d-9"), "ben") == "token.other_recipient"  # no decision to look at


def conversion(**changes) -> KeptConversion:
    fields = {
        "id": "k-1",
        "decision_id": "d-1",
        "offer": "upgrade",
        "recipient": "anna",
        "body_hash": b"",
        "declared": ("view", "pay"),
        "opened_at": instant(10, 4),
        "ends_at": instant(10, 9),
    }
    return KeptConversion(**(fields | changes))


def test_the_payment_of_a_conversion_converts_it(transactor):
    rig = ready(transactor)
    viewed = (StepDone("view", instant(10, 4)),)
    rig.do(lambda session: session.conversions.insert([conversion(done=viewed)]))
    assert rig.redeem(rig.token(), conversion="k-1").conversion == "k-1"
    kept = rig.do(lambda session: session.conversions.by_id(["k-1"]))["k-1"]
    assert (kept.converted_at, kept.done) == (NOW, (*viewed, StepDone("pay", NOW)))


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        ("conversion.out_of_order", {}),
        ("conversion.other_token", {"decision_id": "d-2"}),
        ("conversion.late", {"ends_at": NOW}),
        ("conversion.unknown", {"id": "k-2"}),
    ],
)
def test_a_conversion_that_is_not_at_its_payment_is_refused(transactor, wanted, changes):
    rig = ready(transactor)
    rig.do(lambda session: session.conversions.insert([conversion(**changes)]))
    assert refused(rig, rig.token(), conversion="k-1") == wanted
