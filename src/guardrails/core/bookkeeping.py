"""Bookkeeping: accounts, transactions that sum to zero, and the books that refuse to overdraw. Pure: nothing is stored.

    books = Books({wallet: 500, acme: 0})
    books.post(Transaction(id="payment:1", kind="payment", at=now, postings=moved(300, source=wallet, target=acme)))
    session.ledger.append(books.posted)

A handler reads the balances of all accounts that its items may touch, posts in `Books`, and writes what was posted.

INVARIANT: of every unit the postings of a transaction sum to zero, and no account goes below zero on its own side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from guardrails.core.money import CURRENCIES, WITHDRAWN

__all__ = [
    "BALANCE_MOST",
    "CREDITS",
    "Account",
    "AccountKind",
    "Books",
    "Posting",
    "Refusal",
    "Transaction",
    "accounts_to_reverse",
    "combined",
    "moved",
    "reversal_of",
    "side_of",
]

CREDITS = "credits"
"""The unit that recognition grants; no currency, and never one's minor unit."""

BALANCE_MOST = 2**63 - 1
"""What an integer of 64 bits holds, as both databases keep balances."""

CreditKind = Literal["recipient", "sponsor", "affiliate", "platform", "payable"]
DebitKind = Literal["receivable", "outside", "shortfall"]
AccountKind = Literal[CreditKind, DebitKind]

_CREDIT_KINDS: frozenset[str] = frozenset(get_args(CreditKind))
_DEBIT_KINDS: frozenset[str] = frozenset(get_args(DebitKind))

# Where a debit account no longer has what is taken back, we owe it: the account that says so, by the kind.
_OWED_IN: Mapping[AccountKind, AccountKind] = {"receivable": "sponsor", "outside": "payable", "shortfall": "platform"}


class Account(msgspec.Struct, frozen=True, order=True):
    """An account: whose it is, and in what it is kept: an ISO 4217 code or `credits`.

    Credits make these greater: `recipient`, `sponsor` and `affiliate`, what is theirs; `platform`, what is earned;
    `payable`, what is owed to banks and payment services. Debits make these greater: `receivable`, what a sponsor owes
    us; `outside`, what banks and payment services hold for us; `shortfall`, the losses we bear.

    Raises ValueError where the kind or the unit is none, or the owner is empty.
    """

    kind: AccountKind
    owner: str
    unit: str

    def __post_init__(self) -> None:
        """Hold it to what it may be."""
        if self.kind not in _CREDIT_KINDS | _DEBIT_KINDS:
            raise ValueError(f"`{self.kind}` is no kind of account")
        if self.unit != CREDITS and self.unit not in CURRENCIES and self.unit not in WITHDRAWN:
            raise ValueError(f"`{self.unit}` is neither a currency (ISO 4217) nor `{CREDITS}`")
        if not self.owner:
            raise ValueError("an account has an owner")

    @property
    def key(self) -> str:
        """The name under which it is stored: a JSON array of kind, owner and unit."""
        return msgspec.json.encode((self.kind, self.owner, self.unit)).decode()

    @classmethod
    def of_key(cls, key: str) -> Account:
        """The account of a `key`."""
        kind, owner, unit = msgspec.json.decode(key, type=tuple[AccountKind, str, str])
        return cls(kind, owner, unit)

    @property
    def sign(self) -> int:
        """What a credit does to its balance: +1 or -1."""
        return 1 if side_of(self.kind) == "credit" else -1


def side_of(kind: AccountKind) -> Literal["credit", "debit"]:
    """Whether credits or debits make accounts of a kind greater."""
    return "credit" if kind in _CREDIT_KINDS else "debit"


class Posting(msgspec.Struct, frozen=True):
    """What one account is credited (positive) or debited (negative), in minor units, or in whole credits."""

    account: Account
    amount: int


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """Postings that belong together.

    `id` is unique among all transactions, of whatever kind: it begins with a word of the room that makes it. `kind` is
    that room's own word for what it is. `refers_to` is the redemption, revenue or award that caused it. `reverses` is
    the id of the transaction that it takes back; each is taken back once. `memo` is any JSON.

    Raises ValueError where two postings are to one account, one of them is zero or greater than a balance may be, or
    those of a unit don't sum to zero. Without any it records that nothing was left to post.
    """

    id: str
    kind: str
    postings: tuple[Posting, ...]
    at: datetime
    refers_to: str | None = None
    reverses: str | None = None
    memo: dict[str, str | int | bool | None] = {}

    def __post_init__(self) -> None:
        """Hold it to what it may be."""
        if len({posting.account for posting in self.postings}) < len(self.postings):
            raise ValueError("a transaction posts to each account once; `combined` adds up what is to one")
        if not all(0 < abs(posting.amount) <= BALANCE_MOST for posting in self.postings):
            raise ValueError(f"a posting is of 1 to {BALANCE_MOST} units, credited or debited")
        sums: dict[str, int] = {}
        for posting in self.postings:
            sums[posting.account.unit] = sums.get(posting.account.unit, 0) + posting.amount
        if off := {unit: total for unit, total in sums.items() if total}:
            raise ValueError(f"the postings of a transaction sum to zero, and these to {off}")


class Refusal(msgspec.Struct, frozen=True):
    """Why a transaction was not posted: of which account, what it has, and by how much it does not suffice.

    `insufficient`: `by` is missing; `too_large`: the balance would be `by` greater than 64 bits hold.
    """

    reason: Literal["insufficient", "too_large"]
    account: Account
    balance: int
    by: int


class Books:
    """Balances that transactions are posted to. Built from those of all accounts that may be touched, as stored.

    A balance is told on the account's own side: what a sponsor owes us is positive, as what it has is.
    """

    def __init__(self, balances: Mapping[Account, int]) -> None:
        self._balances = dict(balances)
        self._posted: list[Transaction] = []

    @property
    def balances(self) -> Mapping[Account, int]:
        """What each account has after what was posted: a view that goes along."""
        return MappingProxyType(self._balances)

    @property
    def posted(self) -> tuple[Transaction, ...]:
        """What was posted, in order."""
        return tuple(self._posted)

    def post(self, transaction: Transaction) -> Refusal | None:
        """Post a transaction, or say why not: then nothing of it is. The first account that does not suffice is told.

        Raises KeyError where it touches an account whose balance was not read.
        """
        after = {}
        for posting in transaction.postings:
            account = posting.account
            before = self._balances[account]
            after[account] = balance = before + account.sign * posting.amount
            if balance < 0:
                return Refusal("insufficient", account, before, -balance)
            if balance > BALANCE_MOST:
                return Refusal("too_large", account, before, balance - BALANCE_MOST)
        self._balances.update(after)
        self._posted.append(transaction)
        return None


def moved(amount: int, *, source: Account, target: Account) -> tuple[Posting, Posting]:
    """The postings that move an amount; of two accounts on different sides, both grow by it, or shrink."""
    return Posting(source, -amount), Posting(target, amount)


def combined(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    """One posting an account, in the order of their first ones; what comes to zero is left out."""
    sums: dict[Account, int] = {}
    for posting in postings:
        sums[posting.account] = sums.get(posting.account, 0) + posting.amount
    return tuple(Posting(account, amount) for account, amount in sums.items() if amount)


def accounts_to_reverse(transaction: Transaction) -> tuple[Account, ...]:
    """All accounts that its reversal may touch, each once: what to read before `reversal_of`."""
    accounts = (posting.account for posting in transaction.postings)
    return tuple(dict.fromkeys(each for account in accounts for each in _touched_in_reversing(account)))


def reversal_of(
    transaction: Transaction,
    balances: Mapping[Account, int],
    *,
    id: str,  # noqa: A002 - as the transaction's
    at: datetime,
    kind: str = "reversal",
    memo: Mapping[str, str | int | bool | None] = MappingProxyType({}),
) -> Transaction:
    """The transaction that takes all of another back: posted in `Books` of these balances it is not insufficient.

    What a recipient, sponsor, affiliate or the platform no longer has is a loss that we bear, in a `shortfall` of their
    own: its owner is their kind and name, as `recipient:r-42`. What a debit account no longer has was paid to us or by
    us meanwhile, so that we owe it: a `receivable`'s to its sponsor, an `outside`'s in `payable`. Raises KeyError where
    an account of `accounts_to_reverse` has no balance.
    """
    taken_back = combined(Posting(posting.account, -posting.amount) for posting in transaction.postings)
    for sign in (-1, 1):  # what is owed for want of a debit account helps the credit account that it is owed in
        taken_back = combined(each for posting in taken_back for each in _as_far_as_it_has(posting, sign, balances))
    return Transaction(
        id=id,
        kind=kind,
        postings=taken_back,
        at=at,
        refers_to=transaction.refers_to,
        reverses=transaction.id,
        memo=dict(memo),
    )


def _touched_in_reversing(account: Account) -> tuple[Account, ...]:
    instead = _instead_of(account)
    return (account, instead) if account.sign > 0 else (account, instead, _instead_of(instead))


def _instead_of(account: Account) -> Account:
    """Where goes what an account no longer has."""
    if account.sign > 0:
        return Account("shortfall", f"{account.kind}:{account.owner}", account.unit)
    return Account(_OWED_IN[account.kind], account.owner, account.unit)


def _as_far_as_it_has(posting: Posting, sign: int, balances: Mapping[Account, int]) -> Iterable[Posting]:
    """The posting, if it is to an account of the other side; else as far as the balance goes, and the rest instead."""
    account = posting.account
    if account.sign != sign:
        yield posting
        return
    amount = sign * max(sign * posting.amount, -balances[account])
    yield Posting(account, amount)
    yield Posting(_instead_of(account), posting.amount - amount)
