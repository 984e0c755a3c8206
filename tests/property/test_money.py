"""Money: whatever is posted, split or taken back, nothing is made and nothing is lost."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from guardrails.core.bookkeeping import (
    BALANCE_MOST,
    Account,
    Books,
    Posting,
    Transaction,
    accounts_to_reverse,
    combined,
    reversal_of,
)
from guardrails.core.money import AMOUNT_MOST, BPS, CURRENCIES, decimal_text, parse_amount, share, split

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KINDS = ("recipient", "sponsor", "affiliate", "platform", "payable", "receivable", "outside", "shortfall")
ACCOUNTS = tuple(Account(kind, owner, unit) for kind in KINDS for owner in ("a", "b") for unit in ("JPY", "credits"))

WHOLES = st.integers(-AMOUNT_MOST, AMOUNT_MOST)
WEIGHTS = st.lists(st.integers(0, 2**40) | st.integers(0, 3), min_size=1, max_size=12).filter(any)
AMOUNTS = st.integers(1, 20) | st.sampled_from([AMOUNT_MOST, BALANCE_MOST // 2, BALANCE_MOST])


@given(WHOLES, st.sampled_from(sorted(CURRENCIES)))
def test_what_is_told_of_an_amount_is_read_as_it_was(amount_minor, currency):
    assert parse_amount(decimal_text(amount_minor, currency), currency) == amount_minor


@given(WHOLES, WEIGHTS)
def test_parts_sum_to_the_whole_and_are_less_than_one_off(whole, weights):
    parts = split(whole, weights)
    assert sum(parts) == whole
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(whole * weight, sum(weights))) < 1


@given(WHOLES, WEIGHTS)
def test_what_is_taken_back_is_split_as_it_was_given(whole, weights):
    assert split(-whole, weights) == tuple(-part for part in split(whole, weights))


@given(WHOLES, st.integers(0, BPS))
def test_a_share_and_its_rest_make_the_whole(whole, bps):
    part, rest = share(whole, bps)
    assert part + rest == whole
    assert abs(part - Fraction(whole * bps, BPS)) <= Fraction(1, 2)


@st.composite
def transactions(draw):
    """A transaction that moves amounts between any accounts, several in one perhaps."""
    postings = []
    for _ in range(draw(st.integers(1, 3))):
        source = draw(st.sampled_from(ACCOUNTS))
        target = draw(st.sampled_from([each for each in ACCOUNTS if each.unit == source.unit]))
        amount = draw(AMOUNTS)
        postings += [Posting(source, -amount), Posting(target, amount)]
    together = combined(postings)
    if any(abs(posting.amount) > BALANCE_MOST for posting in together):
        together = ()
    return Transaction(id=draw(st.uuids()).hex, kind="test", at=NOON, postings=together)


HISTORIES = st.lists(transactions() | st.integers(0, 30), max_size=30)
"""Transactions, and numbers: take back what was posted so many ago."""


class Kept:
    """What is posted one by one, each on books of its own, as handlers do."""

    def __init__(self):
        self.balances = Counter()
        self.posted = []

    def books(self, transaction):
        touched = [posting.account for posting in transaction.postings]
        return Books({account: self.balances[account] for account in (*touched, *accounts_to_reverse(transaction))})

    def post(self, transaction):
        books = self.books(transaction)
        refusal = books.post(transaction)
        self.balances.update({account: books.balances[account] - self.balances[account] for account in books.balances})
        self.posted += books.posted
        return refusal

    def reverse(self, transaction):
        reversal = reversal_of(transaction, self.books(transaction).balances, id="back", at=NOON)
        assert reversal.reverses == transaction.id
        return self.post(reversal)

    def go_through(self, history):
        for each in history:
            if isinstance(each, Transaction):
                self.post(each)
            elif self.posted:
                self.reverse(self.posted[each % len(self.posted)])


@given(HISTORIES)
def test_a_ledger_sums_to_zero_and_nothing_in_it_is_below_zero(history):
    kept = Kept()
    kept.go_through(history)
    recounted, sums = Counter(), Counter()
    for posting in (posting for transaction in kept.posted for posting in transaction.postings):
        recounted[posting.account] += posting.account.sign * posting.amount
        sums[posting.account.unit] += posting.amount
    assert recounted == kept.balances
    assert set(sums.values()) <= {0}
    assert all(0 <= balance <= BALANCE_MOST for balance in kept.balances.values())


@given(HISTORIES, transactions())
def test_what_is_taken_back_at_once_leaves_every_balance_as_it_was(history, transaction):
    kept = Kept()
    kept.go_through(history)
    before = kept.balances.copy()
    if kept.post(transaction) is None:
        assert kept.reverse(transaction) is None
    assert kept.balances == before


@given(HISTORIES, st.integers(0, 30))
def test_a_reversal_is_never_insufficient(history, place):
    kept = Kept()
    kept.go_through(history)
    if kept.posted:
        refusal = kept.reverse(kept.posted[place % len(kept.posted)])
        assert refusal is None or refusal.reason == "too_large"


SPENT = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 10)), max_size=6)


@given(st.lists(st.integers(1, 10), min_size=1, max_size=3), SPENT)
def test_what_was_spent_before_it_is_taken_back_is_what_the_shortfalls_say(credited, spent):
    bank, elsewhere = Account("outside", "bank", "EUR"), Account("sponsor", "elsewhere", "EUR")
    theirs = [Account("recipient", f"r-{place}", "EUR") for place in range(len(credited))]
    given_out = Transaction(
        id="t-1",
        kind="test",
        at=NOON,
        postings=(Posting(bank, -sum(credited)), *map(Posting, theirs, credited)),
    )
    kept = Kept()
    assert kept.post(given_out) is None
    left = list(credited)
    for place, amount in spent:
        payment = (Posting(theirs[place % len(theirs)], -amount), Posting(elsewhere, amount))
        if kept.post(Transaction(id="t", kind="test", at=NOON, postings=payment)) is None:
            left[place % len(theirs)] -= amount
    assert kept.reverse(given_out) is None
    shortfalls = {account.owner: balance for account, balance in kept.balances.items() if account.kind == "shortfall"}
    missing = {f"recipient:r-{place}": credited[place] - left[place] for place in range(len(theirs))}
    assert {owner: loss for owner, loss in shortfalls.items() if loss} == {
        owner: loss for owner, loss in missing.items() if loss
    }
    assert all(kept.balances[account] == 0 for account in (bank, *theirs))
