"""Payments in the books: what a redemption's payment posts, and what takes it back.

    a wallet's   recipient -> sponsor          a payment service's   outside -> sponsor

A refund is the reversal of its payment: what the sponsor no longer has comes from its `shortfall`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from guardrails.core.bookkeeping import (
    Account,
    Books,
    Refusal,
    Transaction,
    accounts_to_reverse,
    moved,
    reversal_of,
)
from guardrails.payments.port import Payment

__all__ = ["LedgerStore", "payment_into", "payments_taken_back", "post", "provider_account", "wallet_account"]

PROVIDER = "provider"


class LedgerStore(Protocol):
    """The ledger's store, as this room needs it."""

    def balances(self, accounts: Sequence[Account], /) -> Mapping[Account, int]:
        """What each account has; 0 where nothing was posted to it."""

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep transactions, and bring the balances up to date."""

    def together(self, accounts: Sequence[Account], /) -> AbstractContextManager[None]:
        """Read the balances of `accounts` at once, and write all that is appended meanwhile at once, at the end."""


def wallet_account(payment: Payment) -> Account:
    """The account that a wallet's payment comes from."""
    return Account("recipient", payment.recipient, payment.currency)


def provider_account(payment: Payment) -> Account:
    """The account that a payment service's payment comes from."""
    return Account("outside", PROVIDER, payment.currency)


def payment_into(source: Account, payment: Payment, at: datetime) -> Transaction:
    """What the payment posts: from `source` to the sponsor."""
    return Transaction(
        id=f"payment:{payment.id}",
        kind="payment",
        postings=moved(payment.amount_minor, source=source, target=Account("sponsor", payment.sponsor, source.unit)),
        at=at,
        refers_to=payment.id,
        memo={"offer": payment.offer},
    )


def post(ledger: LedgerStore, transactions: Sequence[Transaction]) -> Refusal | None:
    """Post all of them, with one read and one write; or say why not, where nothing is posted."""
    if not transactions:
        return None
    books = Books(ledger.balances(_accounts(posting.account for each in transactions for posting in each.postings)))
    for each in transactions:
        refusal = books.post(each)
        if refusal is not None:
            return refusal
    ledger.append(books.posted)
    return None


def payments_taken_back(ledger: LedgerStore, payments: Sequence[tuple[Transaction, str]]) -> None:
    """Post the reversals of payments, with one read and one write: each with its kind, `refund` or `chargeback`, and
    stated as of when it is taken back.
    """
    if not payments:
        return
    books = Books(ledger.balances(_accounts(account for each, _ in payments for account in accounts_to_reverse(each))))
    for each, kind in payments:
        refusal = books.post(reversal_of(each, books.balances, id=f"{kind}:{each.refers_to}", at=each.at, kind=kind))
        if refusal is not None:
            raise OverflowError(f"the books can't hold the {kind} of {each.id}: {refusal}")
    ledger.append(books.posted)


def _accounts(accounts: Iterable[Account]) -> list[Account]:
    return list(dict.fromkeys(accounts))
