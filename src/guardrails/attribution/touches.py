"""Touches: the allows that a revenue can be attributed to, and which of them are eligible.

An allow of the monetized lane carries its attribution metadata in the obligation `carry_attribution`. It is eligible
where it was for an instant at or before the conversion (what is proven to have reached them may be planned for later),
and not longer ago than the window; is for the same sponsor
(or campaign, or offer, as the project has it), with whom the revenue is settled; and reached the recipient: its sender
reported that it was sent or delivered, or the conversion came with its token. What its sender says did not reach them
is not made to by a token.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from guardrails.attribution.models import Touch
from guardrails.attribution.values import BenefitForm, Why
from guardrails.core.claims import AttributionClaims
from guardrails.core.policy_set import Attribution
from guardrails.decide.entry import DecisionEntry
from guardrails.decide.holdings import ReservationState
from guardrails.decide.ports import Span, StoredDecision

__all__ = ["CARRY_ATTRIBUTION", "Allow", "Sought", "allow_of_entry", "allow_of_row", "eligible", "span_of", "why_not"]

CARRY_ATTRIBUTION = "carry_attribution"

_REACHED: frozenset[ReservationState] = frozenset({"sent", "delivered", "complained"})
_PROVABLE: frozenset[ReservationState] = _REACHED | {"reserved", "expired"}
"""The states that a token proves to be a send: nobody has said that it was none."""


class Allow(msgspec.Struct, frozen=True):
    """A recorded allow: its touch, and what became of it."""

    touch: Touch
    state: ReservationState


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What a revenue says of the decisions that it is owed to; None: it says nothing of that.

    `named` is the decision that it names, which is `is_proven` where it came with that one's token.
    """

    recipient: str
    at: datetime
    sponsor: str | None = None
    campaign: str | None = None
    offer: str | None = None
    named: str | None = None
    is_proven: bool = False


class _Values(msgspec.Struct, frozen=True):
    """What is read of the obligation's values: the signed token holds the rest."""

    token: str
    benefit_form: BenefitForm | None = None


class _Obligation(msgspec.Struct, frozen=True):
    type: str
    values: msgspec.Raw = msgspec.Raw(b"{}")


class _Answer(msgspec.Struct, frozen=True):
    obligations: tuple[_Obligation, ...] = ()


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_values = msgspec.json.Decoder(_Values).decode
_decode_claims = msgspec.json.Decoder(AttributionClaims).decode


def allow_of_row(stored: StoredDecision) -> Allow | None:
    """The allow that a stored decision is; None where it is a deny, or carries no attribution."""
    if stored.recipient is None or stored.lease_until is None:
        return None
    for obligation in _decode_answer(stored.answer).obligations:
        if obligation.type == CARRY_ATTRIBUTION:
            values = _decode_values(obligation.values)
            return Allow(_touch(values, stored.audit_index, stored.evaluated_at, stored.recipient), stored.state)
    return None


def allow_of_entry(entry: DecisionEntry, audit_index: int) -> Allow | None:
    """The allow that an audit entry tells of, whose row is kept no more; what became of it is not known then."""
    for obligation in entry.decision.obligations:
        if obligation.type == CARRY_ATTRIBUTION:
            values = msgspec.convert(obligation.values, _Values)
            return Allow(_touch(values, audit_index, entry.at, entry.candidate.recipient.id), "expired")
    return None


def span_of(sought: Sought, terms: Attribution) -> Span:
    """Where its touches lie."""
    return Span(sought.recipient, sought.at - timedelta(seconds=terms.window_seconds), sought.at)


def eligible(allows: Iterable[Allow], sought: Sought, terms: Attribution) -> tuple[Touch, ...]:
    """The touches that count, each once, whatever order they come in."""
    touches = {each.touch.decision_id: each.touch for each in allows if why_not(each, sought, terms) is None}
    return tuple(touches.values())


def why_not(allow: Allow, sought: Sought, terms: Attribution) -> Why | None:
    """What speaks against an allow; None: it is eligible."""
    touch = allow.touch
    if touch.recipient != sought.recipient or not _is_of(touch, sought, terms):
        return "nothing_eligible"
    is_proven = sought.is_proven and touch.decision_id == sought.named
    if allow.state not in (_PROVABLE if is_proven else _REACHED):
        return "not_sent"
    age = sought.at - touch.at
    if is_proven:  # it reached them, though it was planned for later, or decided by a clock that is ahead
        age = max(age, timedelta())
    return None if timedelta() <= age < timedelta(seconds=terms.window_seconds) else "outside_window"


def _is_of(touch: Touch, sought: Sought, terms: Attribution) -> bool:
    """Whether it is of the same sponsor, campaign or offer; what has none is of no other."""
    if touch.decision_id == sought.named:
        return True
    return getattr(sought, terms.across) is not None and getattr(touch, terms.across) == getattr(sought, terms.across)


def _touch(values: _Values, audit_index: int, at: datetime, recipient: str) -> Touch:
    claims = _decode_claims(_payload(values.token))
    return Touch(
        decision_id=claims.decision_id,
        audit_index=audit_index,
        at=at,
        policy_revision=claims.policy_revision,
        recipient=recipient,
        sponsor=claims.sponsor,
        campaign=claims.campaign,
        offer=claims.offer,
        arm=claims.arm,
        affiliate=claims.affiliate,
        affiliate_bps=claims.affiliate_bps or 0,
        benefit_bps=claims.benefit_bps or 0,
        benefit_form=values.benefit_form,
    )


def _payload(token: str) -> bytes:
    """What a token says that we recorded ourselves: it was signed then, and needs no check."""
    payload = token.split(".")[1]
    return urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
