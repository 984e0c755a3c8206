"""Post to the ledger, and tell what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple, Protocol

import msgspec

from guardrails.core.bookkeeping import AccountKind, Books, Refusal, Transaction, side_of
from guardrails.decide.ports import Transactor
from guardrails.decoding import invalid
from guardrails.errors import CandidateError, ConflictError
from guardrails.ledger.store import LedgerStore
from guardrails.ledger.values import (
    Amount,
    KindTotal,
    TopUp,
    TopUpRequest,
    Transfer,
    TrialBalance,
    UnitTotals,
    Wallet,
    WalletEntry,
)

__all__ = ["PAGE_MOST", "LedgerService", "ToppedUp"]

PAGE_MOST = 100


class ToppedUp(NamedTuple):
    """A top-up. `is_new`: by this request, and not by the same one before."""

    top_up: TopUp
    is_new: bool


class LedgerService:
    """The ledger, for whoever posts to it outside of a unit of another room's, and for whoever reads it."""

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor

    def transfer(self, transfer: Transfer, *, now: datetime) -> Transaction:
        """Move an amount, durably, and return the transaction; the same again under the same id returns the first one.

        Raises ConflictError where its id names another transaction (`code` is `ledger.other_body`), the source has too
        little (`ledger.insufficient`), or a balance would be more than 64 bits hold (`ledger.too_large`).
        """
        return self._transfer(transfer, now).transaction

    def top_up(self, request: TopUpRequest, *, now: datetime) -> ToppedUp:
        """Add stored value to a recipient's wallet, durably; the same request with the same id returns the first one.

        Raises ConflictError where its id names another top-up, or a balance would be more than 64 bits hold.
        """
        booked = self._transfer(request.transfer, now)
        amount = Amount.of(request.amount_minor, request.currency).amount
        told = TopUp(**msgspec.structs.asdict(request), amount=amount, at=booked.transaction.at)
        return ToppedUp(told, booked.is_new)

    def wallet(self, recipient: str, *, after: str | None = None, most: int = PAGE_MOST) -> Wallet:
        """What a recipient has, and at most `most` transactions, newest first: those older than `after`.

        Raises CandidateError where `after` is no transaction of this recipient's.
        """
        asked = _Asked(recipient, after, most)
        found = self._transactor.call(_read_wallet, asked)
        assert isinstance(found, Wallet)  # noqa: S101 - the transactor raises what is an error
        return found

    def trial_balance(self) -> TrialBalance:
        """The two sides of the books, unit by unit; every balance is read."""
        return self._transactor.call(_read_trial_balance, None)

    def _transfer(self, transfer: Transfer, now: datetime) -> _Posted:
        posted = self._transactor.call(_transfer, transfer.transaction(now))
        assert isinstance(posted, _Posted)  # noqa: S101 - the transactor raises what is an error
        return posted


class _Session(Protocol):
    ledger: LedgerStore


class _Posted(NamedTuple):
    """The transaction of an id, and whether it was posted now."""

    transaction: Transaction
    is_new: bool


class _Asked(NamedTuple):
    """Whose wallet, and which of the transactions."""

    recipient: str
    after: str | None
    most: int


def _transfer(session: _Session, asked: list[Transaction]) -> list[_Posted | ConflictError]:
    kept = dict(session.ledger.by_id([each.id for each in asked]))
    books = Books(session.ledger.balances([posting.account for each in asked for posting in each.postings]))
    results: list[_Posted | ConflictError] = []
    for each in asked:
        first = kept.get(each.id)
        if first is not None:
            is_same = _said_by(first) == _said_by(each)
            results.append(_Posted(first, is_new=False) if is_same else _other_body(each))
        elif (refusal := books.post(each)) is not None:
            results.append(_refused(refusal))
        else:
            kept[each.id] = each
            results.append(_Posted(each, is_new=True))
    if books.posted:
        session.ledger.append(books.posted)
    return results


def _said_by(transaction: Transaction) -> tuple[object, ...]:
    """All that it says but when, which is not the caller's to say."""
    postings = frozenset(transaction.postings)
    return transaction.kind, postings, transaction.refers_to, transaction.reverses, transaction.memo


def _other_body(transaction: Transaction) -> ConflictError:
    own_id = transaction.id.removeprefix(f"{transaction.kind}:")
    message = f"`{own_id}` was recorded with another body; what is in the ledger stays, so give the new one another id"
    return ConflictError(message, problems=(("/id", message),), code="ledger.other_body")


def _refused(refusal: Refusal) -> ConflictError:
    if refusal.reason == "insufficient":
        unit = refusal.account.unit
        has, short = (Amount.of(amount, unit).amount for amount in (refusal.balance, refusal.by))
        of = f"{refusal.account.kind}:{refusal.account.owner}"
        message = f"`{of}` has {has} {unit}: {short} {unit} are missing"
        return ConflictError(message, problems=(("/amount_minor", message),), code="ledger.insufficient")
    message = "a balance would be more than 64 bits hold"
    return ConflictError(message, problems=(("/amount_minor", message),), code="ledger.too_large")


def _read_wallet(session: _Session, wallets: list[_Asked]) -> list[Wallet | CandidateError]:
    cursors = session.ledger.by_id([asked.after for asked in wallets if asked.after is not None])
    return [_wallet(session, asked, cursors) for asked in wallets]


def _wallet(session: _Session, asked: _Asked, cursors: Mapping[str, Transaction]) -> Wallet | CandidateError:
    if asked.after is not None and not _touches(cursors.get(asked.after), asked.recipient):
        return invalid((("/after", f"`{asked.after}` is no transaction of this recipient's"),))
    balances = session.ledger.of_owner("recipient", asked.recipient)
    found = session.ledger.statement("recipient", asked.recipient, before=asked.after, most=asked.most + 1)
    shown = found[: asked.most]
    return Wallet(
        asked.recipient,
        tuple(Amount.of(balance, account.unit) for account, balance in balances.items()),
        tuple(WalletEntry.of(each, "recipient", asked.recipient) for each in shown),
        shown[-1].id if len(found) > asked.most else None,
    )


def _touches(transaction: Transaction | None, recipient: str) -> bool:
    return transaction is not None and any(
        (each.account.kind, each.account.owner) == ("recipient", recipient) for each in transaction.postings
    )


def _read_trial_balance(session: _Session, asked: list[None]) -> list[TrialBalance]:
    totals = sorted((unit, kind, total) for (kind, unit), total in session.ledger.totals().items())
    units = tuple(
        _unit_totals(unit, [(kind, total) for _, kind, total in group])
        for unit, group in groupby(totals, key=lambda each: each[0])
    )
    balance = TrialBalance(all(each.agrees for each in units), units)
    return [balance for _ in asked]


def _unit_totals(unit: str, totals: Sequence[tuple[AccountKind, int]]) -> UnitTotals:
    kinds = tuple(KindTotal(kind, side_of(kind), total, Amount.of(total, unit).amount) for kind, total in totals)
    debits, credits_ = (sum(each.total_minor for each in kinds if each.side == side) for side in ("debit", "credit"))
    return UnitTotals(unit, debits == credits_, debits, credits_, kinds)
