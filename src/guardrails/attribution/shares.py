"""Shares: what a revenue moves in the books. Pure.

    sponsor, as far as it has, and receivable    who owes it: debited
    recipient                                    benefits in the form of credits
    affiliate, platform                          what is theirs
    platform `unattributed`                      all of what is attributed to no decision

A discount was in the price already: the sponsor who gave it owes so much less, and nothing is credited to the
recipient. Where nobody is named as the sponsor, `outside` owes it, under the name of `UNNAMED`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from guardrails.attribution.values import Part, Revenue
from guardrails.core.bookkeeping import Account, Posting, combined

__all__ = ["EARNED", "UNATTRIBUTED", "UNNAMED", "accounts_of", "discounts", "postings_of"]

EARNED = "revenue"
"""The platform's account of what it keeps of attributed revenue."""
UNATTRIBUTED = "unattributed"
"""The platform's account of what is attributed to no decision."""
UNNAMED = "unnamed"
"""The account outside of whoever owes revenue and was not named."""


def postings_of(revenue: Revenue, balances: Mapping[Account, int]) -> tuple[Posting, ...]:
    """What booking it posts; `balances` are those of its `accounts_of`."""
    credited = combined(_credits(revenue))
    owed = sum(posting.amount for posting in credited)
    return combined((*credited, *_debits(revenue, owed, balances)))


def accounts_of(revenue: Revenue) -> tuple[Account, ...]:
    """All accounts that booking it may touch."""
    return (*_payers(revenue), *(posting.account for posting in _credits(revenue)))


def discounts(parts: Iterable[Part]) -> int:
    """What of these was given as discounts: nobody owes it."""
    return sum(part.benefit_minor for part in parts if part.benefit_form == "discount")


def _payers(revenue: Revenue) -> tuple[Account, ...]:
    if revenue.sponsor is None:
        return (Account("outside", UNNAMED, revenue.currency),)
    return tuple(Account(kind, revenue.sponsor, revenue.currency) for kind in ("sponsor", "receivable"))


def _debits(revenue: Revenue, owed: int, balances: Mapping[Account, int]) -> Iterator[Posting]:
    *has_some, owes_the_rest = _payers(revenue)
    for account in has_some:
        taken = min(balances[account], owed)
        owed -= taken
        yield Posting(account, -taken)
    yield Posting(owes_the_rest, -owed)


def _credits(revenue: Revenue) -> Iterator[Posting]:
    unit = revenue.currency
    if not revenue.parts:
        yield Posting(Account("platform", UNATTRIBUTED, unit), revenue.amount_minor)
    for part in revenue.parts:
        if part.benefit_form != "discount" and revenue.recipient is not None:
            yield Posting(Account("recipient", revenue.recipient, unit), part.benefit_minor)
        if part.affiliate is not None:
            yield Posting(Account("affiliate", part.affiliate, unit), part.affiliate_minor)
        yield Posting(Account("platform", EARNED, unit), part.platform_minor)
