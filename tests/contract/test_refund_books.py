"""A refund or chargeback after the sponsor paid a commission: every account is as it was, and nothing is lost."""

from __future__ import annotations

import pytest

from guardrails.core.bookkeeping import Account, Books, Transaction, accounts_to_reverse, moved, reversal_of
from guardrails.offers.redemption_service import Redemptions
from guardrails.payments.wallet import WalletPayments
from redeeming import NOW, OUTSIDE, SHORTFALL, SPONSOR, answer, ready, wallet

PLATFORM = Account("platform", "earned", "EUR")


def commission(redemption):
    """A tenth of the price, as revenue books it."""
    amount = redemption.amount_minor // 10
    postings = moved(amount, source=SPONSOR, target=PLATFORM)
    return Transaction(id=f"revenue:{redemption.id}", kind="revenue", postings=postings, at=NOW)


def charge(session, turns):
    session.ledger.append([commission(each.redemption) for each in turns])


def give_back(session, turns):
    for each in turns:
        charged = commission(each.redemption)
        books = Books(session.ledger.balances(accounts_to_reverse(charged)))
        assert books.post(reversal_of(charged, books.balances, id=f"{charged.id}:back", at=NOW)) is None
        session.ledger.append(books.posted)


@pytest.mark.parametrize("kind", ["refund", "chargeback"])
@pytest.mark.parametrize("method", ["wallet", "provider"])
def test_what_a_payment_earned_is_taken_back_before_the_payment(transactor, method, kind):
    rig = ready(transactor, payment=method)
    rig.redemptions = Redemptions(
        transactor,
        tokens=lambda: rig.tokens,
        methods={"wallet": WalletPayments(), "provider": rig.provider},
        new_id=iter("xy").__next__,
        clock=lambda: NOW,
        on_settled=charge,
        on_taken_back=give_back,
    )
    accounts = (wallet(), OUTSIDE, SPONSOR, PLATFORM, SHORTFALL)
    before = rig.balances(*accounts)
    rig.provider.answers = [answer("authorise"), answer("capture"), answer("refund")]
    rig.redeem(rig.token(), id="r-1")
    assert rig.balances(SPONSOR, PLATFORM) == [1710, 190]
    rig.refund("r-1", kind=kind)
    assert rig.balances(*accounts) == before
