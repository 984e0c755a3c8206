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

from guardrails.attribution.booking import BOOKED
from guardrails.attribution.reversing import REVERSED
from guardrails.attribution.shares import EARNED, UNATTRIBUTED, UNNAMED
from guardrails.attribution.values import BenefitForm, Part, Revenue
from guardrails.core.bookkeeping import Account, Transaction

__all__ = [
    "PAYMENTS",
    "Difference",
    "Line",
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
    is the entry of the decision that earned it. `recipient` is told of benefits alone.
    """

    recorded_at: datetime
    what: What
    reference: str
    amount_minor: int
    audit_index: int | None = None
    reverses: str | None = None
    decision_id: str | None = None
    decision_audit_index: int | None = None
    campaign: str | None = None
    offer: str | None = None
    recipient: str | None = None
    form: BenefitForm | None = None


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
    revenues: Iterable[Revenue], transactions: Iterable[Transaction], proofs: Mapping[str, int]
) -> tuple[Statement, ...]:
    """All statements: sponsors, affiliates, benefits, each by party and currency.

    `transactions` are all of the ledger; `proofs` gives the audit index of what turned a redemption, by the
    transaction's id.
    """
    lines: dict[tuple[StatementKind, str | None, str], list[Line]] = defaultdict(list)
    for revenue in revenues:
        for kind, party, line in _lines_of(revenue):
            lines[kind, party, revenue.currency].append(line)
    for transaction in transactions:
        for account, line in _payment_lines(transaction, proofs):
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


def _lines_of(revenue: Revenue) -> Iterator[tuple[StatementKind, str | None, Line]]:
    """What a revenue says in each statement."""
    if not revenue.parts:
        yield "sponsor", revenue.sponsor, _line(revenue, "revenue", -revenue.amount_minor)
    for part in revenue.parts:
        yield "sponsor", revenue.sponsor, _line(revenue, "revenue", -part.amount_minor, part)
        if part.benefit_form == "discount":
            yield "sponsor", revenue.sponsor, _line(revenue, "discount", part.benefit_minor, part)
        if part.affiliate is not None:
            yield "affiliate", part.affiliate, _line(revenue, "share", part.affiliate_minor, part)
        if part.benefit_minor:
            benefit = _line(revenue, "benefit", part.benefit_minor, part)
            named = msgspec.structs.replace(benefit, recipient=revenue.recipient, form=part.benefit_form or "credits")
            yield "benefit", part.offer, named


def _line(revenue: Revenue, what: What, amount_minor: int, part: Part | None = None) -> Line:
    return Line(
        recorded_at=revenue.recorded_at,
        what=what,
        reference=revenue.id,
        amount_minor=amount_minor,
        audit_index=revenue.audit_index,
        reverses=revenue.reverses,
        decision_id=None if part is None else part.decision_id,
        decision_audit_index=None if part is None else part.audit_index,
        campaign=None if part is None else part.campaign,
        offer=None if part is None else part.offer,
    )


def _payment_lines(transaction: Transaction, proofs: Mapping[str, int]) -> Iterator[tuple[Account, Line]]:
    what = PAYMENTS.get(transaction.kind)
    if what is None:
        return
    offer = transaction.memo.get("offer")
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
                audit_index=proofs.get(transaction.id),
                reverses=transaction.reverses,
                offer=offer if isinstance(offer, str) else None,
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
