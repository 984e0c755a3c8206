"""What a payment service tells of its own accord: each event is taken once, in the unit in which it changes anything.

An event says no more than an answer to `look` would, and is worth as much: late, twice, out of order or never, money
and stock end the same. That a payment was given back is told as captured first: the event before may have been lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Id, Instant
from guardrails.decide.ports import Transactor
from guardrails.payments.event_store import PaymentEventStore
from guardrails.payments.port import PaymentResult, PaymentState, PaymentStep, PaymentsTold, ToldPayment

__all__ = ["KEEP", "EventType", "PaymentEvent", "PaymentEventData", "PaymentEventReceipt", "PaymentEvents"]

KEEP = timedelta(days=30)
"""So long an event that is told again is known; a payment service gives up telling far sooner."""

STEP_EVENTS = 500

_MEANS: Mapping[str, tuple[tuple[PaymentStep, PaymentState], ...]] = {
    "payment.authorised": (("authorise", "done"),),
    "payment.captured": (("capture", "done"),),
    "payment.declined": (("authorise", "declined"),),
    "payment.voided": (("void", "done"),),
    "payment.refunded": (("capture", "done"), ("refund", "done")),
    "payment.charged_back": (("capture", "done"), ("chargeback", "done")),
}


class PaymentEventData(msgspec.Struct, frozen=True, kw_only=True):
    """Which payment, by the id that we gave it, and its whole amount. Other members are passed over.

    `reference` and `reason` are the payment service's own words, as in its answers.
    """

    payment: Id
    amount_minor: Annotated[int, Meta(ge=0, le=2**53)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}(?!\n)$")]
    reference: str | None = None
    reason: str | None = None


class PaymentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a type that means something here."""

    type: str
    timestamp: Instant
    data: PaymentEventData


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an event first: one of another type may say anything, in any form."""

    type: str

    @property
    def means_something(self) -> bool:
        """Whether it is one that is known here."""
        return self.type in _MEANS


class PaymentEventReceipt(msgspec.Struct, frozen=True):
    """`taken`; `repeated`: it was taken before; `unknown`: no payment of ours, or a type that means nothing here."""

    status: Literal["taken", "repeated", "unknown"]


class Session(Protocol):
    """What this needs of a unit, beside what `PaymentsTold` needs."""

    payment_events: PaymentEventStore


class _Arrived(msgspec.Struct, frozen=True):
    id: str
    told: tuple[ToldPayment, ...]
    now: datetime


class PaymentEvents:
    """Takes events."""

    def __init__(self, transactor: Transactor, payments: PaymentsTold, *, clock: Callable[[], datetime]) -> None:
        self._transactor = transactor
        self._payments = payments
        self._clock = clock

    def take(self, id_: str, event: PaymentEvent, *, now: datetime | None = None) -> PaymentEventReceipt:
        """Take an event whose signature was verified. Raises DependencyError; then it has to be told again."""
        return self._transactor.call(self._take_group, _Arrived(id_, _told(event), now or self._clock()))

    def step(self, now: datetime) -> int:
        """Forget some events that were kept long enough; returns how many. Raises DependencyError."""
        return self._transactor.call(_forget, now - KEEP)

    def _take_group(self, session: Any, group: list[_Arrived]) -> list[PaymentEventReceipt]:  # noqa: ANN401 - two Protocols
        """The handler: events in the order in which they arrived, with one read and one write a store and instant."""
        store: PaymentEventStore = session.payment_events
        taken = set(store.taken({arrived.id for arrived in group}))
        new: dict[str, _Arrived] = {}
        for arrived in group:
            if arrived.id not in taken:
                new.setdefault(arrived.id, arrived)
        known = self._apply(session, tuple(new.values()))
        receipts = []
        for arrived in group:
            is_first = new.get(arrived.id) is arrived
            status: Literal["taken", "repeated", "unknown"] = "repeated"
            if is_first:
                status = "taken" if known[arrived.id] else "unknown"
            receipts.append(PaymentEventReceipt(status))
        return receipts

    def _apply(self, session: Any, new: Sequence[_Arrived]) -> Mapping[str, bool]:  # noqa: ANN401 - as above
        """Whether each, by its id, names a payment of ours."""
        known: dict[str, bool] = {}
        for now in dict.fromkeys(arrived.now for arrived in new):
            of_now = [arrived for arrived in new if arrived.now == now]
            each_told = [(arrived.id, told) for arrived in of_now for told in arrived.told]
            found = self._payments.take(session, [told for _, told in each_told], now)
            known |= {id_: is_known for (id_, _), is_known in zip(each_told, found, strict=True)}
            session.payment_events.add([arrived.id for arrived in of_now], now)
        return known


def _told(event: PaymentEvent) -> tuple[ToldPayment, ...]:
    data = event.data
    return tuple(
        ToldPayment(
            id=data.payment,
            amount_minor=data.amount_minor,
            currency=data.currency,
            result=PaymentResult(state=state, step=step, reference=data.reference, reason=data.reason),
        )
        for step, state in _MEANS[event.type]
    )


def _forget(session: Session, instants: list[datetime]) -> list[int]:
    return [session.payment_events.forget(before, STEP_EVENTS) for before in instants]
