"""Booking: revenue that arrives is attributed, shared, posted in the ledger, entered in the log and kept, in one unit.

    booked = book(session, [Booking(...), ...])       # within a unit: a record, or the error that it alone has

All that arrives together is read with one call a store and written with one. A booking sees those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from guardrails.attribution.models import Touch, attribute, in_order
from guardrails.attribution.shares import accounts_of, postings_of
from guardrails.attribution.store import RevenueStore, StoredRevenue
from guardrails.attribution.touches import Allow, Sought, allow_of_entry, allow_of_row, eligible, span_of, why_not
from guardrails.attribution.values import Revenue, Why
from guardrails.core.bookkeeping import Account, Books, Refusal, Transaction
from guardrails.core.policy_set import Attribution
from guardrails.decide.entry import DecisionEntry, EventEntry, decode_entry, encode_entry
from guardrails.decide.ports import AuditLog, DecisionStore, Span, StoredDecision
from guardrails.decoding import invalid
from guardrails.errors import CandidateError, ConflictError

__all__ = [
    "BOOKED",
    "Booked",
    "Booking",
    "Ledger",
    "Paid",
    "Proof",
    "Session",
    "book",
    "event_of",
    "is_of_redemption",
    "refused",
    "transaction_id",
]

ALLOWS_MOST = 200
"""Allows of a recipient within one window that are looked at, the newest; nobody is sent as many."""

BOOKED = "revenue.booked"


class Ledger(Protocol):
    """What revenue needs of the ledger."""

    def balances(self, accounts: Sequence[Account], /) -> Mapping[Account, int]:
        """The balance of each account."""

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one."""

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep new transactions, in order."""


class Session(Protocol):
    """The stores that revenue is booked in."""

    decisions: DecisionStore
    audit: AuditLog
    ledger: Ledger
    revenues: RevenueStore


class Proof(msgspec.Struct, frozen=True):
    """The decision that a revenue names. `is_proven`: one of its tokens came with it, which proves that it was sent.

    `audit_index` is what such a token says of its place in the log.
    """

    decision_id: str
    audit_index: int | None = None
    is_proven: bool = False


class Paid(Protocol):
    """A redemption, as far as a revenue's `conversion` may mean it."""

    @property
    def decision_id(self) -> str:
        """The decision whose token was redeemed."""

    @property
    def recipient(self) -> str:
        """Who redeemed it."""

    @property
    def sponsor(self) -> str:
        """Whom the offer is of."""

    @property
    def offer(self) -> str:
        """The offer's id."""


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """A revenue to book: what is said of it, checked, and the `terms` that hold now. `body_hash` tells repeats.

    Where a `proof` is given and its decision is known, that tells recipient and sponsor; else what is said here does.
    `redemption` is the one that a commission is of; what its decision earns is booked though nothing of that is left.
    """

    id: str
    amount_minor: int
    currency: str
    at: datetime
    now: datetime
    terms: Attribution
    body_hash: bytes
    proof: Proof | None = None
    recipient: str | None = None
    sponsor: str | None = None
    campaign: str | None = None
    offer: str | None = None
    conversion: str | None = None
    redemption: Paid | None = None


class Booked(msgspec.Struct, frozen=True):
    """A record, and whether it is new: not the first answer to a request that was repeated."""

    revenue: Revenue
    is_new: bool


def book(session: Session, bookings: Sequence[Booking]) -> list[Booked | CandidateError]:
    """Book in order; one result a booking."""
    kept = _Kept(session, bookings)
    bookings = [kept.apart(each) for each in bookings]
    answered = [kept.answer(each) for each in bookings]
    fresh = [booking for booking, answer in zip(bookings, answered, strict=True) if answer is None]
    if not fresh:
        return [each for each in answered if each is not None]
    found = _Found(session, fresh)
    drafts = [None if answer else found.draft(each) for each, answer in zip(bookings, answered, strict=True)]
    writer = _Writer(session, [each for each in drafts if isinstance(each, Revenue)])
    booked = [
        # Asked again, since one before it may have booked the same meanwhile.
        answer or kept.answer(booking) or _write(writer, kept, booking, draft)
        for booking, answer, draft in zip(bookings, answered, drafts, strict=True)
    ]
    writer.write(session)
    return booked


def transaction_id(revenue_id: str) -> str:
    """What a revenue is called in the ledger."""
    return f"revenue:{revenue_id}"


def event_of(revenue: Revenue, event: str) -> bytes:
    """The entry in the log: all of the record, but where it stands there."""
    body = msgspec.to_builtins(revenue)
    del body["audit_index"]
    decisions = {part.decision_id for part in revenue.parts}
    named = decisions.pop() if len(decisions) == 1 else None
    return encode_entry(EventEntry(event=event, at=revenue.recorded_at, decision_id=named, body=body))


def _write(
    writer: _Writer, kept: _Kept, booking: Booking, draft: Revenue | CandidateError | None
) -> Booked | CandidateError:
    assert draft is not None  # noqa: S101 - only what is answered already has none, and that is not written
    if isinstance(draft, CandidateError):
        return draft
    revenue = writer.add(draft, booking.body_hash)
    if isinstance(revenue, CandidateError):
        return revenue
    kept.add(revenue, booking.body_hash)
    return Booked(revenue, is_new=True)


def is_of_redemption(revenue: Revenue, redemption: Paid) -> bool:
    """Whether revenue of a conversion is of the redemption in the session of that name; callers name both.

    It is where both come of one decision or, of revenue that names none, where nothing else that it says contradicts.
    """
    if revenue.decision_id is not None:
        return revenue.decision_id == redemption.decision_id
    said = (
        (revenue.recipient, redemption.recipient),
        (revenue.sponsor, redemption.sponsor),
        (revenue.offer, redemption.offer),
    )
    return all(one is None or one == other for one, other in said)


def refused(refusal: Refusal, pointer: str) -> CandidateError:
    """The error that tells of an account which can't hold as much."""
    return invalid(((pointer, f"is more than the {refusal.account.kind}'s account can hold beside what is there"),))


class _Kept:
    """What is booked already: by earlier units, and by this one."""

    def __init__(self, session: Session, bookings: Sequence[Booking]) -> None:
        self._by_id = dict(session.revenues.by_id([each.id for each in bookings]))
        conversions = [each.conversion for each in bookings if each.conversion is not None]
        self._by_conversion = dict(session.revenues.by_conversion(conversions)) if conversions else {}

    def apart(self, booking: Booking) -> Booking:
        """The booking; of a redemption without its conversion, where another's revenue was booked by that name."""
        other = self._by_conversion.get(booking.conversion or "")
        if other is None or booking.redemption is None or is_of_redemption(other, booking.redemption):
            return booking
        return msgspec.structs.replace(booking, conversion=None)

    def answer(self, booking: Booking) -> Booked | CandidateError | None:
        """What is answered without booking anything; None: it is to be booked."""
        first = self._by_id.get(booking.id)
        if first is not None:
            if first.body_hash == booking.body_hash:
                return Booked(first.revenue, is_new=False)
            message = f"revenue `{booking.id}` is booked already, and says something else"
            return ConflictError(message, problems=(("/id", message),), code="revenue.other_body")
        other = self._by_conversion.get(booking.conversion or "")
        if other is None:
            return None
        message = f"conversion `{booking.conversion}` has its revenue already: `{other.id}`; take that back first"
        return ConflictError(message, problems=(("/conversion", message),), code="revenue.conversion_booked")

    def add(self, revenue: Revenue, body_hash: bytes) -> None:
        self._by_id[revenue.id] = StoredRevenue(revenue, body_hash)
        if revenue.conversion is not None:
            self._by_conversion[revenue.conversion] = revenue


class _Found:
    """The decisions that may have earned it."""

    def __init__(self, session: Session, bookings: Sequence[Booking]) -> None:
        named = [each.proof for each in bookings if each.proof is not None]
        rows = session.decisions.by_id([each.decision_id for each in named]) if named else {}
        self._named = {each: _named_allow(session, each, rows) for each in dict.fromkeys(named)}
        self._recipients = {each.decision_id: each.recipient for each in rows.values()}
        spans = [span_of(sought, each.terms) for each in bookings if (sought := self._sought(each)) is not None]
        self._within: Mapping[Span, Sequence[StoredDecision]] = (
            session.decisions.allows_within(spans, ALLOWS_MOST) if spans else {}
        )

    def draft(self, booking: Booking) -> Revenue | CandidateError:
        """The record, but for its places in the log and in the ledger."""
        sought = self._sought(booking)
        named = None if booking.proof is None else self._named[booking.proof]
        is_told = booking.proof is not None and booking.proof.audit_index is not None
        if named is None and is_told and booking.redemption is None:
            return invalid((("/attribution", "names a decision that is not in this log"),), "token.invalid")
        if sought is None:
            if booking.proof is None:
                return _record(booking, booking, (), "nothing_named")
            recipient = self._recipients.get(booking.proof.decision_id) or booking.recipient
            why: Why = "not_monetized" if booking.proof.decision_id in self._recipients else "no_such_decision"
            return _record(booking, msgspec.structs.replace(booking, recipient=recipient), (), why)
        rows = self._within[span_of(sought, booking.terms)]
        allows = [allow for row in rows if (allow := allow_of_row(row)) is not None]
        if named is not None:
            allows.append(named)
        touches = _of_one_sponsor(eligible(allows, sought, booking.terms), sought)
        speaks_against = None if touches else _why(named, sought, booking.terms)
        return _record(booking, sought, touches, speaks_against)

    def _sought(self, booking: Booking) -> Sought | None:
        """Whose decisions of what are looked for; None where nobody is known, or not what they were for."""
        if booking.proof is None:
            if booking.recipient is None or getattr(booking, booking.terms.across) is None:
                return None
            return Sought(
                recipient=booking.recipient,
                at=booking.at,
                sponsor=booking.sponsor,
                campaign=booking.campaign,
                offer=booking.offer,
            )
        named = self._named[booking.proof]
        if named is None:
            return None
        touch = named.touch
        return Sought(
            recipient=touch.recipient,
            at=booking.at,
            sponsor=touch.sponsor,
            campaign=touch.campaign,
            offer=touch.offer,
            named=touch.decision_id,
            is_proven=booking.proof.is_proven,
        )


def _named_allow(session: Session, proof: Proof, rows: Mapping[str, StoredDecision]) -> Allow | None:
    """The allow that is named: by its row or, where that is kept no more, by the entry that its token leads to."""
    row = rows.get(proof.decision_id)
    if row is not None:
        return allow_of_row(row)
    if proof.audit_index is None:
        return None
    for index, data in session.audit.read(proof.audit_index, proof.audit_index + 1):
        entry = decode_entry(data)
        if isinstance(entry, DecisionEntry) and entry.decision.decision_id == proof.decision_id:
            return allow_of_entry(entry, index)
    return None


def _of_one_sponsor(touches: Iterable[Touch], sought: Sought) -> tuple[Touch, ...]:
    """A revenue is owed by one sponsor: where none is named, by that of the last touch. In order."""
    ordered = in_order(touches, named=sought.named)
    sponsor = sought.sponsor or (ordered[-1].sponsor if ordered else None)
    return tuple(each for each in ordered if each.sponsor == sponsor)


def _why(named: Allow | None, sought: Sought, terms: Attribution) -> Why:
    return "nothing_eligible" if named is None else why_not(named, sought, terms) or "nothing_eligible"


def _record(booking: Booking, said: Booking | Sought, touches: Sequence[Touch], why: Why | None) -> Revenue:
    named = None if booking.proof is None else booking.proof.decision_id
    return Revenue(
        id=booking.id,
        amount_minor=booking.amount_minor,
        currency=booking.currency,
        at=booking.at,
        recorded_at=booking.now,
        audit_index=-1,
        model=booking.terms.model,
        recipient=said.recipient,
        sponsor=said.sponsor or next((touch.sponsor for touch in touches), None),
        decision_id=named,
        campaign=said.campaign,
        offer=said.offer,
        conversion=booking.conversion,
        parts=attribute(booking.amount_minor, touches, model=booking.terms.model),
        why=why,
        transaction=transaction_id(booking.id),
    )


class _Writer:
    """Posts and enters what was drafted; written at the end."""

    def __init__(self, session: Session, drafts: Sequence[Revenue]) -> None:
        accounts = dict.fromkeys(account for draft in drafts for account in accounts_of(draft))
        self._books = Books(session.ledger.balances(list(accounts)))
        self._next_index = session.audit.next_index()
        self._entries: list[bytes] = []
        self._added: list[StoredRevenue] = []

    def add(self, draft: Revenue, body_hash: bytes) -> Revenue | CandidateError:
        """The record as it is kept. An error, and nothing of it, where an account can't hold as much."""
        transaction = Transaction(
            id=transaction_id(draft.id),
            kind=BOOKED,
            postings=postings_of(draft, self._books.balances),
            at=draft.recorded_at,
            refers_to=draft.id,
        )
        refusal = self._books.post(transaction)
        if refusal is not None:
            return refused(refusal, "/amount_minor")
        revenue = msgspec.structs.replace(draft, audit_index=self._next_index + len(self._entries))
        self._entries.append(event_of(revenue, BOOKED))
        self._added.append(StoredRevenue(revenue, body_hash))
        return revenue

    def write(self, session: Session) -> None:
        """Write all of it, one call a store."""
        if not self._added:
            return
        session.ledger.append(self._books.posted)
        session.audit.append(self._entries)
        session.revenues.append(self._added)
