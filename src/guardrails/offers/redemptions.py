"""Redemptions: an offer taken up by one recipient, from the token to the money, and back where that is asked for.

    reserved -> authorised -> settled -> (refunding ->) refunded | charged_back
    reserved | authorised -> declined | released

What payment methods tell is folded into the redemption by `apply`, a pure function: a result that it is past already
changes nothing, so that results may come twice, late and out of order.

INVARIANT: stock and the recipient's limit are held from `reserved` on until no money is held or was taken any more
(`HOLDING`); the token is, and for ever where it settled: what was taken back is not to be had by it again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Id, Instant
from guardrails.offers.values import Payment as MethodName
from guardrails.payments.port import Payment, PaymentResult, PaymentStep

__all__ = [
    "GRACE",
    "HOLDING",
    "TAKEN_BACK",
    "Redemption",
    "RedemptionRequest",
    "RedemptionState",
    "RefundKind",
    "RefundRequest",
    "apply",
    "begin_refund",
]

RedemptionState = Literal[
    "reserved", "authorised", "settled", "refunding", "refunded", "charged_back", "declined", "released"
]
RefundKind = Literal["refund", "chargeback"]

HOLDING: frozenset[RedemptionState] = frozenset({"reserved", "authorised", "settled", "refunding"})
"""The states that hold a unit of stock and one of the recipient's redemptions."""

TAKEN_BACK: frozenset[RedemptionState] = frozenset({"refunded", "charged_back"})
"""The states that hold nothing but the token."""

GRACE = timedelta(seconds=20)
"""Whoever carries a payment on is left so long before others take it for dead and do; doing it twice does no harm."""

RETRY_SECONDS = 1.0
RETRY_MOST_SECONDS = 300.0
RETRY_DOUBLINGS = 10

RedemptionId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}(?!\n)$")]


class RedemptionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redeem a token for this recipient, as the payment of their `conversion`, which the offer may not require.

    With an `id` of the caller's the request can be sent again. Without one the token itself is what tells it again.
    """

    recipient: Id
    id: RedemptionId | None = None
    conversion: Id | None = None


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `refund` gives the money back; a `chargeback` says that the bank or the payment service took it back."""

    kind: RefundKind
    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")] | None = None


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A redemption as it is kept.

    `amount_minor` is in minor units of `currency` (ISO 4217). `step` is what is asked of the payment method next, for
    the time after `attempts` that had no outcome; None where nothing is. `due_at` is when whoever finds it does so.
    `reason` is a stable code that says why the last step was declined; `taken_back_as` and `why` are of the refund.
    `authorised_at`, `settled_at` and so on say when it entered each state, `refunding_at` the last time;
    `settled_index` and `taken_back_index` are the audit entries that prove that it was paid, and given back;
    `decision_index` is that of the decision whose token was redeemed.
    """

    id: str
    decision_id: str
    offer: str
    recipient: str
    sponsor: str
    state: RedemptionState
    method: MethodName
    amount_minor: int
    currency: str
    body_hash: bytes
    recorded_at: datetime
    conversion: str | None = None
    step: PaymentStep | None = None
    attempts: int = 0
    refunds: int = 0
    reference: str | None = None
    reason: str | None = None
    taken_back_as: RefundKind | None = None
    why: str | None = None
    authorised_at: datetime | None = None
    settled_at: datetime | None = None
    refunding_at: datetime | None = None
    refunded_at: datetime | None = None
    charged_back_at: datetime | None = None
    declined_at: datetime | None = None
    released_at: datetime | None = None
    due_at: datetime | None = None
    settled_index: int | None = None
    taken_back_index: int | None = None
    decision_index: int | None = None

    @property
    def is_holding(self) -> bool:
        """Whether it holds a unit of stock, and its token."""
        return self.state in HOLDING

    @property
    def has_token(self) -> bool:
        """Whether its token is spent: held, or redeemed and taken back since."""
        return self.is_holding or self.state in TAKEN_BACK

    def has_been(self, state: str) -> bool:
        """Whether this is its state, or was on the way to it."""
        return state == self.state or (state in {"authorised", "settled"} and self.settled_at is not None)

    @property
    def payment(self) -> Payment:
        """What is asked of its payment method next. Raises ValueError where nothing is."""
        if self.step is None:
            raise ValueError(f"nothing is asked for of redemption {self.id}")
        return Payment(
            id=self.id,
            offer=self.offer,
            recipient=self.recipient,
            sponsor=self.sponsor,
            amount_minor=self.amount_minor,
            currency=self.currency,
            step=self.step,
            reference=self.reference,
            attempts=self.attempts,
            refunds=self.refunds,
        )

    @property
    def view(self) -> RedemptionView:
        """What callers are told."""
        names = RedemptionView.__struct_fields__
        return RedemptionView(**{name: getattr(self, name) for name in names})


class RedemptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A redemption. `reserved`, `authorised` and `refunding` are under way; all else is how it ended.

    `amount_minor` is in minor units of `currency`. `reference` is the payment service's own name for the payment. It
    was reserved at `recorded_at`; when it entered each other state stands beside that, null where it never did. One
    whose refund was asked for at `refunding_at` and that is `settled` was not refunded: `reason` says why.
    """

    id: str
    decision_id: str
    offer: str
    recipient: str
    conversion: str | None
    state: RedemptionState
    method: MethodName
    amount_minor: int
    currency: str
    reference: str | None
    reason: str | None
    recorded_at: Instant
    authorised_at: Instant | None
    settled_at: Instant | None
    refunding_at: Instant | None
    refunded_at: Instant | None
    charged_back_at: Instant | None
    declined_at: Instant | None
    released_at: Instant | None


def apply(redemption: Redemption, result: PaymentResult, now: datetime) -> Redemption:
    """The redemption after a step of its payment came to this; the same one where it is past that already."""
    if redemption.state in {"reserved", "authorised"}:
        changed = _apply_to_payment(redemption, result, now)
    elif redemption.state in {"settled", "refunding"}:
        changed = _apply_to_refund(redemption, result, now)
    else:
        return redemption
    if changed is redemption or result.reference is None:
        return changed
    return msgspec.structs.replace(changed, reference=result.reference)


def begin_refund(redemption: Redemption, request: RefundRequest, now: datetime) -> Redemption:
    """The settled redemption, once its refund is asked for. (A chargeback was made, and is never asked for.)"""
    return _entered(
        redemption,
        "refunding",
        now,
        step="refund",
        refunds=redemption.refunds + 1,
        reason=None,
        taken_back_as="refund",
        why=request.reason,
        due_at=now + GRACE,
    )


def _apply_to_payment(redemption: Redemption, result: PaymentResult, now: datetime) -> Redemption:
    state, step = result.state, result.step
    if step in {"refund", "chargeback"}:  # of what was captured, unless it is nothing that happened
        return _taken_back(_entered(redemption, "settled", now), step, now) if state == "done" else redemption
    if state == "abandoned":  # of a step that it is past, somebody else had an answer meanwhile
        return _asking(redemption, "void", now) if step == redemption.step else redemption
    if state == "done" and step == "capture":
        return _entered(redemption, "settled", now)
    if state == "done" and step == "authorise":
        if redemption.step != "authorise":  # it is past that: captured or voided next
            return redemption
        return _asking(_entered(redemption, "authorised", now), "capture", now)
    if state in {"done", "declined"}:
        if step == "authorise" and redemption.state == "authorised":
            return redemption
        return _entered(redemption, "released" if step == "void" else "declined", now, reason=result.reason)
    return _later(redemption, result, now)


def _apply_to_refund(redemption: Redemption, result: PaymentResult, now: datetime) -> Redemption:
    if result.step == "chargeback" and result.state == "done":
        return _taken_back(redemption, "chargeback", now)
    if result.step != "refund":
        return redemption
    if result.state == "done":
        return _taken_back(redemption, "refund", now)
    if redemption.state == "settled":  # it was declined before, or is told of by nobody who was asked
        return redemption
    if result.state == "declined":
        return msgspec.structs.replace(
            redemption, state="settled", step=None, attempts=0, due_at=None, reason=result.reason
        )
    return _later(redemption, result, now)


def _asking(redemption: Redemption, step: PaymentStep, now: datetime) -> Redemption:
    if redemption.step == step:
        return msgspec.structs.replace(redemption, due_at=now + GRACE)
    return msgspec.structs.replace(redemption, step=step, attempts=0, due_at=now + GRACE)


def _entered(redemption: Redemption, state: RedemptionState, now: datetime, **changes: Any) -> Redemption:  # noqa: ANN401 - of its fields
    """In another state since now, with nothing asked of its payment method but what `changes` say."""
    begun: dict[str, Any] = {"step": None, "attempts": 0, "due_at": None, "reason": None, f"{state}_at": now}
    return msgspec.structs.replace(redemption, state=state, **(begun | changes))


def _taken_back(redemption: Redemption, kind: str, now: datetime) -> Redemption:
    if kind == "chargeback":
        return _entered(redemption, "charged_back", now, taken_back_as="chargeback")
    return _entered(redemption, "refunded", now, taken_back_as="refund")


def _later(redemption: Redemption, result: PaymentResult, now: datetime) -> Redemption:
    """Asked again later: of what had no outcome yet, with one attempt more."""
    attempts = redemption.attempts + (result.step == redemption.step)
    seconds = result.retry_after_seconds
    if seconds is None:
        seconds = min(RETRY_SECONDS * 2 ** min(attempts, RETRY_DOUBLINGS), RETRY_MOST_SECONDS)
    return msgspec.structs.replace(redemption, attempts=attempts, due_at=now + timedelta(seconds=seconds))
