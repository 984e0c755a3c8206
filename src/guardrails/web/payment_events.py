"""What a payment service tells of its own accord, by requests that it signs: its signature is its key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from guardrails.decoding import Decoder
from guardrails.payments.events import EventType, PaymentEvent, PaymentEventReceipt, PaymentEvents
from guardrails.payments.standard_webhooks import UnsignedError, WebhookSecrets
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.problems import Refusal
from guardrails.web.route import Route

__all__ = ["PaymentEventRoom"]

EVENT_BYTES = 64 * 1024

_encoder = msgspec.json.Encoder()
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class PaymentEventRoom:
    """The handler. Without `secrets` nobody can tell anything: no payment service is set up."""

    def __init__(self, events: PaymentEvents, secrets: WebhookSecrets | None, *, clock: Callable[[], datetime]) -> None:
        self._events = events
        self._secrets = secrets
        self._clock = clock
        self._decode_type = Decoder(EventType).decode
        self._decode = Decoder(PaymentEvent).decode

    def receive(self, exchange: Exchange) -> Reply:
        """`POST /v1/payments/events`."""
        if self._secrets is None:
            raise Refusal("not-found", "no payment service is set up")
        body = exchange.read_body(limit=EVENT_BYTES)
        now = exchange.now(self._clock)
        try:
            id_ = self._secrets.verify(_signed_headers(exchange), body, now=now)
        except UnsignedError as error:
            raise Refusal("unsigned", str(error)) from None
        receipt = self._take(exchange, id_, body, now)
        exchange.log["receipt"] = receipt.status
        return Reply(200, _encoder.encode(receipt))

    def _take(self, exchange: Exchange, id_: str, body: bytes, now: datetime) -> PaymentEventReceipt:
        of_type = self._decode_type(body)
        exchange.log["payment_event"] = of_type.type
        if not of_type.means_something:
            return PaymentEventReceipt("unknown")
        return self._events.take(id_, self._decode(body), now=now)

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/payments/events",
                handler=self.receive,
                name="receive_payment_event",
                tag="payments",
                summary="Tell what became of a payment",
                description="For the payment service, which signs by Standard Webhooks and needs no other key. Each "
                "`webhook-id` is taken once; late, twice or out of order changes nothing. An event of a payment that "
                "is none of ours, or of a type that means nothing here, is answered with 200 and `unknown`: sending it "
                "again would not help.",
                scope=None,
                takes=PaymentEvent,
                gives=PaymentEventReceipt,
                problems=("unsigned", "not-found", "invalid", "unavailable"),
                example=EXAMPLE,
            ),
        )


def _signed_headers(exchange: Exchange) -> dict[str, str]:
    environ = exchange.environ
    return {name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", "") for name in _HEADERS}


EXAMPLE: dict[str, Any] = {
    "type": "payment.captured",
    "timestamp": "2026-12-01T09:00:02Z",
    "data": {"payment": "red-7", "amount_minor": 250, "currency": "EUR", "reference": "pay_81f3"},
}
