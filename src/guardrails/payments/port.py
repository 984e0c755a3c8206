"""The port behind which money moves: what a redemption asks of whoever takes the payment, and what it is told.

A payment goes authorise -> capture, and where it is given up, void; what was captured can be refunded. Each step is
asked for as often as it takes, and done once: a method tells the same payment and step by their id.

INVARIANT: only what a method knows is `done` or `declined`. Silence, a lost connection and an error that may have come
after the deed are `unknown`: nothing is booked and nothing let go of on a guess.

    begin (within the unit that reserves)
      done        the wallet: paid, the redemption settles in this very unit
      declined    the wallet: there is not enough; the redemption is declined and holds nothing
      pending     a payment service: nothing was sent yet, `carry_on` does it
    carry_on (outside any unit, by whoever finds the redemption due; again after a crash)
      done        `step` is done: after `authorise` comes `capture`; `capture` settles it, `void` releases it
      declined    no money is held or taken, and none will be: what is held for it can be let go of
                  (of a `refund`: it was not given; the payment stands as it was)
      abandoned   it is not worth going on, and money may be held: `void` comes next, and stock is kept until then
      pending     it is being done; ask again after `retry_after_seconds`, or be told by an event before
      unknown     it may be done, or not; ask again after `retry_after_seconds`
                  (after either with one attempt more; a new step begins with 0 again)
    take_back, carry_back: the same two for a refund (`step` is `refund`)

The step of a result may be another than the one that was asked for, where the payment turns out to be further: asked to
void what was captured, it is (`capture`, `done`). So a result is applied by its own step, and one that the redemption
is past already changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

__all__ = [
    "Payment",
    "PaymentMethod",
    "PaymentResult",
    "PaymentState",
    "PaymentStep",
    "PaymentsTold",
    "ToldPayment",
]

PaymentStep = Literal["authorise", "capture", "void", "refund", "chargeback"]
"""`chargeback` is never asked for: payment services tell of it."""

PaymentState = Literal["done", "declined", "abandoned", "pending", "unknown"]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One step of what a redemption has to do with money, as it is asked for.

    `id` is the redemption's. `sponsor` is whom the money goes to. `amount_minor` is in minor units of `currency`
    (ISO 4217). `reference` is the payment service's own name for the payment, once it said one. `attempts` counts the
    results of this step so far that were `pending` or `unknown`; it starts at 0 with each step.
    """

    id: str
    offer: str
    recipient: str
    sponsor: str
    amount_minor: int
    currency: str
    step: PaymentStep
    reference: str | None = None
    attempts: int = 0
    refunds: int = 0


class PaymentResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a step. `reason` is a stable dotted code, such as `payment.insufficient_funds`, where it failed.

    `retry_after_seconds` comes with `pending` and `unknown`: when to ask again.
    """

    state: PaymentState
    step: PaymentStep
    reference: str | None = None
    reason: str | None = None
    retry_after_seconds: float | None = None


class PaymentMethod(Protocol):
    """Takes payments. Safe to use from several threads and processes, for the same payment too."""

    def begin(self, session: Any, payment: Payment, now: datetime, /) -> PaymentResult:  # noqa: ANN401 - the room's own
        """Begin a payment within the unit that reserves; nothing outside of `session` is touched."""

    def carry_on(self, payment: Payment, /) -> PaymentResult:
        """Do the payment's step, or find out that it was done; outside any unit. Never raises for an outage."""

    def take_back(self, session: Any, payment: Payment, now: datetime, /) -> PaymentResult:  # noqa: ANN401 - as above
        """Begin a refund within the unit that asks for it."""

    def carry_back(self, payment: Payment, /) -> PaymentResult:
        """Do the refund, or find out that it was done; outside any unit."""


class ToldPayment(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment service told of its own accord: `id` is the redemption's, the amount the whole payment's."""

    id: str
    amount_minor: int
    currency: str
    result: PaymentResult


class PaymentsTold(Protocol):
    """Takes in what payment services tell; the redemptions do."""

    def take(self, session: Any, told: Sequence[ToldPayment], now: datetime, /) -> Sequence[bool]:  # noqa: ANN401
        """Apply them within the unit as results of `carry_on`, in order; whether each names a redemption of ours."""
