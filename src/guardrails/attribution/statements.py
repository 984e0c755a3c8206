"""Statements of a month: what was received for each sponsor and what it owes, what is each affiliate's and what
recipients got, line by line, each with the index of the audit entry that proves it. Pure.

    sponsor    payments received for it, less what was earned by it; what remains is owed to it or, below zero, by it
    affiliate  its shares of the revenue
    benefit    by offer: what recipients got of it, as credits, or as discounts that were in the price

Lines are made of the recorded revenue and of the payments in the ledger. INVARIANT: the lines of a statement sum to
its total, and every total is what the ledger moved for its party: `differences` says where that is not so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from guardrails.attribution.booking import BOOKED
from guardrails.attribution.reversing import REVERSED
from guardrails.attribution.shares import EARNED, UNATTRIBUTED, UNNAMED
from guardrails.attribution.values import BenefitForm, Part, Revenue, Why
from guardrails.core.bookkeeping import Account, Transaction

__all__ = [
    "PAYMENTS",
    "Difference",
    "Known",
    "Line",
    "Origin",
    "Paid",
    "Statement",
    "StatementKind",
    "Totals",
    "differences_of",
    "statements_of",
    "totals_of",
]

StatementKind = Literal["sponsor", "affiliate", "benefit"]
What = Literal["payment", "refund", "chargeback", "revenue", "discount", "share", "benefit"]

PAYMENTS: Mapping[str, What] = {"payment": "payment", "refund": "refund", "chargeback": "chargeback"}
"""What payments are called in the ledger."""

Party = tuple[str, str, str]
"""Whose money it is in the check: a kind, an owner and a currency."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One movement. `amount_minor` is in favour of whose statement it is; what is below zero is taken or owed.

    `reference` is the revenue, or the redemption that a payment is of. `audit_index` proves it; `decision_audit_index`
    is the entry of the decision that earned it, or whose token was redeemed. What takes another line back says which:
    its reference (`reverses`), its entry and when it was booked. `why` says why revenue is attributed to no decision.
    `recipient` is told of benefits alone.
    """

    recorded_at: datetime
    what: What
    reference: str
    amount_minor: int
    audit_index: int | None = None
    reverses: str | None = None
    reverses_audit_index: int | None = None
    reverses_recorded_at: datetime | None = None
    decision_id: str | None = None
    decision_audit_index: int | None = None
    campaign: str | None = None
    offer: str | None = None
    recipient: str | None = None
    form: BenefitForm | None = None
    why: Why | None = None


class Origin(msgspec.Struct, frozen=True):
    """The line that another takes back: its entry in the log, and when it was booked."""

    audit_index: int | None = None
    recorded_at: datetime | None = None


class Paid(msgspec.Struct, frozen=True):
    """What is known of a payment: the entry that proves it, the decision and offer, and what it takes back."""

    audit_index: int | None = None
    decision_id: str | None = None
    decision_audit_index: int | None = None
    campaign: str | None = None
    offer: str | None = None
    origin: Origin = Origin()


class Known(msgspec.Struct, frozen=True):
    """What is looked up for lines: payments, by their transaction, and the revenues that are taken back, by id."""

    payments: Mapping[str, Paid]
    taken_back: Mapping[str, Origin]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one party in one currency, by time, and their sum.

    `party` is the sponsor's or affiliate's id, or of benefits the offer's; None: nobody was named.
    """

    kind: StatementKind
    party: str | None
    currency: str
    total_minor: int
    lines: tuple[Line, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """A currency's month. `booked_minor` less `reversed_minor` is attributed or not; what is attributed is shared.

    Attributed is the sum of credits, discounts, affiliates' shares and the platform's own. `shortfall_minor` of what
    was taken back was had by nobody any more.
    """

    currency: str
    payments_minor: int
    booked_minor: int
    reversed_minor: int
    attributed_minor: int
    unattributed_minor: int
    credits_minor: int
    discounts_minor: int
    affiliates_minor: int
    platform_minor: int
    shortfall_minor: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where statements and ledger don't agree."""

    kind: str
    owner: str
    currency: str
    statement_minor: int
    ledger_minor: int


def statements_of(
    revenues: Iterable[Revenue], transactions: Iterable[Transaction], known: Known
) -> tuple[Statement, ...]:
    """All statements: sponsors, affiliates, benefits, each by party and currency.

    `transactions` are all of the ledger.
    """
    lines: dict[tuple[StatementKind, str | None, str], list[Line]] = defaultdict(list)
    for revenue in revenues:
        for kind, party, line in _lines_of(revenue, known.taken_back.get(revenue.reverses or "", Origin())):
            lines[kind, party, revenue.currency].append(line)
    for transaction in transactions:
        for account, line in _payment_lines(transaction, known.payments.get(transaction.id, Paid())):
            lines["sponsor", account.owner, account.unit].append(line)
    order = {"sponsor": 0, "affiliate": 1, "benefit": 2}
    keys = sorted(lines, key=lambda key: (order[key[0]], key[1] is None, key[1] or "", key[2]))
    return tuple(_statement(*key, lines[key]) for key in keys)


def totals_of(revenues: Sequence[Revenue], statements: Iterable[Statement]) -> tuple[Totals, ...]:
    """The totals of each currency that anything was of, by currency."""
    payments: dict[str, int] = defaultdict(int)
    for statement in statements:
        paid = (line.amount_minor for line in statement.lines if line.what in PAYMENTS)
        payments[statement.currency] += sum(paid)
    currencies = sorted({each.currency for each in revenues} | {each for each, sum_ in payments.items() if sum_})
    return tuple(_total(each, [one for one in revenues if one.currency == each], payments[each]) for each in currencies)


def differences_of(
    revenues: Iterable[Revenue], statements: Iterable[Statement], transactions: Iterable[Transaction]
) -> tuple[Difference, ...]:
    """Every party of which statements say something else than the ledger, in order."""
    told: dict[Party, int] = defaultdict(int)
    for party, amount in _told(revenues, statements):
        told[party] += amount
    moved: dict[Party, int] = defaultdict(int)
    for party, amount in _moved(transactions):
        moved[party] += amount
    return tuple(
        Difference(
            kind=party[0], owner=party[1], currency=party[2], statement_minor=told[party], ledger_minor=moved[party]
        )
        for party in sorted(told.keys() | moved.keys())
        if told[party] != moved[party]
    )


def _statement(kind: StatementKind, party: str | None, currency: str, lines: list[Line]) -> Statement:
    lines.sort(key=lambda line: (line.recorded_at, line.reference))
    total = sum(line.amount_minor for line in lines)
    return Statement(kind=kind, party=party, currency=currency, total_minor=total, lines=tuple(lines))


def _lines_of(revenue: Revenue, origin: Origin) -> Iterator[tuple[StatementKind, str | None, Line]]:
    """What a revenue says in each statement."""
    if not revenue.parts:
        yield "sponsor", revenue.sponsor, _whole_line(revenue, origin)
    for part in revenue.parts:
        line = _line_of(part, revenue, origin)
        yield "sponsor", revenue.sponsor, line
        if part.benefit_form == "discount":
            yield "sponsor", revenue.sponsor, replace(line, what="discount", amount_minor=part.benefit_minor)
        if part.affiliate is not None:
            yield "affiliate", part.affiliate, replace(line, what="share", amount_minor=part.affiliate_minor)
        if part.benefit_minor:
            benefit = replace(line, what="benefit", amount_minor=part.benefit_minor)
            named = replace(benefit, recipient=revenue.recipient, form=part.benefit_form or "credits")
            yield "benefit", part.offer, named


def _whole_line(revenue: Revenue, origin: Origin) -> Line:
    """All of a revenue, and what it came with."""
    return Line(
        recorded_at=revenue.recorded_at,
        what="revenue",
        reference=revenue.id,
        amount_minor=-revenue.amount_minor,
        audit_index=revenue.audit_index,
        reverses=revenue.reverses,
        reverses_audit_index=origin.audit_index,
        reverses_recorded_at=origin.recorded_at,
        decision_id=revenue.decision_id,
        campaign=revenue.campaign,
        offer=revenue.offer,
        why=revenue.why,
    )


def _line_of(part: Part, revenue: Revenue, origin: Origin) -> Line:
    """What one decision earned of it."""
    return replace(
        _whole_line(revenue, origin),
        amount_minor=-part.amount_minor,
        decision_id=part.decision_id,
        decision_audit_index=part.audit_index,
        campaign=part.campaign,
        offer=part.offer,
    )


def _payment_lines(transaction: Transaction, paid: Paid) -> Iterator[tuple[Account, Line]]:
    what = PAYMENTS.get(transaction.kind)
    if what is None:
        return
    sums: dict[Account, int] = defaultdict(int)
    for posting in transaction.postings:
        party = _party_of(posting.account)
        if party is not None and party[0] == "sponsor":
            sums[Account("sponsor", party[1], party[2])] += posting.amount
    for account, amount in sums.items():
        yield (
            account,
            Line(
                recorded_at=transaction.at,
                what=what,
                reference=transaction.refers_to or transaction.id,
                amount_minor=amount,
                audit_index=paid.audit_index,
                reverses=None if transaction.reverses is None else transaction.refers_to,
                reverses_audit_index=paid.origin.audit_index,
                reverses_recorded_at=paid.origin.recorded_at,
                decision_id=paid.decision_id,
                decision_audit_index=paid.decision_audit_index,
                campaign=paid.campaign,
                offer=paid.offer,
            ),
        )


def _total(currency: str, revenues: Sequence[Revenue], payments: int) -> Totals:
    parts = [part for revenue in revenues for part in revenue.parts]
    discounts = sum(part.benefit_minor for part in parts if part.benefit_form == "discount")
    return Totals(
        currency=currency,
        payments_minor=payments,
        booked_minor=sum(each.amount_minor for each in revenues if each.reverses is None),
        reversed_minor=-sum(each.amount_minor for each in revenues if each.reverses is not None),
        attributed_minor=sum(part.amount_minor for part in parts),
        unattributed_minor=sum(each.amount_minor for each in revenues if not each.parts),
        credits_minor=sum(part.benefit_minor for part in parts) - discounts,
        discounts_minor=discounts,
        affiliates_minor=sum(part.affiliate_minor for part in parts),
        platform_minor=sum(part.platform_minor for part in parts),
        shortfall_minor=sum(short.amount_minor for each in revenues for short in each.shortfalls),
    )


# --- the check against the ledger -----------------------------------------------------------------------------------


def _told(revenues: Iterable[Revenue], statements: Iterable[Statement]) -> Iterator[tuple[Party, int]]:
    """What statements say that each party has more of, or less."""
    for statement in statements:
        if statement.kind == "sponsor":
            kind, owner = ("outside", UNNAMED) if statement.party is None else ("sponsor", statement.party)
            yield (kind, owner, statement.currency), statement.total_minor
        elif statement.kind == "affiliate":
            yield ("affiliate", statement.party or "", statement.currency), statement.total_minor
        else:
            for line in statement.lines:
                if line.form == "credits":
                    yield ("recipient", line.recipient or "", statement.currency), line.amount_minor
    for revenue in revenues:
        if not revenue.parts:
            yield ("platform", UNATTRIBUTED, revenue.currency), revenue.amount_minor
        for part in revenue.parts:
            yield ("platform", EARNED, revenue.currency), part.platform_minor


def _moved(transactions: Iterable[Transaction]) -> Iterator[tuple[Party, int]]:
    """What the ledger moved for each party by revenue and, of sponsors, by payments."""
    for transaction in transactions:
        is_revenue = transaction.kind in {BOOKED, REVERSED}
        if not is_revenue and transaction.kind not in PAYMENTS:
            continue
        for posting in transaction.postings:
            party = _party_of(posting.account)
            if party is not None and (is_revenue or party[0] == "sponsor"):
                yield party, posting.amount


def _party_of(account: Account) -> Party | None:
    """Whose an account is: what a sponsor has and what it owes are one; so is what was lost for somebody."""
    kind: str = account.kind
    owner = account.owner
    if kind == "shortfall":
        kind, _, owner = owner.partition(":")
    if kind == "receivable":
        kind = "sponsor"
    if kind == "payable":
        kind = "outside"
    if kind == "outside" and owner != UNNAMED:
        return None
    return kind, owner, account.unit
