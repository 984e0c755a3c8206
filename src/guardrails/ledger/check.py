"""Recompute every balance from the postings, and name what differs. Nothing is changed.

The ledger is read in short units, so that a service goes on posting meanwhile: all transactions up to the newest one
are gone through by their numbers, and what was posted since is added when the balances are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from guardrails.core.bookkeeping import Account
from guardrails.decide.ports import Transactor
from guardrails.ledger.store import KeptAccount, KeptTransaction, LedgerStore

__all__ = ["Difference", "LedgerCheck"]

TRANSACTIONS_AT_ONCE = 2_000
ACCOUNTS_AT_ONCE = 500


class Difference(msgspec.Struct, frozen=True):
    """What is wrong with the books: which account or transaction, and what of it."""

    where: str
    what: str


class LedgerCheck:
    """One look through the whole ledger; `transactions` and `accounts` say how many were looked at so far."""

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor
        self._sums: Counter[str] = Counter()
        self.transactions = 0
        self.accounts = 0

    def differences(self) -> Iterator[Difference]:
        """Everything that is wrong, as it is found. Raises DependencyError where the store is out of reach."""
        last = self._transactor.call(_last_seq, None)
        for after in range(0, last, TRANSACTIONS_AT_ONCE):
            until = min(after + TRANSACTIONS_AT_ONCE, last)
            found = {each.seq: each for each in self._transactor.call(_transactions, (after, until - after))}
            for seq in range(after + 1, until + 1):
                yield from self._looked_at(seq, found.get(seq))
        key = ""
        while page := self._transactor.call(_accounts, (key, last)):
            for kept in page:
                yield from self._compared(kept)
            key = page[-1].account
        for key in self._sums:
            yield Difference(key, "has postings, and no balance is kept")

    def _looked_at(self, seq: int, transaction: KeptTransaction | None) -> Iterator[Difference]:
        if transaction is None or transaction.id is None:
            yield Difference(f"transaction {seq}", "is missing")
        if transaction is None:
            return
        self.transactions += 1
        units: Counter[str] = Counter()
        for key, amount in transaction.postings:
            self._sums[key] += amount
            account = _account(key)
            if account is None:
                yield Difference(key, "is no account")
            else:
                units[account.unit] += amount
        for unit, total in units.items():
            if total:
                yield Difference(f"transaction {transaction.id or seq}", f"sums to {total} in {unit}, not to zero")

    def _compared(self, kept: KeptAccount) -> Iterator[Difference]:
        self.accounts += 1
        account, posted = _account(kept.account), self._sums.pop(kept.account, 0) + kept.posted_since
        if account is None:
            yield Difference(kept.account, "is no account")
        elif kept.balance != account.sign * posted:
            yield Difference(kept.account, f"{kept.balance} are kept, the postings come to {account.sign * posted}")


def _account(key: str) -> Account | None:
    try:
        return Account.of_key(key)
    except (ValueError, msgspec.DecodeError):
        return None


class _Session(Protocol):
    ledger: LedgerStore


def _last_seq(session: _Session, asked: list[None]) -> list[int]:
    return [session.ledger.last_seq() for _ in asked]


def _transactions(session: _Session, ranges: list[tuple[int, int]]) -> list[Sequence[KeptTransaction]]:
    return [session.ledger.transactions(after, most) for after, most in ranges]


def _accounts(session: _Session, pages: list[tuple[str, int]]) -> list[Sequence[KeptAccount]]:
    return [session.ledger.accounts(after, ACCOUNTS_AT_ONCE, since=since) for after, since in pages]
