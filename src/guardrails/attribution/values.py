"""What is said of revenue: what was earned and by what, the decisions it is attributed to, and who gets which part.

Amounts are integer minor units of an ISO 4217 currency. What is recorded never changes: what is taken back is a
record of its own, below zero. INVARIANT: the parts of a revenue sum to its amount, and so do the shares of each part.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from guardrails.core.candidate import YEARS, BoundsError, Id, Instant, KnownCurrency
from guardrails.core.money import AMOUNT_MOST, CURRENCIES
from guardrails.policyfile.currencies import currency_words

__all__ = [
    "OWN_IDS",
    "BenefitForm",
    "ModelName",
    "Part",
    "Revenue",
    "RevenueRequest",
    "ReversalRequest",
    "Shortfall",
    "Why",
]

TOKEN_LENGTH = 4000

OWN_IDS = "redemption:"
"""What the ids of the revenue that redemptions earn begin with, and no caller's may."""

ModelName = Literal["last_touch", "linear"]
BenefitForm = Literal["credits", "discount"]
Why = Literal["nothing_named", "no_such_decision", "not_monetized", "not_sent", "outside_window", "nothing_eligible"]
"""Why revenue is attributed to no decision. Of a named decision it is what speaks against that one."""


class RevenueRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was earned, and by what.

    `id` makes it safe to repeat. `at` is when it was earned, the conversion (left out: now). What it is owed to is
    said by `attribution`, the token of an allow's obligation, or by its `decision_id`, or by the `recipient` and
    whichever of `sponsor`, `campaign` and `offer` the project attributes across; where none of these is said, it is
    attributed to nobody. `conversion` names the conversion: its revenue is booked once.
    """

    id: Id
    amount_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MOST)]
    currency: KnownCurrency
    at: Instant | None = None
    attribution: Annotated[str, Meta(min_length=1, max_length=TOKEN_LENGTH)] | None = None
    decision_id: Id | None = None
    recipient: Id | None = None
    sponsor: Id | None = None
    campaign: Id | None = None
    offer: Id | None = None
    conversion: Id | None = None

    def __post_init__(self) -> None:
        """Refuse what is no currency or instant, and what names the same twice.

        Raises BoundsError with all that is wrong.
        """
        wrong = tuple(_wrong(self))
        if wrong:
            (field, message), *also = wrong
            raise BoundsError(field, message, *also)


_WAYS = (("attribution",), ("decision_id",), ("recipient", "sponsor", "campaign", "offer"))


def _wrong(asked: RevenueRequest) -> Iterator[tuple[str, str]]:
    """Each field that can't be so, with what is wrong there."""
    if asked.currency not in CURRENCIES:
        yield "currency", currency_words(asked.currency)
    if asked.at is not None and asked.at.year not in YEARS:
        yield "at", f"lies outside the years {YEARS.start} to {YEARS.stop - 1}"
    if asked.id.startswith(OWN_IDS):
        yield "id", f"begins with `{OWN_IDS}`, as only the revenue of redemptions does"
    stated = [(way, name) for way, names in enumerate(_WAYS) for name in names if getattr(asked, name) is not None]
    for way, name in stated:
        if way != stated[0][0]:
            yield name, f"is another way than `{stated[0][1]}` to say what it is owed to: give one of them"


class ReversalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """That a revenue is taken back, all of it; `id` is that of the record which says so (left out: one is made)."""

    id: Id | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)] | None = None

    def __post_init__(self) -> None:
        """Keep our own ids ours. Raises BoundsError."""
        if self.id is not None and self.id.startswith(OWN_IDS):
            raise BoundsError("id", f"begins with `{OWN_IDS}`, as only the revenue of redemptions does")


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one decision is credited with, and how that is shared: benefit, affiliate and platform sum to the amount.

    `audit_index` is the decision's own place in the log, `at` the instant that it was for.
    """

    decision_id: str
    audit_index: int
    at: datetime
    policy_revision: str
    amount_minor: int
    platform_minor: int
    benefit_minor: int = 0
    benefit_form: BenefitForm | None = None
    affiliate_minor: int = 0
    affiliate: str | None = None
    campaign: str | None = None
    offer: str | None = None
    arm: str | None = None


class Shortfall(msgspec.Struct, frozen=True, kw_only=True):
    """What a reversal could not take back from somebody, who has it no more: the platform bears it."""

    kind: str
    owner: str
    amount_minor: int


class Revenue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record, as it stays for ever.

    `at` is when it was earned, `recorded_at` when it was booked, which is what its month goes by. Without `parts` it is
    attributed to nobody, `why` says for which reason, and all of it stays with the platform. `decision_id`, `campaign`
    and `offer` are those that it came with, whatever it is attributed to. `audit_index` is its own
    entry in the log, `transaction` what it is in the ledger (none where nothing moves). A reversal has the `parts` of
    what it `reverses` with the other sign; `reversed_by` is the record that took this one back.
    """

    id: str
    amount_minor: int
    currency: str
    at: datetime
    recorded_at: datetime
    audit_index: int
    model: ModelName
    recipient: str | None = None
    sponsor: str | None = None
    decision_id: str | None = None
    campaign: str | None = None
    offer: str | None = None
    conversion: str | None = None
    parts: tuple[Part, ...] = ()
    why: Why | None = None
    transaction: str | None = None
    reverses: str | None = None
    reason: str | None = None
    shortfalls: tuple[Shortfall, ...] = ()
    reversed_by: str | None = None

    @property
    def attributed_minor(self) -> int:
        """So much of it is attributed to decisions: all, or nothing."""
        return sum(part.amount_minor for part in self.parts)
