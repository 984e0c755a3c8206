from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.core.bookkeeping import Account, Transaction, moved
from guardrails.errors import CandidateError
from guardrails.offers.conversions import KeptConversion, StepDone
from guardrails.offers.payments import ToldPayment
from guardrails.offers.redemptions import GRACE, RedemptionRequest
from offer_terms import offer
from redeeming import NOW, OUTSIDE, SHORTFALL, SPONSOR, Rig, answer, ready, wallet
from stores import instant

ELSEWHERE = Account("outside", "bank", "EUR")


def refused(rig, token, recipient="anna", **request) -> str | None:
    with pytest.raises(CandidateError) as caught:
        rig.redeem(token, recipient, **request)
    return caught.value.code


# --- by wallet --------------------------------------------------------------------------------------------------


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


# --- once -------------------------------------------------------------------------------------------------------


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


# --- what is refused --------------------------------------------------------------------------------------------


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


# --- conversions ------------------------------------------------------------------------------------------------


def conversion(**changes) -> KeptConversion:
    fields = {
        "id": "k-1",
        "decision_id": "d-1",
        "offer": "upgrade",
        "recipient": "anna",
        "body_hash": b"",
        "declared": ("view", "pay"),
        "is_paid": True,
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


# --- by a payment service ---------------------------------------------------------------------------------------


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


# --- taken back -------------------------------------------------------------------------------------------------


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


def test_what_was_charged_back_is_booked_without_asking_anybody(transactor):
    rig = ready(transactor, payment="provider")
    rig.provider.answers = [answer("authorise"), answer("capture")]
    rig.redeem(rig.token(), id="r-1")
    assert rig.refund("r-1", kind="chargeback").state == "charged_back"
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


# --- told -------------------------------------------------------------------------------------------------------


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
