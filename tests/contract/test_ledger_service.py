"""Top-ups, transfers, wallets and the trial balance, on every store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.core.bookkeeping import BALANCE_MOST, Account, Transaction, combined, moved
from guardrails.errors import CandidateError, ConflictError
from guardrails.ledger import LedgerService
from guardrails.ledger.service import _transfer
from guardrails.ledger.values import Amount, KindTotal, TopUp, TopUpRequest, Transfer, UnitTotals, Wallet, WalletEntry
from stores import instant

WALLET = Account("recipient", "r-1", "EUR")
ACME = Account("sponsor", "acme", "EUR")
NOW, LATER = instant(12), instant(13)


@pytest.fixture
def ledger(transactor):
    return LedgerService(transactor)


def top_up(**changes):
    fields = {"id": "top-1", "recipient": "r-1", "amount_minor": 1250, "currency": "EUR"}
    return TopUpRequest(**fields | changes)


def payment(id_="payment:1", amount=500, **changes):
    fields = {"id": id_, "kind": "payment", "amount": amount, "source": WALLET, "target": ACME}
    return Transfer(**fields | changes)


def balance(ledger, recipient="r-1"):
    return {each.unit: each.amount_minor for each in ledger.wallet(recipient).balances}


def test_a_top_up_is_in_the_wallet_and_told_with_its_decimals(ledger):
    booked, _ = ledger.top_up(top_up(memo="gift card"), now=NOW)
    assert booked == TopUp(
        id="top-1", recipient="r-1", amount_minor=1250, currency="EUR", memo="gift card", amount="12.50", at=NOW
    )
    assert ledger.wallet("r-1") == Wallet(
        "r-1",
        (Amount("EUR", 1250, "12.50"),),
        (
            WalletEntry(
                id="top_up:top-1",
                kind="top_up",
                at=NOW,
                changes=(Amount("EUR", 1250, "12.50"),),
                memo={"text": "gift card"},
            ),
        ),
    )


def test_the_same_top_up_again_is_the_first_one(ledger):
    first, is_new = ledger.top_up(top_up(), now=NOW)
    assert is_new
    assert ledger.top_up(top_up(), now=LATER) == (first, False)
    assert balance(ledger) == {"EUR": 1250}


@pytest.mark.parametrize(
    "other", [{"amount_minor": 1251}, {"currency": "USD"}, {"recipient": "r-2"}, {"memo": "gift card"}]
)
def test_the_same_id_with_another_body_is_a_conflict(ledger, other):
    ledger.top_up(top_up(), now=NOW)
    with pytest.raises(ConflictError, match="`top-1` was recorded with another body") as caught:
        ledger.top_up(top_up(**other), now=NOW)
    assert (caught.value.code, caught.value.problems[0][0]) == ("ledger.other_body", "/id")
    assert balance(ledger) == {"EUR": 1250}


def test_currencies_stand_side_by_side(ledger):
    for place, (currency, amount) in enumerate([("JPY", 500), ("KWD", 1234), ("EUR", 1)]):
        ledger.top_up(top_up(id=f"top-{place}", currency=currency, amount_minor=amount), now=NOW)
    assert ledger.wallet("r-1").balances == (
        Amount("EUR", 1, "0.01"),
        Amount("JPY", 500, "500"),
        Amount("KWD", 1234, "1.234"),
    )


def test_a_transfer_is_posted_once(ledger):
    ledger.top_up(top_up(), now=NOW)
    first = ledger.transfer(payment(refers_to="redemption-1", memo={"step": 1}), now=NOW)
    again = ledger.transfer(payment(refers_to="redemption-1", memo={"step": 1}), now=LATER)
    assert (again.id, again.at, set(again.postings)) == (first.id, NOW, set(first.postings))
    assert balance(ledger) == {"EUR": 750}


@pytest.mark.parametrize("other", [{"amount": 501}, {"refers_to": "x"}, {"kind": "gift"}, {"memo": {"step": 1}}])
def test_a_transfer_with_another_body_is_a_conflict(ledger, other):
    ledger.top_up(top_up(), now=NOW)
    ledger.transfer(payment(), now=NOW)
    with pytest.raises(ConflictError) as caught:
        ledger.transfer(payment(**other), now=NOW)
    assert caught.value.code == "ledger.other_body"


def test_a_transfer_of_more_than_there_is_says_what_is_missing(ledger):
    ledger.top_up(top_up(), now=NOW)
    with pytest.raises(ConflictError, match=r"0\.01 EUR are missing") as caught:
        ledger.transfer(payment(amount=1251), now=NOW)
    assert caught.value.code == "ledger.insufficient"
    assert balance(ledger) == {"EUR": 1250}
    assert ledger.transfer(payment(amount=1250), now=NOW).id == "payment:1"  # nothing of it is kept


def test_a_balance_of_more_than_64_bits_is_refused(ledger):
    bank = Account("outside", "bank", "EUR")
    full = Transfer(id="t-1", kind="test", amount=BALANCE_MOST - 1249, source=bank, target=WALLET)
    ledger.transfer(full, now=NOW)
    with pytest.raises(ConflictError, match="more than 64 bits hold") as caught:
        ledger.top_up(top_up(), now=NOW)
    assert caught.value.code == "ledger.too_large"
    ledger.top_up(top_up(amount_minor=1249), now=NOW)
    assert balance(ledger) == {"EUR": BALANCE_MOST}


def test_those_that_arrive_together_are_posted_in_order_and_see_each_other(ledger, do):
    ledger.top_up(top_up(), now=NOW)
    together = [payment("a", 1000), payment("b", 500), payment("a", 1000), payment("a", 999), payment("c", 250)]
    results = do(lambda session: _transfer(session, [each.transaction(NOW) for each in together]))
    told = [each.code if isinstance(each, ConflictError) else (each.transaction.id, each.is_new) for each in results]
    assert told == [
        ("a", True),
        "ledger.insufficient",
        ("a", False),
        "ledger.other_body",
        ("c", True),
    ]
    assert balance(ledger) == {"EUR": 0}


def test_a_wallet_is_paged_newest_first(ledger):
    for number in range(5):
        ledger.top_up(top_up(id=f"top-{number}", amount_minor=number + 1), now=NOW + timedelta(seconds=number))
    pages, after = [], None
    while True:
        page = ledger.wallet("r-1", after=after, most=2)
        pages.append([each.id for each in page.transactions])
        if page.next is None:
            break
        after = page.next
    assert pages == [["top_up:top-4", "top_up:top-3"], ["top_up:top-2", "top_up:top-1"], ["top_up:top-0"]]
    assert (ledger.wallet("r-1", most=5).next, ledger.wallet("r-1", most=4).next) == (None, "top_up:top-1")


def test_a_page_follows_on_a_transaction_of_the_same_recipient(ledger):
    ledger.top_up(top_up(), now=NOW)
    for after in ("top_up:top-1", "nothing"):
        with pytest.raises(CandidateError, match="is no transaction of this recipient's"):
            ledger.wallet("r-2", after=after)


def test_of_whom_nothing_is_recorded_the_wallet_is_empty(ledger):
    assert ledger.wallet("r-9") == Wallet("r-9", (), ())


def test_a_trial_balance_agrees_in_every_unit(ledger, do):
    ledger.top_up(top_up(), now=NOW)
    ledger.transfer(payment(), now=NOW)
    granted = moved(7, source=Account("shortfall", "us", "credits"), target=Account("recipient", "r-1", "credits"))
    grant = Transaction(id="g", kind="grant", at=NOW, postings=combined(granted))
    do(lambda session: session.ledger.append([grant]))
    found = ledger.trial_balance()
    assert found.agrees
    assert found.units == (
        UnitTotals(
            "EUR",
            agrees=True,
            debits_minor=1250,
            credits_minor=1250,
            kinds=(
                KindTotal("outside", "debit", 1250, "12.50"),
                KindTotal("recipient", "credit", 750, "7.50"),
                KindTotal("sponsor", "credit", 500, "5.00"),
            ),
        ),
        UnitTotals(
            "credits",
            agrees=True,
            debits_minor=7,
            credits_minor=7,
            kinds=(KindTotal("recipient", "credit", 7, "7"), KindTotal("shortfall", "debit", 7, "7")),
        ),
    )
