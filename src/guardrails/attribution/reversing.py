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
    """Take revenues back, in order; one result each: the reversal."""
    return [_reverse(session, each) for each in asked]


def _reverse(session: Session, asked: Reversing) -> Booked | CandidateError:
    new_id = asked.id or asked.new_id
    kept = session.revenues.by_id([asked.revenue_id, new_id])
    first = kept.get(asked.revenue_id)
    if first is None:
        return NotFoundError(f"no revenue `{asked.revenue_id}` is booked")
    revenue = first.revenue
    if revenue.reverses is not None:
        message = (
            f"`{revenue.id}` took `{revenue.reverses}` back, and is not taken back itself: book that again instead"
        )
        return ConflictError(message, code="revenue.is_reversal")
    if revenue.reversed_by is not None:
        return _again(session.revenues.by_id([revenue.reversed_by])[revenue.reversed_by], asked)
    if new_id in kept:
        message = f"`{new_id}` is booked already, and is not the reversal of `{revenue.id}`"
        return ConflictError(message, problems=(("/id", message),), code="revenue.other_body")
    return _taken_back(session, revenue, new_id, asked)


def _again(reversal: StoredRevenue, asked: Reversing) -> Booked | CandidateError:
    """The reversal there is, where it is what is asked for: who names no other id asks for the one there is."""
    revenue = reversal.revenue
    if asked.id in {None, revenue.id} and asked.reason in {None, revenue.reason}:
        return Booked(revenue, is_new=False)
    message = f"revenue `{asked.revenue_id}` was taken back already, by `{revenue.id}`"
    return ConflictError(message, problems=(("/id", message),), code="revenue.reversed")


def _taken_back(session: Session, revenue: Revenue, new_id: str, asked: Reversing) -> Booked | CandidateError:
    booked = session.ledger.by_id([transaction_id(revenue.id)])[transaction_id(revenue.id)]
    balances = session.ledger.balances(accounts_to_reverse(booked))
    transaction = reversal_of(booked, balances, id=transaction_id(new_id), at=asked.now, kind=REVERSED)
    books = Books(balances)
    refusal = books.post(transaction)
    if refusal is not None:
        return refused(refusal, "")
    reversal = Revenue(
        id=new_id,
        amount_minor=-revenue.amount_minor,
        currency=revenue.currency,
        at=asked.now,
        recorded_at=asked.now,
        audit_index=session.audit.next_index(),
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
    session.ledger.append(books.posted)
    session.audit.append([event_of(reversal, REVERSED)])
    session.revenues.append([StoredRevenue(reversal, asked.body_hash)])
    return Booked(reversal, is_new=True)


def _negated(part: Part) -> Part:
    amounts = ("amount_minor", "platform_minor", "benefit_minor", "affiliate_minor")
    changes: Mapping[str, int] = {name: -getattr(part, name) for name in amounts}
    return msgspec.structs.replace(part, **changes)


def _shortfalls(transaction: Transaction) -> tuple[Shortfall, ...]:
    return tuple(_shortfall(posting) for posting in transaction.postings if posting.account.kind == "shortfall")


def _shortfall(posting: Posting) -> Shortfall:
    kind, _, owner = posting.account.owner.partition(":")
    return Shortfall(kind=kind, owner=owner, amount_minor=-posting.amount)
