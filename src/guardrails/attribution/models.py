"""Models of attribution: whom a revenue is owed to, as weights over the decisions that are eligible. Pure.

    attribute(1000, touches, model="linear")   # three touches: 334, 333, 333

The parts sum to the whole under every model and for any history, by largest remainder; the shares of each part do too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from guardrails.attribution.values import BenefitForm, ModelName, Part
from guardrails.core.money import BPS, split

__all__ = ["Touch", "attribute"]


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


def attribute(
    amount_minor: int, touches: Sequence[Touch], *, model: ModelName, named: str | None = None
) -> tuple[Part, ...]:
    """The parts of an amount, by time: empty where there is no touch.

    `named` is the decision that the conversion itself came by, if that is known: it is the last touch there was, where
    it is among the touches.
    """
    ordered = sorted(touches, key=lambda each: (each.at, each.audit_index))
    if not ordered:
        return ()
    if model == "last_touch":
        ordered = [next((each for each in ordered if each.decision_id == named), ordered[-1])]
    # What can't be split evenly goes to the later ones: the nearer to the conversion, the more it had to do with it.
    amounts = reversed(split(amount_minor, (1,) * len(ordered)))
    return tuple(_part(touch, part) for touch, part in zip(ordered, amounts, strict=True))


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
