"""What redemptions earn, over every store: booked where they settle, taken back with them, and settled."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from earned import Earnings, allow, claims_of
from guardrails.attribution.commissions import Commissions
from guardrails.attribution.settlement import Settlements
from guardrails.attribution.values import Shortfall
from guardrails.core.bookkeeping import Account, Transaction, moved
from guardrails.core.policy_set import Attribution
from guardrails.errors import NotFoundError
from guardrails.offers.conversions import KeptConversion
from offer_terms import offer
from redeeming import NOW, Rig, answer, wallet
from stores import instant

SHARED = {"benefit_bps": 1000, "affiliate": "blog", "affiliate_bps": 500, "offer": "upgrade", "sponsor": "hotel"}
LATER = datetime(2027, 2, 1, tzinfo=UTC)


class Selling(Rig):
    """A rig whose redemptions earn commissions, with a decision that carried the offer, and money in the wallet."""

    def __init__(self, transactor, **terms):
        commissions = Commissions(terms=Attribution)
        super().__init__(transactor, on_settled=commissions.settled, on_taken_back=commissions.taken_back)
        self.earnings = Earnings(transactor)
        self.register(offer(**{"commission_bps": 1000} | terms))
        self.earnings.allowed(allow(1, at=instant(10), recipient="anna", **SHARED))
        self.top_up()

    def revenue(self, id_):
        return self.earnings.service.read(id_)

    def opened(self, id_, number=1):
        """A conversion session, at its payment."""
        conversion = KeptConversion(
            id=id_,
            decision_id=f"d-{number}",
            offer="upgrade",
            recipient="anna",
            body_hash=b"",
            declared=("pay",),
            opened_at=instant(10, 4),
            ends_at=instant(10, 9),
        )
        self.do(lambda session: session.conversions.insert([conversion]))

    def settlement(self):
        return Settlements(self.transactor, zone=lambda: UTC).settle("2026-12", now=LATER)


@pytest.fixture
def selling(transactor):
    return Selling(transactor)


def test_a_redemption_that_settles_earns_its_commission_in_the_same_unit(selling):
    redemption = selling.redeem(selling.token(), id="red-1")
    revenue = selling.revenue("redemption:red-1")
    (part,) = revenue.parts
    assert (redemption.state, revenue.amount_minor, part.decision_id) == ("settled", 190, "d-1")
    assert (part.benefit_minor, part.affiliate_minor, part.platform_minor) == (19, 10, 161)
    assert selling.earnings.balances() == {
        "outside bank EUR": 5000,
        "recipient anna EUR": 5000 - 1900 + 19,
        "sponsor hotel EUR": 1900 - 190,
        "affiliate blog EUR": 10,
        "platform revenue EUR": 161,
    }


@pytest.mark.parametrize("kind", ["refund", "chargeback"])
def test_what_is_taken_back_takes_its_commission_with_it(selling, kind):
    selling.redeem(selling.token(), id="red-1")
    state = selling.refund("red-1", kind=kind).state
    assert selling.earnings.balances() == {"outside bank EUR": 5000, "recipient anna EUR": 5000}
    taken_back = selling.revenue("redemption:red-1").reversed_by
    assert selling.revenue(taken_back).reason == state


@pytest.mark.parametrize(("kind", "state"), [("refund", "refunded"), ("chargeback", "charged_back")])
def test_a_benefit_that_was_spent_is_the_platform_s_loss_and_shortens_no_refund(selling, kind, state):
    """All of the price comes back, and nobody falls below zero: what was spent of the credit is a line in its name."""
    selling.redeem(selling.token(), id="red-1")
    spent = Transaction(
        id="spent",
        kind="payment",
        postings=moved(5000 - 1900 + 19, source=wallet(), target=Account("sponsor", "cafe", "EUR")),
        at=instant(10, 30),
    )
    selling.do(lambda session: session.ledger.append([spent]))
    assert selling.refund("red-1", kind=kind, now=instant(11)).state == state
    assert selling.earnings.balances() == {
        "outside bank EUR": 5000,
        "recipient anna EUR": 1900,
        "shortfall recipient:anna EUR": 19,
        "sponsor cafe EUR": 3119,
    }
    reversal = selling.revenue(f"redemption:red-1:{state}")
    assert reversal.shortfalls == (Shortfall(kind="recipient", owner="anna", amount_minor=19),)
    settlement = selling.settlement()
    assert (settlement.totals[0].shortfall_minor, settlement.differences) == (19, ())
    told = [each for each in selling.earnings.log() if each["event"] == "revenue.reversed"]
    assert [each["body"]["shortfalls"] for each in told] == [
        [{"kind": "recipient", "owner": "anna", "amount_minor": 19}]
    ]


def test_every_line_of_the_month_is_proven_by_an_entry_of_the_log(selling):
    selling.redeem(selling.token(), id="red-1")
    selling.refund("red-1")
    settlement, log = selling.settlement(), selling.earnings.log()
    assert settlement.differences == ()
    told = [(line.what, line.amount_minor, log[line.audit_index]["event"]) for line in settlement.statements[0].lines]
    assert sorted(told) == [
        ("payment", 1900, "redemption.settled"),
        ("refund", -1900, "redemption.refunded"),
        ("revenue", -190, "revenue.booked"),
        ("revenue", 190, "revenue.reversed"),
    ]


def test_lines_of_a_payment_tell_its_decision_and_offer_and_those_of_a_refund_what_they_take_back(selling):
    selling.redeem(selling.token(), id="red-1")
    selling.refund("red-1", now=LATER)
    month = Settlements(selling.transactor, zone=lambda: UTC).settle("2027-02", now=LATER)
    lines = {line.what: line for line in month.statements[0].lines}
    log = selling.earnings.log()
    assert list(lines) == ["refund", "revenue"]
    for what, taken_back in {"refund": "redemption.settled", "revenue": "revenue.booked"}.items():
        line = lines[what]
        assert (line.decision_id, line.decision_audit_index, line.offer) == ("d-1", 1, "upgrade")
        assert log[line.reverses_audit_index]["event"] == taken_back
        assert log[line.reverses_audit_index]["body"]["id"] == line.reverses
        assert line.reverses_recorded_at == NOW


def test_a_payment_that_a_service_settles_later_is_proven_and_earns_too(transactor):
    selling = Selling(transactor, payment="provider")
    selling.provider.answers = [answer("authorise"), answer("capture")]
    selling.redeem(selling.token(), id="red-1")
    assert selling.revenue("redemption:red-1").amount_minor == 190
    settlement, log = selling.settlement(), selling.earnings.log()
    (paid,) = [line for each in settlement.statements for line in each.lines if line.what == "payment"]
    assert log[paid.audit_index]["event"] == "redemption.settled"
    assert settlement.differences == ()


@pytest.mark.parametrize("commission_bps", [0, 1000])
def test_what_was_reported_for_its_conversion_is_taken_back_with_it(transactor, commission_bps):
    """Reported revenue of the conversion is all that it earns, in place of the commission."""
    selling = Selling(transactor, commission_bps=commission_bps)
    selling.opened("k-1")
    selling.earnings.report("reported", 500, conversion="k-1", decision_id="d-1")
    selling.redeem(selling.token(), id="red-1", conversion="k-1")
    selling.refund("red-1", kind="chargeback")
    assert selling.revenue("reported").reversed_by == "redemption:red-1:charged_back"
    assert selling.earnings.balances() == {"outside bank EUR": 5000, "recipient anna EUR": 5000}


@pytest.mark.parametrize(
    "said",
    [
        {"recipient": "r-1", "sponsor": "hotel"},
        {"recipient": "anna", "sponsor": "acme"},
        {"recipient": "anna", "sponsor": "hotel", "offer": "other"},
        {"decision_id": "d-2"},
    ],
)
def test_what_another_earned_by_the_same_name_is_neither_its_revenue_nor_taken_back_with_it(selling, said):
    """Callers name sessions and the conversions of their reports as they like."""
    selling.earnings.allowed(allow(2, at=instant(10), recipient="anna", **SHARED))
    selling.opened("k-1")
    selling.earnings.report("order-9", 7000, conversion="k-1", **said)
    selling.redeem(selling.token(), id="red-1", conversion="k-1")
    commission = selling.revenue("redemption:red-1")
    assert (commission.amount_minor, commission.conversion) == (190, None)
    selling.refund("red-1")
    assert selling.revenue("order-9").reversed_by is None
    assert selling.revenue("redemption:red-1").reversed_by == "redemption:red-1:refunded"
    assert selling.settlement().differences == ()


@pytest.mark.parametrize("said", [{"recipient": "anna", "sponsor": "hotel"}, {"sponsor": "hotel"}, {}])
def test_what_was_reported_of_its_conversion_without_its_decision_is_all_it_earns(selling, said):
    selling.opened("k-1")
    selling.earnings.record([{"id": "order-9", "amount_minor": 7000, "currency": "EUR", "conversion": "k-1", **said}])
    selling.redeem(selling.token(), id="red-1", conversion="k-1")
    with pytest.raises(NotFoundError):
        selling.revenue("redemption:red-1")
    selling.refund("red-1")
    assert selling.revenue("order-9").reversed_by == "redemption:red-1:refunded"


def test_a_session_of_the_name_of_one_that_is_forgotten_earns_its_own_commission(transactor):
    selling = Selling(transactor, per_recipient=2)
    selling.opened("k-1")
    selling.redeem(selling.token(), id="red-1", conversion="k-1")
    selling.do(lambda session: session.conversions.forget(LATER, 10))
    selling.earnings.allowed(allow(2, at=instant(10), recipient="anna", **SHARED))
    selling.opened("k-1", 2)
    selling.redeem(selling.token(2), id="red-2", conversion="k-1")
    selling.refund("red-2")
    reversals = [selling.revenue(f"redemption:{id_}").reversed_by for id_ in ("red-1", "red-2")]
    assert reversals == [None, "redemption:red-2:refunded"]


@pytest.mark.parametrize("is_entered", [True, False])
def test_a_payment_that_settles_once_its_decision_is_forgotten_is_earned_by_its_entry(transactor, is_entered):
    """Without the entry, of a log that was restored from a backup, it is unattributed: what was paid is booked."""
    selling = Selling(transactor, payment="provider")
    if is_entered:
        selling.earnings.entered(claims_of(0, instant(10), **SHARED), "anna")
    selling.earnings.allowed(allow(0, at=instant(10), recipient="anna", **SHARED))
    selling.provider.answers = [answer("authorise")]
    selling.redeem(selling.token(0), id="red-0")
    selling.do(lambda session: session.decisions.remove(["d-0"]))
    selling.provider.answers = [answer("capture")]
    selling.redemptions.step(LATER)
    assert selling.redemptions.read("red-0").state == "settled"
    revenue = selling.revenue("redemption:red-0")
    assert [(part.decision_id, part.benefit_minor) for part in revenue.parts] == ([("d-0", 19)] if is_entered else [])
    assert revenue.why == (None if is_entered else "no_such_decision")


def test_what_is_redeemed_before_its_planned_send_is_earned_by_it(selling):
    """The token reached them: a send may be planned for later than that, or be of a clock that is ahead."""
    selling.earnings.allowed(allow(2, at=instant(11), recipient="anna", **SHARED))
    selling.redeem(selling.token(2), id="red-2")
    revenue = selling.revenue("redemption:red-2")
    assert [(part.decision_id, part.benefit_minor, part.affiliate_minor) for part in revenue.parts] == [("d-2", 19, 10)]


def test_no_commission_books_nothing(transactor):
    selling = Selling(transactor, commission_bps=0)
    selling.redeem(selling.token(), id="red-1")
    selling.refund("red-1")
    assert [entry["event"].split(".")[0] for entry in selling.earnings.log()] == ["redemption"] * 2
    assert selling.earnings.balances() == {"outside bank EUR": 5000, "recipient anna EUR": 5000}


def test_a_decision_without_attribution_earns_for_the_platform_alone(transactor):
    selling = Selling(transactor)
    selling.decided(2)
    selling.redeem(selling.token(2), id="red-2")
    revenue = selling.revenue("redemption:red-2")
    assert (revenue.parts, revenue.why, revenue.sponsor) == ((), "not_monetized", "hotel")
    assert selling.earnings.balances()["sponsor hotel EUR"] == 1710
    assert selling.settlement().differences == ()


def test_what_was_taken_back_by_hand_is_not_taken_back_twice(selling):
    selling.redeem(selling.token(), id="red-1")
    selling.earnings.take_back("redemption:red-1", reason="goodwill")
    assert selling.refund("red-1").state == "refunded"
    assert selling.earnings.balances() == {"outside bank EUR": 5000, "recipient anna EUR": 5000}
