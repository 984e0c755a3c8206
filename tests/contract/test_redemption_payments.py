"""Redemptions by a payment service, over every store: its answers, its events and its silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from guardrails.attribution.settlement import Settlements
from guardrails.offers.redemptions import GRACE
from guardrails.payments.port import ToldPayment
from redeeming import NOW, OUTSIDE, SPONSOR, Rig, answer, ready, wallet

MONTHS = ("2026-12", "2027-01")
MUCH_LATER = datetime(2027, 3, 1, tzinfo=UTC)


def test_a_payment_service_is_asked_to_authorise_and_to_capture(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise", reference="pay-7"), answer("capture")]
    redemption = rig.redeem(rig.token(), id="r-1")
    assert (redemption.state, redemption.reference) == ("settled", "pay-7")
    assert [(each.step, each.reference) for each in rig.provider.asked] == [("authorise", None), ("capture", "pay-7")]
    assert rig.balances(OUTSIDE, SPONSOR, wallet()) == [1900, 1900, 5000]
    assert rig.entered == [("r-1", "reserved"), ("r-1", "authorised"), ("r-1", "settled")]
    assert rig.events() == [(f"redemption.{state}", "r-1") for state in ("reserved", "authorised", "settled")]
    assert rig.settled == ["r-1"]


def test_what_a_slow_payment_service_answers_after_midnight_is_booked_in_the_new_month(transactor):
    asked, answered = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 3, tzinfo=UTC)
    rig = ready(transactor, payment="provider", clock=lambda: answered)
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund")]
    token = rig.token(expires_at_seconds=int(answered.timestamp()))
    assert rig.redeem(token, id="r-1", now=asked).settled_at == answered
    assert rig.refund("r-1", now=asked).refunded_at == answered
    december, january = (Settlements(transactor, zone=lambda: UTC).settle(month, now=MUCH_LATER) for month in MONTHS)
    assert (december.totals, december.statements) == ((), ())
    assert [each.what for each in january.statements[0].lines] == ["payment", "refund"]


def test_a_clock_that_was_set_back_books_nothing_before_it_was_asked_for(transactor):
    rig = ready(transactor, payment="provider", clock=lambda: NOW - timedelta(days=40))
    rig.provider.answers = [answer("authorise"), answer("capture")]
    assert rig.redeem(rig.token(), id="r-1").settled_at == NOW


def test_what_has_no_answer_is_held_and_asked_for_again_when_it_is_due(transactor):
    rig = ready(transactor, payment="provider", stock=1)
    rig.provider.answers = [answer("authorise", "unknown", retry_after_seconds=7.0)]
    held = rig.redeem(rig.token(), id="r-1")
    assert (held.state, held.due_at, held.attempts, rig.taken()) == ("reserved", NOW + timedelta(seconds=7), 1, 1)
    assert rig.redemptions.step(NOW + timedelta(seconds=6)) == 0
    rig.provider.answers = [answer("authorise"), answer("capture")]
    assert rig.redemptions.step(NOW + timedelta(seconds=7)) == 1
    assert rig.redemptions.read("r-1").state == "settled"
    assert rig.redemptions.step(NOW + timedelta(days=1)) == 0


def test_who_carries_a_payment_on_is_left_alone_for_a_while(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise", "pending", retry_after_seconds=0.0)]
    rig.redeem(rig.token())
    claimed = []
    rig.provider.carry_on = lambda payment: claimed.append(rig.redemptions.step(NOW)) or answer("authorise")
    assert rig.redemptions.step(NOW) == 1
    assert claimed == [0, 0]  # while it authorised, and while it captured


def test_a_process_that_died_is_followed_by_another(transactor):
    rig = ready(transactor, payment="provider")

    def dies(_):
        raise KeyboardInterrupt

    rig.provider.carry_on = dies
    with pytest.raises(KeyboardInterrupt):
        rig.redeem(rig.token(), id="r-1")
    assert rig.redemptions.read("r-1").state == "reserved"
    other = Rig(transactor)
    other.provider.answers = [answer("authorise"), answer("capture")]
    assert other.redemptions.step(NOW + GRACE - timedelta(microseconds=1)) == 0
    assert other.redemptions.step(NOW + GRACE) == 1
    assert other.redemptions.read("r-1").state == "settled"


def test_one_that_fails_keeps_no_other_back(transactor):
    rig = ready(transactor, payment="provider", decisions=(1, 2), per_recipient=2)
    for number in (1, 2):
        rig.redeem(rig.token(number), id=f"r-{number}")

    def carry_on(payment):
        if payment.id == "r-1":
            raise OverflowError("beyond what the books hold")
        return answer(payment.step)

    rig.provider.carry_on = carry_on
    with pytest.raises(OverflowError, match="beyond what the books hold"):
        rig.redemptions.step(NOW + timedelta(days=1))
    assert [rig.redemptions.read(f"r-{number}").state for number in (1, 2)] == ["reserved", "settled"]


def test_a_declined_payment_lets_go_of_what_it_held(transactor):
    rig = ready(transactor, payment="provider", stock=1)
    rig.provider.answers = [answer("authorise", "declined", reason="payment.declined")]
    redemption = rig.redeem(rig.token())
    assert (redemption.state, redemption.reason, rig.taken()) == ("declined", "payment.declined", 0)
    rig.provider.answers = [answer("authorise"), answer("capture")]
    assert rig.redeem(rig.token()).state == "settled"


def test_stock_is_kept_until_a_given_up_payment_is_known_to_be_void(transactor):
    rig = ready(transactor, payment="provider", stock=1)
    rig.provider.answers = [answer("authorise", "abandoned"), answer("void", "unknown", retry_after_seconds=1.0)]
    assert (rig.redeem(rig.token(), id="r-1").state, rig.taken()) == ("reserved", 1)
    rig.provider.answers = [answer("void")]
    rig.redemptions.step(NOW + timedelta(seconds=1))
    assert (rig.redemptions.read("r-1").state, rig.taken()) == ("released", 0)


def test_a_payment_that_turns_out_to_be_captured_settles_though_it_was_to_be_void(transactor):
    rig = ready(transactor, payment="provider", stock=1)
    rig.provider.answers = [answer("authorise", "abandoned"), answer("capture")]
    assert (rig.redeem(rig.token()).state, rig.taken(), rig.balances(SPONSOR)) == ("settled", 1, [1900])


def tell(rig, *results, id_="r-1", **changes):
    told = [
        ToldPayment(id=id_, result=each, **({"amount_minor": 1900, "currency": "EUR"} | changes)) for each in results
    ]
    return rig.do(lambda session: rig.redemptions.take(session, told, NOW))


def test_what_a_payment_service_tells_is_applied_as_an_answer_is(transactor):
    rig = ready(transactor, payment="provider")
    rig.redeem(rig.token(), id="r-1")
    assert tell(rig, answer("authorise"), answer("capture"), answer("authorise"), answer("capture")) == [True] * 4
    assert (rig.redemptions.read("r-1").state, rig.settled, rig.balances(SPONSOR)) == ("settled", ["r-1"], [1900])
    assert tell(rig, answer("refund")) == [True]
    assert (rig.redemptions.read("r-1").state, rig.taken_back, rig.balances(SPONSOR)) == ("refunded", ["r-1"], [0])
    assert tell(rig, answer("capture"), answer("chargeback"), answer("void")) == [True] * 3
    assert rig.redemptions.read("r-1").state == "refunded"
    rig.redemptions.step(NOW)
    assert rig.entered == [("r-1", each) for each in ("reserved", "authorised", "settled", "refunded")]


def test_a_chargeback_of_a_capture_that_nobody_told_of_books_both(transactor):
    rig = ready(transactor, payment="provider", stock=1)
    rig.redeem(rig.token(), id="r-1")
    tell(rig, answer("chargeback"))
    assert (rig.redemptions.read("r-1").state, rig.taken()) == ("charged_back", 0)
    assert (rig.settled, rig.taken_back, rig.balances(SPONSOR, OUTSIDE)) == (["r-1"], ["r-1"], [0, 0])


def test_what_a_unit_that_failed_led_to_is_not_told(transactor):
    rig = ready(transactor, payment="provider")
    rig.redeem(rig.token(), id="r-1")

    def taken_and_lost(session):
        told = [ToldPayment(id="r-1", result=answer("capture"), amount_minor=1900, currency="EUR")]
        rig.redemptions.take(session, told, NOW)
        raise OverflowError

    with pytest.raises(OverflowError):
        rig.do(taken_and_lost)
    rig.redemptions.step(NOW)
    assert rig.entered == [("r-1", "reserved")]


def test_what_is_told_of_another_payment_or_amount_changes_nothing(transactor):
    rig = ready(transactor, payment="provider")
    held = rig.redeem(rig.token(), id="r-1")
    assert tell(rig, answer("capture"), id_="r-9") == [False]
    assert tell(rig, answer("capture"), amount_minor=1899) == [True]
    assert tell(rig, answer("capture"), currency="USD") == [True]
    assert rig.redemptions.read("r-1") == held
