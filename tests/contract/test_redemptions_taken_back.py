"""Redemptions that are taken back, over every store: the money, the stock, and what is no longer there."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.core.bookkeeping import Account, Transaction, moved
from guardrails.errors import CandidateError
from redeeming import NOW, OUTSIDE, SHORTFALL, SPONSOR, answer, ready, refused, wallet
from stores import instant

ELSEWHERE = Account("outside", "bank", "EUR")


@pytest.mark.parametrize(("kind", "state"), [("refund", "refunded"), ("chargeback", "charged_back")])
def test_a_wallet_payment_is_taken_back_with_all_that_it_held(transactor, kind, state):
    rig = ready(transactor, stock=1)
    rig.redeem(rig.token(), id="r-1")
    taken_back = rig.refund("r-1", kind=kind, reason="the room was taken")
    assert (taken_back.state, taken_back.why, rig.taken()) == (state, "the room was taken", 0)
    assert rig.balances(wallet(), SPONSOR, SHORTFALL) == [5000, 0, 0]
    assert rig.taken_back == ["r-1"]
    assert rig.events()[1:] == [(f"redemption.{state}", "r-1")]
    assert rig.refund("r-1", kind=kind) == taken_back
    assert rig.taken_back == ["r-1"]


@pytest.mark.parametrize("kind", ["refund", "chargeback"])
def test_what_was_taken_back_is_not_had_by_its_token_again(transactor, kind):
    rig = ready(transactor, stock=1)
    first = rig.redeem(rig.token())
    taken_back = rig.refund(first.id, kind=kind)
    assert rig.redeem(rig.token()) == taken_back
    assert refused(rig, rig.token(), id="r-2") == "redemption.held"
    assert (rig.taken(), rig.balances(wallet(), SPONSOR)) == (0, [5000, 0])


def test_what_was_taken_back_counts_for_nobody_s_limit(transactor):
    rig = ready(transactor, stock=1, decisions=(1, 2))
    rig.refund(rig.redeem(rig.token(1)).id)
    assert rig.redeem(rig.token(2)).state == "settled"


def test_what_the_sponsor_no_longer_has_is_a_shortfall(transactor):
    rig = ready(transactor)
    rig.redeem(rig.token(), id="r-1")
    paid_out = Transaction(
        id="payout", kind="payout", postings=moved(1500, source=SPONSOR, target=ELSEWHERE), at=instant(10, 6)
    )
    rig.do(lambda session: session.ledger.append([paid_out]))
    rig.refund("r-1")
    assert rig.balances(wallet(), SPONSOR, SHORTFALL) == [5000, 0, 1500]


def test_a_redemption_tells_when_it_entered_each_state(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund", "declined"), answer("refund")]
    first, second, third = (NOW + timedelta(hours=hour) for hour in range(3))
    rig.redeem(rig.token(), id="r-1", now=first)
    refused_once = rig.refund("r-1", now=second)
    assert (refused_once.state, refused_once.refunding_at, refused_once.refunded_at) == ("settled", second, None)
    rig.refund("r-1", now=third)
    told = msgspec.structs.asdict(rig.redemptions.read("r-1").view)
    assert {name: at for name, at in told.items() if name.endswith("_at")} == {
        "recorded_at": first,
        "authorised_at": first,
        "settled_at": first,
        "refunding_at": third,
        "refunded_at": third,
        "charged_back_at": None,
        "declined_at": None,
        "released_at": None,
    }


def test_a_payment_service_is_asked_for_a_refund(transactor):
    rig = ready(transactor, payment="provider", stock=1)
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund", "unknown")]
    rig.redeem(rig.token(), id="r-1")
    assert (rig.refund("r-1").state, rig.taken(), rig.balances(OUTSIDE)) == ("refunding", 1, [1900])
    assert rig.refund("r-1").state == "refunding"
    rig.provider.answers = [answer("refund")]
    rig.redemptions.step(NOW + timedelta(days=1))
    assert (rig.redemptions.read("r-1").state, rig.taken()) == ("refunded", 0)
    assert rig.balances(OUTSIDE, SPONSOR) == [0, 0]
    assert rig.taken_back == ["r-1"]


def test_a_refund_that_is_not_given_leaves_the_payment_as_it_was(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund", "declined", reason="payment.old")]
    rig.redeem(rig.token(), id="r-1")
    redemption = rig.refund("r-1")
    assert (redemption.state, redemption.reason, rig.taken(), rig.taken_back) == ("settled", "payment.old", 1, [])
    rig.provider.answers = [answer("refund")]
    assert rig.refund("r-1").state == "refunded"
    assert [(each.step, each.refunds) for each in rig.provider.asked[2:]] == [("refund", 1), ("refund", 2)]


@pytest.mark.parametrize("late", [answer("refund", "declined", reason="too.early"), answer("refund", "unknown")])
def test_a_late_answer_to_an_earlier_refund_says_nothing_of_a_later_one(transactor, late):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund", "unknown")]
    rig.redeem(rig.token(), id="r-1")
    first = rig.refund("r-1")
    rig.provider.answers = [answer("refund", "declined", reason="too.early")]
    rig.redemptions.step(NOW + timedelta(days=1))
    second = rig.refund("r-1", now=NOW + timedelta(days=1))
    assert (first.refunds, second.refunds, second.state) == (1, 2, "refunding")
    rig.provider.answers = [late]
    assert rig.redemptions._carry(first, NOW) == second  # by another worker, which asked for the first one
    rig.provider.answers = [answer("refund")]
    rig.redemptions.step(NOW + timedelta(days=2))
    assert rig.redemptions.read("r-1").state == "refunded"


def test_a_late_answer_that_the_first_refund_was_given_is_believed(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund", "unknown")]
    rig.redeem(rig.token(), id="r-1")
    first = rig.refund("r-1")
    rig.provider.answers = [answer("refund", "declined")]
    rig.redemptions.step(NOW + timedelta(days=1))
    rig.refund("r-1")
    rig.provider.answers = [answer("refund")]
    assert rig.redemptions._carry(first, NOW).state == "refunded"


def test_what_was_charged_back_is_booked_without_asking_anybody(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture")]
    rig.redeem(rig.token(), id="r-1")
    redemption = rig.refund("r-1", kind="chargeback", reason="not theirs")
    assert (redemption.state, redemption.refunding_at, redemption.why) == ("charged_back", None, "not theirs")
    assert len(rig.provider.asked) == 2
    assert rig.balances(OUTSIDE, SPONSOR) == [0, 0]


def test_only_what_settled_is_taken_back_and_in_one_way(transactor):
    rig = ready(transactor, payment="provider", decisions=(1, 2), per_recipient=2)

    def code(id_, kind="refund"):
        with pytest.raises(CandidateError) as caught:
            rig.refund(id_, kind=kind)
        return caught.value.code

    rig.redeem(rig.token(), id="r-1")
    assert code("r-1") == "redemption.not_settled"
    assert code("r-9") is None
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund")]
    rig.redeem(rig.token(2), id="r-2")
    rig.refund("r-2")
    assert code("r-2", "chargeback") == "redemption.taken_back"


def test_a_chargeback_overtakes_a_refund_that_is_under_way(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund", "unknown")]
    rig.redeem(rig.token(), id="r-1")
    rig.refund("r-1")
    assert rig.refund("r-1", kind="chargeback").state == "charged_back"
    assert (rig.taken_back, rig.balances(OUTSIDE, SPONSOR)) == (["r-1"], [0, 0])


def test_without_its_payment_method_nothing_is_carried_on_nor_given_back(transactor):
    rig = ready(transactor, payment="provider", decisions=(1, 2), per_recipient=2)
    rig.provider.answers = [
        answer("authorise"),
        answer("capture"),
        answer("authorise", "pending", retry_after_seconds=1),
    ]
    rig.redeem(rig.token(), id="r-1")
    rig.redeem(rig.token(2), id="r-2")
    del rig.redemptions._methods["provider"]
    assert rig.redemptions.step(NOW + timedelta(minutes=1)) == 1
    assert rig.redemptions.read("r-2").state == "reserved"
    with pytest.raises(CandidateError) as caught:
        rig.refund("r-1")
    assert (caught.value.code, rig.redemptions.read("r-1").state) == ("payment.no_method", "settled")


def test_a_recipient_s_redemptions_are_read_newest_first(transactor):
    rig = ready(transactor, decisions=(1, 2), per_recipient=2)
    rig.redeem(rig.token(1), id="r-1")
    rig.redeem(rig.token(2), id="r-2", now=NOW + timedelta(seconds=1))
    assert [each.id for each in rig.redemptions.of_recipient("anna", most=5)] == ["r-2", "r-1"]
