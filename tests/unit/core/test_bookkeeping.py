from __future__ import annotations

from datetime import UTC, datetime

import pytest

from guardrails.core.bookkeeping import (
    BALANCE_MOST,
    Account,
    Books,
    Posting,
    Refusal,
    Transaction,
    accounts_to_reverse,
    combined,
    moved,
    reversal_of,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BANK = Account("outside", "bank", "EUR")
WALLET = Account("recipient", "r-1", "EUR")
ACME = Account("sponsor", "acme", "EUR")
OWED_BY_ACME = Account("receivable", "acme", "EUR")
US = Account("platform", "us", "EUR")
POINTS = Account("recipient", "r-1", "credits")
OUR_POINTS = Account("platform", "us", "credits")
ACMES_LOSS = Account("shortfall", "sponsor:acme", "EUR")


def transaction(*postings, id_="t-1", **fields):
    return Transaction(id=id_, kind="test", postings=combined(postings), at=NOON, **fields)


def move(amount, source, target, id_="t-1"):
    return transaction(*moved(amount, source=source, target=target), id_=id_)


# --- accounts


@pytest.mark.parametrize("owner", ["r-1", 'say "hi"', "back\\slash", "a,b", "ä🎉", "a\0b"])
def test_an_account_is_found_again_by_its_key(owner):
    account = Account("recipient", owner, "EUR")
    assert Account.of_key(account.key) == account


def test_keys_are_a_json_array():
    assert WALLET.key == '["recipient","r-1","EUR"]'


@pytest.mark.parametrize(
    ("kind", "owner", "unit", "problem"),
    [
        ("bank", "r-1", "EUR", "`bank` is no kind"),
        ("recipient", "", "EUR", "an account has an owner"),
        ("recipient", "r-1", "XTS", "`XTS` is neither a currency"),
        ("recipient", "r-1", "points", "`points` is neither a currency"),
    ],
)
def test_what_is_no_account_can_not_be_made(kind, owner, unit, problem):
    with pytest.raises(ValueError, match=problem):
        Account(kind, owner, unit)


# --- transactions


def test_postings_that_do_not_sum_to_zero_are_no_transaction():
    with pytest.raises(ValueError, match=r"sum to zero, and these to \{'EUR': 1\}"):
        transaction(Posting(WALLET, -5), Posting(ACME, 6))


def test_each_unit_sums_to_zero_by_itself():
    with pytest.raises(ValueError, match="'EUR': -5, 'credits': 5"):
        transaction(Posting(WALLET, -5), Posting(POINTS, 5))
    both = transaction(*moved(5, source=WALLET, target=US), *moved(50, source=OUR_POINTS, target=POINTS))
    assert len(both.postings) == 4


def test_two_postings_to_one_account_are_refused():
    with pytest.raises(ValueError, match="once"):
        Transaction(id="t", kind="test", at=NOON, postings=(Posting(WALLET, 2), Posting(WALLET, 3), Posting(BANK, -5)))


@pytest.mark.parametrize("amount", [0, BALANCE_MOST + 1])
def test_a_posting_of_nothing_or_of_more_than_there_can_be_is_refused(amount):
    with pytest.raises(ValueError, match="a posting is of 1 to"):
        Transaction(id="t", kind="test", at=NOON, postings=moved(amount, source=BANK, target=WALLET))


def test_combined_adds_up_and_leaves_out_what_comes_to_nothing():
    postings = (Posting(WALLET, 2), Posting(BANK, 4), Posting(WALLET, 3), Posting(ACME, 1), Posting(BANK, -4))
    assert combined(postings) == (Posting(WALLET, 5), Posting(ACME, 1))


# --- books


def test_what_is_posted_is_in_the_balances_and_told():
    books = Books({BANK: 0, WALLET: 0, ACME: 7})
    top_up, payment = move(10, BANK, WALLET, "t-1"), move(4, WALLET, ACME, "t-2")
    assert books.post(top_up) is None
    assert books.post(payment) is None
    assert books.balances == {BANK: 10, WALLET: 6, ACME: 11}
    assert books.posted == (top_up, payment)


def test_an_account_does_not_go_below_zero():
    books = Books({WALLET: 9, ACME: 0})
    assert books.post(move(10, WALLET, ACME)) == Refusal("insufficient", WALLET, balance=9, by=1)
    assert books.balances == {WALLET: 9, ACME: 0}
    assert books.posted == ()
    assert books.post(move(9, WALLET, ACME)) is None


def test_a_debit_account_does_not_go_below_zero_on_its_own_side():
    books = Books({BANK: 9, WALLET: 20})
    assert books.post(move(10, WALLET, BANK)) == Refusal("insufficient", BANK, balance=9, by=1)
    assert books.post(move(9, WALLET, BANK)) is None
    assert books.balances == {BANK: 0, WALLET: 11}


def test_a_balance_that_would_leave_64_bits_is_refused():
    books = Books({BANK: 0, WALLET: BALANCE_MOST - 1})
    assert books.post(move(2, BANK, WALLET)) == Refusal("too_large", WALLET, balance=BALANCE_MOST - 1, by=1)
    assert books.post(move(1, BANK, WALLET)) is None


def test_books_touch_no_account_that_was_not_read():
    with pytest.raises(KeyError):
        Books({WALLET: 10}).post(move(1, WALLET, ACME))


# --- reversals


def reverse(original, balances):
    """Balances after the original was taken back, without those at zero."""
    read = dict.fromkeys(accounts_to_reverse(original), 0) | balances
    books = Books(read)
    reversal = reversal_of(original, books.balances, id="back", at=NOON)
    assert books.post(reversal) is None
    assert reversal.reverses == original.id
    return {account: balance for account, balance in books.balances.items() if balance}


def test_what_is_still_there_is_taken_back():
    assert reverse(move(10, WALLET, ACME), {ACME: 12}) == {ACME: 2, WALLET: 10}


def test_what_was_spent_is_a_shortfall():
    assert reverse(move(10, WALLET, ACME), {ACME: 4}) == {WALLET: 10, ACMES_LOSS: 6}


def test_nothing_comes_from_a_shortfall_where_all_is_there():
    assert ACMES_LOSS not in reverse(move(10, WALLET, ACME), {ACME: 10})


def test_a_receivable_that_was_paid_is_owed_to_the_sponsor():
    assert reverse(move(10, OWED_BY_ACME, US), {OWED_BY_ACME: 3, US: 10}) == {ACME: 7}


def test_what_is_owed_to_a_sponsor_helps_against_its_shortfall():
    earned = transaction(*moved(10, source=OWED_BY_ACME, target=ACME))
    assert reverse(earned, {ACME: 2}) == {ACME: 2}
    assert reverse(earned, {OWED_BY_ACME: 10, ACME: 2}) == {ACMES_LOSS: 8}


def test_what_a_bank_no_longer_has_is_payable():
    assert reverse(move(10, BANK, WALLET), {BANK: 4, WALLET: 10}) == {Account("payable", "bank", "EUR"): 6}


def test_a_reversal_can_be_taken_back_and_the_shortfall_with_it():
    payment = move(10, WALLET, ACME)
    books = Books({WALLET: 0, ACME: 4, ACMES_LOSS: 0})
    chargeback = reversal_of(payment, books.balances, id="back", at=NOON)
    assert books.post(chargeback) is None
    assert reverse(chargeback, dict(books.balances)) == {ACME: 4}


def test_a_shortfall_that_is_no_longer_there_was_earned():
    loss = transaction(*moved(10, source=ACMES_LOSS, target=WALLET))
    after = reverse(loss, {ACMES_LOSS: 3, WALLET: 10})
    assert after == {Account("platform", "sponsor:acme", "EUR"): 7}


def test_a_reversal_refers_to_what_its_transaction_refers_to():
    paid = transaction(*moved(1, source=WALLET, target=ACME), refers_to="redemption-1", id_="payment:1")
    back = reversal_of(paid, {WALLET: 0, ACME: 1}, id="refund:1", at=NOON, kind="refund", memo={"reason": "late"})
    assert (back.id, back.kind, back.reverses) == ("refund:1", "refund", "payment:1")
    assert (back.refers_to, back.memo) == ("redemption-1", {"reason": "late"})


def test_a_reversal_with_nothing_left_to_post_is_one_all_the_same():
    settled = transaction(*moved(10, source=OWED_BY_ACME, target=ACME))
    back = reversal_of(settled, dict.fromkeys(accounts_to_reverse(settled), 0), id="back", at=NOON)
    assert (back.postings, back.reverses) == ((), "t-1")


def test_what_was_booked_in_a_currency_that_was_withdrawn_since_is_read_and_moved():
    source, target = Account("recipient", "r-42", "BGN"), Account("sponsor", "hotel", "BGN")
    assert Account.of_key(source.key) == source
    assert [each.account for each in moved(5, source=source, target=target)] == [source, target]
