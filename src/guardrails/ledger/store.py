"""What a ledger's store does, and the one in memory; that in SQL is `sql_store`.

Transactions are only ever added, numbered 1, 2, 3 ... without a gap.

INVARIANT: an account's balance is the sum of its postings, told on its own side, and never below zero. Books refuse
such a transaction before it comes here; the store is the second line, and fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from guardrails.core.bookkeeping import Account, AccountKind, Transaction
from guardrails.storage.memory import Journal

__all__ = ["KeptAccount", "KeptTransaction", "LedgerStore", "MemoryLedger", "changes_of", "in_order"]


class KeptTransaction(NamedTuple):
    """A transaction as it is kept: its number, and the key and amount of each posting, whatever they are.

    `id` is None where there are postings of a number that no transaction has.
    """

    seq: int
    id: str | None
    postings: tuple[tuple[str, int], ...]


class KeptAccount(NamedTuple):
    """An account as it is kept, and the sum of its postings in transactions after the one that was asked about."""

    account: str
    balance: int
    posted_since: int


class LedgerStore(Protocol):
    """Accounts and transactions. The postings of a transaction that is read stand in the order of their accounts."""

    def balances(self, accounts: Sequence[Account], /) -> dict[Account, int]:
        """The balance of each account, on its own side; 0 where nothing was posted to it."""

    def of_owner(self, kind: AccountKind, owner: str, /) -> dict[Account, int]:
        """The accounts that somebody has, with their balances, by unit."""

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep new transactions, in order, and bring the balances up to date; none of their ids is kept."""

    def together(self, accounts: Sequence[Account], /) -> AbstractContextManager[None]:
        """Read the balances of `accounts` at once, and write all that is appended meanwhile at once, at the end.

        Until then `balances` and `by_id` see it, and nothing else does. Within another it is part of that one.
        """

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one."""

    def referring_to(self, causes: Sequence[str], /) -> Mapping[str, tuple[Transaction, ...]]:
        """For each id the transactions that refer to it, oldest first."""

    def statement(self, kind: AccountKind, owner: str, /, *, before: str | None, most: int) -> tuple[Transaction, ...]:
        """At most `most` transactions that touch the accounts of somebody, the newest first.

        Where `before` is the id of a transaction, only those that are older.
        """

    def totals(self) -> Mapping[tuple[AccountKind, str], int]:
        """The sum of all balances, by kind and unit."""

    def last_seq(self) -> int:
        """The number of the newest transaction; 0 where there is none."""

    def transactions(self, after: int, most: int, /) -> Sequence[KeptTransaction]:
        """The transactions numbered `after + 1` to `after + most`, by number."""

    def posted(
        self, since: datetime, until: datetime, /, *, after: int, most: int
    ) -> Sequence[tuple[int, Transaction]]:
        """At most `most` transactions of `since <= at < until` whose numbers are greater than `after`, with these."""

    def accounts(self, after: str, most: int, /, *, since: int) -> Sequence[KeptAccount]:
        """At most `most` accounts whose keys are greater than `after`, by key; what they are is not looked at."""


def in_order(transaction: Transaction) -> Transaction:
    """As a store gives it back: its postings by their accounts."""
    postings = sorted(transaction.postings, key=lambda posting: posting.account.key)
    return msgspec.structs.replace(transaction, postings=tuple(postings))


def changes_of(transactions: Iterable[Transaction]) -> dict[Account, int]:
    """What they change of each account's balance."""
    changes: dict[Account, int] = {}
    for posting in (posting for transaction in transactions for posting in transaction.postings):
        account = posting.account
        changes[account] = changes.get(account, 0) + account.sign * posting.amount
    return changes


class MemoryLedger:
    """The ledger in a list, and balances in a dict."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._transactions: list[Transaction] = []
        self._places: dict[str, int] = {}
        self._reversed: dict[str | None, None] = {}
        self._balances: dict[Account, int] = {}

    def balances(self, accounts: Sequence[Account], /) -> dict[Account, int]:
        """The balance of each account."""
        return {account: self._balances.get(account, 0) for account in accounts}

    def of_owner(self, kind: AccountKind, owner: str, /) -> dict[Account, int]:
        """The accounts that somebody has, with their balances."""
        return {
            account: self._balances[account]
            for account in sorted(self._balances)
            if (account.kind, account.owner) == (kind, owner)
        }

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep new transactions. Raises ValueError where one is kept already, or a balance would fall below zero."""
        for place, transaction in enumerate(transactions, start=len(self._transactions)):
            if transaction.id in self._places or transaction.reverses in self._reversed:
                raise ValueError(f"transaction `{transaction.id}`, or what it reverses, is kept already")
            self._journal.put(self._places, transaction.id, place)
            if transaction.reverses is not None:
                self._journal.put(self._reversed, transaction.reverses, None)
        self._journal.extend(self._transactions, map(in_order, transactions))
        for account, change in changes_of(transactions).items():
            balance = self._balances.get(account, 0) + change
            if balance < 0:
                raise ValueError(f"the balance of {account.key} would be {balance}")
            self._journal.put(self._balances, account, balance)

    def together(self, accounts: Sequence[Account], /) -> AbstractContextManager[None]:
        """Nothing is gained by it here."""
        del accounts
        return nullcontext()

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one."""
        return {each: self._transactions[self._places[each]] for each in ids if each in self._places}

    def referring_to(self, causes: Sequence[str], /) -> Mapping[str, tuple[Transaction, ...]]:
        """For each id the transactions that refer to it."""
        return {cause: tuple(each for each in self._transactions if each.refers_to == cause) for cause in causes}

    def statement(self, kind: AccountKind, owner: str, /, *, before: str | None, most: int) -> tuple[Transaction, ...]:
        """At most `most` transactions that touch the accounts of somebody."""
        end = None if before is None else self._places.get(before)
        theirs = [
            transaction
            for transaction in reversed(self._transactions[:end])
            if any((each.account.kind, each.account.owner) == (kind, owner) for each in transaction.postings)
        ]
        return tuple(theirs[:most])

    def totals(self) -> Mapping[tuple[AccountKind, str], int]:
        """The sum of all balances, by kind and unit."""
        totals: dict[tuple[AccountKind, str], int] = {}
        for account, balance in self._balances.items():
            of = account.kind, account.unit
            totals[of] = totals.get(of, 0) + balance
        return totals

    def last_seq(self) -> int:
        """The number of the newest transaction."""
        return len(self._transactions)

    def transactions(self, after: int, most: int, /) -> Sequence[KeptTransaction]:
        """The transactions numbered `after + 1` to `after + most`."""
        return [
            KeptTransaction(seq, each.id, tuple((posting.account.key, posting.amount) for posting in each.postings))
            for seq, each in enumerate(self._transactions[after : after + most], start=after + 1)
        ]

    def posted(
        self, since: datetime, until: datetime, /, *, after: int, most: int
    ) -> Sequence[tuple[int, Transaction]]:
        """At most `most` transactions of a span of time."""
        numbered = enumerate(self._transactions[after:], start=after + 1)
        return [(seq, each) for seq, each in numbered if since <= each.at < until][:most]

    def accounts(self, after: str, most: int, /, *, since: int) -> Sequence[KeptAccount]:
        """At most `most` accounts whose keys are greater than `after`."""
        kept = sorted((account.key, account) for account in self._balances if account.key > after)
        return [
            KeptAccount(key, self._balances[account], self._posted_since(account, since))
            for key, account in kept[:most]
        ]

    def _posted_since(self, account: Account, since: int) -> int:
        later = (posting for each in self._transactions[since:] for posting in each.postings)
        return sum(posting.amount for posting in later if posting.account == account)
