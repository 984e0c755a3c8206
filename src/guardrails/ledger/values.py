"""What is said of wallets and of the ledger: top-ups, statements, and totals that must agree.

Amounts are in minor units of an ISO 4217 currency, or whole `credits`; beside each stands the text that people read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from guardrails.core.bookkeeping import CREDITS, Account, AccountKind, Transaction, moved
from guardrails.core.candidate import PRINTABLE, BoundsError, Id, KnownCurrency
from guardrails.core.money import AMOUNT_MOST, CURRENCIES, decimal_text
from guardrails.policyfile.currencies import currency_words

__all__ = [
    "TOP_UP",
    "Amount",
    "KindTotal",
    "Memo",
    "TopUp",
    "TopUpRequest",
    "Transfer",
    "TrialBalance",
    "UnitTotals",
    "Wallet",
    "WalletEntry",
]

TOP_UP = "top_up"
_TOP_UPS = "top_ups"
"""The account of the world outside that top-ups come from."""


Memo = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
"""What is noted of a transaction."""


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that goes from one account to another, of the same unit. The other fields are the transaction's."""

    id: str
    kind: str
    amount: int
    source: Account
    target: Account
    refers_to: str | None = None
    memo: dict[str, str | int | bool | None] = {}

    def transaction(self, at: datetime) -> Transaction:
        """The transaction that it becomes. Raises ValueError where it can be none."""
        postings = moved(self.amount, source=self.source, target=self.target)
        return Transaction(
            id=self.id, kind=self.kind, postings=postings, at=at, refers_to=self.refers_to, memo=self.memo
        )


class TopUpRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Stored value for a recipient, that was paid for elsewhere. `id` makes it safe to repeat."""

    id: Id
    recipient: Id
    amount_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MOST)]
    currency: KnownCurrency
    memo: Memo | None = None

    def __post_init__(self) -> None:
        """Refuse what is no currency. Raises BoundsError."""
        if self.currency not in CURRENCIES:
            raise BoundsError("currency", currency_words(self.currency))

    @property
    def transfer(self) -> Transfer:
        """What it does in the ledger."""
        return Transfer(
            id=f"{TOP_UP}:{self.id}",
            kind=TOP_UP,
            amount=self.amount_minor,
            source=Account("outside", _TOP_UPS, self.currency),
            target=Account("recipient", self.recipient, self.currency),
            memo={} if self.memo is None else {"text": self.memo},
        )


class TopUp(TopUpRequest, frozen=True, kw_only=True, omit_defaults=True):
    """A top-up as it was booked. `amount` is for people: in major units, with the decimals of the currency."""

    amount: str
    at: datetime


class Amount(msgspec.Struct, frozen=True):
    """So much of one unit: an ISO 4217 code, or `credits`. `amount` is for people, in major units."""

    unit: str
    amount_minor: int
    amount: str

    @classmethod
    def of(cls, amount_minor: int, unit: str) -> Amount:
        """The amount with its text."""
        return cls(unit, amount_minor, str(amount_minor) if unit == CREDITS else decimal_text(amount_minor, unit))


class WalletEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A transaction as the owner of a wallet sees it: what it changed of theirs; below zero what it took.

    `refers_to` is the redemption, revenue or award that caused it, `reverses` the transaction that it takes back.
    """

    id: str
    kind: str
    at: datetime
    changes: tuple[Amount, ...]
    refers_to: str | None = None
    reverses: str | None = None
    memo: dict[str, str | int | bool | None] = {}

    @classmethod
    def of(cls, transaction: Transaction, kind: AccountKind, owner: str) -> WalletEntry:
        """What it changed of the accounts of `owner`."""
        return cls(
            id=transaction.id,
            kind=transaction.kind,
            at=transaction.at,
            changes=tuple(
                Amount.of(each.account.sign * each.amount, each.account.unit)
                for each in transaction.postings
                if (each.account.kind, each.account.owner) == (kind, owner)
            ),
            refers_to=transaction.refers_to,
            reverses=transaction.reverses,
            memo=transaction.memo,
        )


class Wallet(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a recipient has, by unit, and the newest transactions; older ones follow after the one `next` names."""

    recipient: str
    balances: tuple[Amount, ...]
    transactions: tuple[WalletEntry, ...]
    next: str | None = None


class KindTotal(msgspec.Struct, frozen=True):
    """All accounts of one kind, in one unit."""

    kind: AccountKind
    side: Literal["debit", "credit"]
    total_minor: int
    total: str


class UnitTotals(msgspec.Struct, frozen=True):
    """The two sides of the books, in one unit: `agrees` says that they come to the same, as they must."""

    unit: str
    agrees: bool
    debits_minor: int
    credits_minor: int
    kinds: tuple[KindTotal, ...]


class TrialBalance(msgspec.Struct, frozen=True):
    """The books, unit by unit."""

    agrees: bool
    units: tuple[UnitTotals, ...]
