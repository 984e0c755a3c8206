"""Models of attribution: whom a revenue is owed to, as weights over the decisions that are eligible. Pure.

    attribute(1000, in_order(touches), model="linear")   # three touches: 333, 333, 334

The parts sum to the whole under every model and for any history, by largest remainder; the shares of each part do too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from guardrails.attribution.values import BenefitForm, ModelName, Part
from guardrails.core.money import BPS, split

__all__ = ["Touch", "attribute", "in_order"]


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """An allow that can be credited: what its attribution metadata says. `at` is the instant that it was for."""

    decision_id: str
    audit_index: int
    at: datetime
    policy_revision: str
    recipient: str
    sponsor: str | None = None
    campaign: str | None = None
    offer: str | None = None
    arm: str | None = None
    affiliate: str | None = None
    affiliate_bps: int = 0
    benefit_bps: int = 0
    benefit_form: BenefitForm | None = None


def in_order(touches: Iterable[Touch], *, named: str | None = None) -> tuple[Touch, ...]:
    """Touches by time, and last of all the one that is named: it is the decision that the conversion itself came by."""
    return tuple(sorted(touches, key=lambda each: (each.decision_id == named, each.at, each.audit_index)))


def attribute(amount_minor: int, touches: Sequence[Touch], *, model: ModelName) -> tuple[Part, ...]:
    """The parts of an amount for touches in order: empty where there is no touch."""
    if not touches:
        return ()
    credited = touches[-1:] if model == "last_touch" else touches
    # What can't be split evenly goes to the later ones: the nearer to the conversion, the more it had to do with it.
    amounts = reversed(split(amount_minor, (1,) * len(credited)))
    return tuple(_part(touch, part) for touch, part in zip(credited, amounts, strict=True))


def _part(touch: Touch, amount_minor: int) -> Part:
    # What was promised to the recipient goes first, should both together be more than there is.
    affiliate_bps = min(touch.affiliate_bps, BPS - touch.benefit_bps) if touch.affiliate is not None else 0
    rest = BPS - touch.benefit_bps - affiliate_bps
    benefit, affiliate, platform = split(amount_minor, (touch.benefit_bps, affiliate_bps, rest))
    return Part(
        decision_id=touch.decision_id,
        audit_index=touch.audit_index,
        at=touch.at,
        policy_revision=touch.policy_revision,
        amount_minor=amount_minor,
        platform_minor=platform,
        benefit_minor=benefit,
        benefit_form=touch.benefit_form if benefit else None,
        affiliate_minor=affiliate,
        affiliate=touch.affiliate if affiliate else None,
        campaign=touch.campaign,
        offer=touch.offer,
        arm=touch.arm,
    )
