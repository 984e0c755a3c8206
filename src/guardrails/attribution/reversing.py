"""Reversing: all that a revenue caused is taken back, in one unit, by a record of its own in the month it happens.

What somebody no longer has is not taken from them: the platform bears it, and the record says how much that was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from guardrails.attribution.booking import Booked, Session, event_of, refused, transaction_id
from guardrails.attribution.store import StoredRevenue
from guardrails.attribution.values import Part, Revenue, Shortfall
from guardrails.core.bookkeeping import Books, Posting, Transaction, accounts_to_reverse, reversal_of
from guardrails.errors import CandidateError, ConflictError, NotFoundError

__all__ = ["REVERSED", "Reversing", "reverse"]

REVERSED = "revenue.reversed"


class Reversing(msgspec.Struct, frozen=True, kw_only=True):
    """The revenue to take back. `id` is that of the record which says so; None: whichever it is, `new_id` if none."""

    revenue_id: str
    id: str | None
    new_id: str
    reason: str | None
    body_hash: bytes
    now: datetime


def reverse(session: Session, asked: Sequence[Reversing]) -> list[Booked | CandidateError]:
    """Take revenues back, in order; one result each: the reversal. One read and one write a store."""
    writer = _Writer(session, asked)
    results = [writer.reverse(each) for each in asked]
    writer.write(session)
    return results


class _Writer:
    """What is there of all that is asked for, and the reversals of it so far; written at the end."""

    def __init__(self, session: Session, asked: Sequence[Reversing]) -> None:
        ids = dict.fromkeys(id_ for each in asked for id_ in (each.revenue_id, each.id or each.new_id))
        self._kept = dict(session.revenues.by_id(list(ids)))
        reversals = [each.revenue.reversed_by for each in self._kept.values() if each.revenue.reversed_by is not None]
        if reversals:
            self._kept |= session.revenues.by_id(reversals)
        booked = [transaction_id(each.revenue_id) for each in asked if each.revenue_id in self._kept]
        self._booked = session.ledger.by_id(booked) if booked else {}
        accounts = dict.fromkeys(account for each in self._booked.values() for account in accounts_to_reverse(each))
        self._books = Books(session.ledger.balances(list(accounts)) if accounts else {})
        self._next_index = session.audit.next_index() if booked else 0
        self._added: list[StoredRevenue] = []

    def reverse(self, asked: Reversing) -> Booked | CandidateError:
        """The reversal; or the error, and nothing of it."""
        new_id = asked.id or asked.new_id
        first = self._kept.get(asked.revenue_id)
        if first is None:
            return NotFoundError(f"no revenue `{asked.revenue_id}` is booked")
        revenue = first.revenue
        if revenue.reverses is not None:
            message = (
                f"`{revenue.id}` took `{revenue.reverses}` back, and is not taken back itself: book that again instead"
            )
            return ConflictError(message, code="revenue.is_reversal")
        if revenue.reversed_by is not None:
            return _again(self._kept[revenue.reversed_by], asked)
        if new_id in self._kept:
            message = f"`{new_id}` is booked already, and is not the reversal of `{revenue.id}`"
            return ConflictError(message, problems=(("/id", message),), code="revenue.other_body")
        return self._take_back(first, new_id, asked)

    def _take_back(self, first: StoredRevenue, new_id: str, asked: Reversing) -> Booked | CandidateError:
        booked = self._booked[transaction_id(first.revenue.id)]
        id_ = transaction_id(new_id)
        transaction = reversal_of(booked, self._books.balances, id=id_, at=asked.now, kind=REVERSED)
        refusal = self._books.post(transaction)
        if refusal is not None:
            return refused(refusal, "")
        index = self._next_index + len(self._added)
        stored = StoredRevenue(_reversal(first.revenue, transaction, new_id, index, asked), asked.body_hash)
        self._added.append(stored)
        reversed_ = msgspec.structs.replace(first.revenue, reversed_by=new_id)
        self._kept |= {first.revenue.id: StoredRevenue(reversed_, first.body_hash), new_id: stored}
        return Booked(stored.revenue, is_new=True)

    def write(self, session: Session) -> None:
        """Write all of it, one call a store."""
        if not self._added:
            return
        session.ledger.append(self._books.posted)
        session.audit.append([event_of(each.revenue, REVERSED) for each in self._added])
        session.revenues.append(self._added)


def _again(reversal: StoredRevenue, asked: Reversing) -> Booked | CandidateError:
    """The reversal there is, where it is what is asked for: who names no other id asks for the one there is."""
    revenue = reversal.revenue
    if asked.id in {None, revenue.id} and asked.reason in {None, revenue.reason}:
        return Booked(revenue, is_new=False)
    message = f"revenue `{asked.revenue_id}` was taken back already, by `{revenue.id}`"
    return ConflictError(message, problems=(("/id", message),), code="revenue.reversed")


def _reversal(revenue: Revenue, transaction: Transaction, new_id: str, audit_index: int, asked: Reversing) -> Revenue:
    return Revenue(
        id=new_id,
        amount_minor=-revenue.amount_minor,
        currency=revenue.currency,
        at=asked.now,
        recorded_at=asked.now,
        audit_index=audit_index,
        model=revenue.model,
        recipient=revenue.recipient,
        sponsor=revenue.sponsor,
        decision_id=revenue.decision_id,
        campaign=revenue.campaign,
        offer=revenue.offer,
        parts=tuple(map(_negated, revenue.parts)),
        why=revenue.why,
        transaction=transaction.id,
        reverses=revenue.id,
        reason=asked.reason,
        shortfalls=_shortfalls(transaction),
    )


def _negated(part: Part) -> Part:
    amounts = ("amount_minor", "platform_minor", "benefit_minor", "affiliate_minor")
    changes: Mapping[str, int] = {name: -getattr(part, name) for name in amounts}
    return msgspec.structs.replace(part, **changes)


def _shortfalls(transaction: Transaction) -> tuple[Shortfall, ...]:
    return tuple(_shortfall(posting) for posting in transaction.postings if posting.account.kind == "shortfall")


def _shortfall(posting: Posting) -> Shortfall:
    kind, _, owner = posting.account.owner.partition(":")
    return Shortfall(kind=kind, owner=owner, amount_minor=-posting.amount)
